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

	emulated      bool   // bfloat16 products are float32 products of rounded numbers
	firstRow      *Node  // uint32 scalar: number of the batch's first row in the whole batch; nil for 0
	rematerialize bool   // keep only the layers' inputs for the gradient
	site          string // begins the names of sites of randomness
}

// NewContext makes a context. weights holds the float32 master weights by name, compute is Float32 or
// BFloat16, key is StepKey's result in training and nil elsewhere (no dropout; sampling needs one).
func NewContext(weights map[string]*Node, compute dtypes.DType, key *Node) *Context {
	return &Context{weights: weights, compute: compute, key: key}
}

// Rematerialize makes encoders keep only the inputs of their layers for the gradient and compute the rest
// again: less memory for a third more work.
func (ctx *Context) Rematerialize() *Context {
	c := *ctx
	c.rematerialize = true
	return &c
}

// EmulateHalf computes bfloat16 products as float32 products of numbers rounded to bfloat16: for platforms that
// have none. XLA's CPU compiler takes some arrangements of axes and not others.
func (ctx *Context) EmulateHalf() *Context {
	c := *ctx
	c.emulated = true
	return &c
}

// multipliesHalf tells whether products are of bfloat16 matrices, on devices that multiply them.
func (ctx *Context) multipliesHalf() bool { return ctx.compute == dtypes.BFloat16 && !ctx.emulated }

// recomputes tells whether a large product is cheaper to compute again than to keep: on devices that multiply
// bfloat16 matrices.
func (ctx *Context) recomputes() bool { return ctx.multipliesHalf() }

// drops tells whether there is dropout of a rate: in training.
func (ctx *Context) drops(rate float64) bool { return ctx.key != nil && rate != 0 }

// Rows makes randomness that of rows first, first+1, … of a larger batch of which this one is a part: first is
// a uint32 scalar.
func (ctx *Context) Rows(first *Node) *Context {
	c := *ctx
	c.firstRow = first
	return &c
}

// within makes the sites of randomness begin with a name, for weights that are used twice in a step.
func (ctx *Context) within(site string) *Context {
	c := *ctx
	c.site += site
	return &c
}

// randomBits draws 32 uniform bits for every element of a shape whose first axis is the batch.
func (ctx *Context) randomBits(site string, dims ...int) *Node {
	return randomBits(ctx.key, ctx.firstRow, ctx.site+site, dims...)
}

// weight returns a parameter's node.
func (ctx *Context) weight(name string) *Node {
	w, ok := ctx.weights[name]
	if !ok {
		exceptions.Panicf("model: parameter %q is not among the %d given", name, len(ctx.weights))
	}
	return w
}

// kept tells which elements of a shape dropout of the given rate leaves; false where there is no dropout.
func (ctx *Context) kept(rate float64, site string, dims ...int) (*Node, bool) {
	if !ctx.drops(rate) {
		return nil, false
	}
	bits := ctx.randomBits(site, dims...)
	return GreaterOrEqual(bits, Scalar(bits.Graph(), dtypes.Uint32, uint32(rate*(1<<32)))), true
}

// dropout zeroes elements of x with the given rate and scales the rest, in training only.
func (ctx *Context) dropout(x *Node, rate float64, site string) *Node {
	kept, dropping := ctx.kept(rate, site, x.Shape().Dimensions...)
	if !dropping {
		return x
	}
	return Where(kept, MulScalar(x, 1/(1-rate)), ZerosLike(x))
}
