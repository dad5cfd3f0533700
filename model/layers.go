// Axes: B batch, S sequence, H any width.
package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// linear is x·Wᵀ + b over the last axis of x; W is [out, in].
func (ctx *Context) linear(x *Node, name string) *Node {
	y := ctx.linearNoBias(x, name)
	return Add(y, ctx.spreadOver(y, name+".bias"))
}

// linearNoBias is x·Wᵀ over the last axis of x; W is [out, in].
func (ctx *Context) linearNoBias(x *Node, name string) *Node {
	return ctx.product(x, []int{x.Rank() - 1}, nil, ctx.weight(name+".weight"), []int{1}, nil)
}

// layerNorm normalises the last axis in float32 (Ba et al., 2016).
func (ctx *Context) layerNorm(x *Node, name string, epsilon float64) *Node {
	y := ctx.layerNormNoBias(x, name, epsilon)
	return Add(y, ctx.spreadOver(y, name+".bias"))
}

// layerNormNoBias is layerNorm without the shift.
func (ctx *Context) layerNormNoBias(x *Node, name string, epsilon float64) *Node {
	normal := normalize(ConvertDType(x, dtypes.Float32), epsilon)
	return Mul(normal, ctx.spreadOver(normal, name+".weight"))
}

// spreadOver spreads a weight over the last axis of x.
func (ctx *Context) spreadOver(x *Node, name string) *Node {
	return ctx.spread(ctx.weight(name), x.Rank()-1, x.Shape().Dimensions...)
}

// normalize brings the last axis of x to mean 0 and variance 1. Mean and variance come from one pass over x, and the
// gradient's two sums from one over what arrives: as they follow from the definition each needs the other first.
func normalize(x *Node, epsilon float64) *Node {
	var arriving, mean, scale *Node
	x = IdentityWithCustomGradient(x, func(x, _ *Node) *Node {
		normal := Mul(Sub(x, mean), scale)
		along := Mul(normal, ReduceAndKeep(Mul(arriving, normal), ReduceMean, -1))
		return Mul(scale, Sub(Sub(arriving, ReduceAndKeep(arriving, ReduceMean, -1)), along))
	})
	mean = ReduceAndKeep(x, ReduceMean, -1)
	variance := MaxScalar(Sub(ReduceAndKeep(Square(x), ReduceMean, -1), Square(mean)), 0)
	scale = Inverse(Sqrt(AddScalar(variance, epsilon)))
	return IdentityWithCustomGradient(Mul(Sub(x, mean), scale), func(_, v *Node) *Node {
		arriving = v
		return v
	})
}

// softmax normalises the last axis in float32.
func softmax(x *Node) *Node {
	x = ConvertDType(x, dtypes.Float32)
	e := Exp(Sub(x, StopGradient(ReduceAndKeep(x, ReduceMax, -1))))
	return Div(e, ReduceAndKeep(e, ReduceSum, -1))
}
