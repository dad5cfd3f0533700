// Axes: B batch, S sequence, H any width.
package model

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// linear is x·Wᵀ + b over the last axis of x; W is [out, in].
func (ctx *Context) linear(x *Node, name string) *Node {
	return ctx.addBias(ctx.linearNoBias(x, name), name)
}

// addBias is y + b along the last axis of y.
func (ctx *Context) addBias(y *Node, name string) *Node {
	return Add(y, ctx.spread(ctx.weight(name+".bias"), y.Rank()-1, y.Shape().Dimensions...))
}

// activatedLinear is the encoder's activation of linear. What arrives at its bias is made in a product's pass, behind the
// activation's gradient, and summed there.
func (ctx *Context) activatedLinear(x *Node, name string, e EncoderConfig) *Node {
	y := ctx.linearNoBias(x, name)
	return ctx.activate(Add(y, alongLast(ctx.weight(name+".bias"), y)), e)
}

// linearNoBias is x·Wᵀ over the last axis of x; W is [out, in].
func (ctx *Context) linearNoBias(x *Node, name string) *Node {
	return ctx.product(x, []int{x.Rank() - 1}, nil, ctx.weight(name+".weight"), []int{1}, nil)
}

// layerNorm normalises the last axis in float32 (Ba et al., 2016).
func (ctx *Context) layerNorm(x *Node, name string, epsilon float64) *Node {
	y := ctx.layerNormNoBias(x, name, epsilon)
	return Add(y, alongLast(ctx.weight(name+".bias"), y))
}

// layerNormNoBias is layerNorm without the shift.
func (ctx *Context) layerNormNoBias(x *Node, name string, epsilon float64) *Node {
	normal := normalize(ConvertDType(x, dtypes.Float32), epsilon)
	return Mul(normal, alongLast(ctx.weight(name+".weight"), normal))
}

// alongLast repeats a vector [H] along the last axis of an array of x's shape [...,H]. A norm's vectors need no spread:
// what arrives at them is summed where it is made, in the pass that also sums over rows.
func alongLast(vector, x *Node) *Node {
	dims := slices.Clone(x.Shape().Dimensions)
	for i := range len(dims) - 1 {
		dims[i] = 1
	}
	return BroadcastToDims(Reshape(vector, dims...), x.Shape().Dimensions...)
}

// normalize brings the last axis of x to mean 0 and variance 1. Mean and variance come from one pass over x, and the
// gradient's two sums from one over what arrives: as they follow from the definition each needs the other first. Sums are
// divided by the width where they meet what is as wide, not by themselves.
func normalize(x *Node, epsilon float64) *Node {
	width := float64(x.Shape().Dim(-1))
	var arriving, mean, scale *Node
	x = IdentityWithCustomGradient(x, func(x, _ *Node) *Node {
		normal := Mul(Sub(x, mean), scale)
		along := Mul(normal, ReduceAndKeep(Mul(arriving, normal), ReduceSum, -1))
		centred := Sub(MulScalar(arriving, width), ReduceAndKeep(arriving, ReduceSum, -1))
		return Mul(MulScalar(scale, 1/width), Sub(centred, along))
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
