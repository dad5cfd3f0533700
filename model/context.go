package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Context is what a graph-building function needs besides its inputs: the weights by name, the type to
// compute in, and, in training, the key of the step's randomness.
type Context struct {
	weights map[string]*Node
	compute dtypes.DType
	key     *Node // uint32 scalar; nil outside training
}

// NewContext makes a context. weights holds the float32 master weights by name, compute is Float32 or
// BFloat16, key is StepKey's result in training and nil elsewhere (no dropout; sampling needs one).
func NewContext(weights map[string]*Node, compute dtypes.DType, key *Node) *Context {
	return &Context{weights: weights, compute: compute, key: key}
}

// weight returns a parameter's node.
func (ctx *Context) weight(name string) *Node {
	w, ok := ctx.weights[name]
	if !ok {
		exceptions.Panicf("model: parameter %q is not among the %d given", name, len(ctx.weights))
	}
	return w
}

// dropout zeroes elements of x with the given rate and scales the rest, in training only.
func (ctx *Context) dropout(x *Node, rate float64, site string) *Node {
	if ctx.key == nil || rate == 0 {
		return x
	}
	bits := randomBits(ctx.key, site, x.Shape().Dimensions...)
	threshold := Scalar(x.Graph(), dtypes.Uint32, uint32(rate*(1<<32)))
	return Where(GreaterOrEqual(bits, threshold), MulScalar(x, 1/(1-rate)), ZerosLike(x))
}
