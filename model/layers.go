// Axes: B batch, S sequence, H any width.
package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// linear is x·Wᵀ + b over the last axis of x; W is [out, in].
func (ctx *Context) linear(x *Node, name string) *Node {
	y := ctx.linearNoBias(x, name)
	return Add(y, ExpandLeftToRank(ctx.weight(name+".bias"), y.Rank()))
}

// linearNoBias is x·Wᵀ over the last axis of x; W is [out, in].
func (ctx *Context) linearNoBias(x *Node, name string) *Node {
	return ctx.product(x, []int{x.Rank() - 1}, nil, ctx.weight(name+".weight"), []int{1}, nil)
}

// layerNorm normalises the last axis in float32 (Ba et al., 2016).
func (ctx *Context) layerNorm(x *Node, name string, epsilon float64) *Node {
	y := ctx.layerNormNoBias(x, name, epsilon)
	return Add(y, ExpandLeftToRank(ctx.weight(name+".bias"), y.Rank()))
}

// layerNormNoBias is layerNorm without the shift.
func (ctx *Context) layerNormNoBias(x *Node, name string, epsilon float64) *Node {
	x = ConvertDType(x, dtypes.Float32)
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	variance := ReduceAndKeep(Square(centred), ReduceMean, -1)
	normal := Div(centred, Sqrt(AddScalar(variance, epsilon)))
	return Mul(normal, ExpandLeftToRank(ctx.weight(name+".weight"), x.Rank()))
}

// softmax normalises the last axis in float32.
func softmax(x *Node) *Node {
	x = ConvertDType(x, dtypes.Float32)
	e := Exp(Sub(x, StopGradient(ReduceAndKeep(x, ReduceMax, -1))))
	return Div(e, ReduceAndKeep(e, ReduceSum, -1))
}
