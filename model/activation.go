package model

import (
	"math"
	"sort"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// activations are the functions of feed-forward layers and heads, under Hugging Face's names.
var activations = map[string]func(*Node) *Node{
	"gelu":     gelu,
	"gelu_new": geluNew,
}

// ActivationNames lists the activations.
func ActivationNames() []string {
	names := make([]string, 0, len(activations))
	for name := range activations {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// wideHidden is the hidden size from which on a feed-forward layer's second product, and that of its weights' gradient, take
// longer than to compute the activation in their passes: then what the activation is of is all that the first product
// writes. In narrower layers the compiler makes a pass of its own of it.
const wideHidden = 512

// activate applies the encoder's activation. Where products take narrow operands, its gradient is that at x rounded
// to their type: what is kept of a wide layer is half as large.
func (ctx *Context) activate(x *Node, e EncoderConfig) *Node {
	activation := activations[e.Activation]
	if !ctx.recomputes() || ctx.rematerialize { // what is computed again is not kept
		return activation(x)
	}
	kept := OptimizationBarrier(ConvertDType(StopGradient(x), ctx.compute))
	at := ConvertDType(kept, dtypes.Float32)
	from := x
	if e.HiddenSize >= wideHidden {
		from = at
	}
	return withGradient(activation(from), []*Node{x}, func(arriving *Node) []*Node {
		return Gradient(ReduceAllSum(Mul(activation(at), arriving)), at)
	})
}

// gelu is the exact Gaussian error linear unit, x·Φ(x) (Hendrycks and Gimpel, 2016).
func gelu(x *Node) *Node {
	return Mul(MulScalar(x, 0.5), AddScalar(Erf(MulScalar(x, math.Sqrt2/2)), 1))
}

// geluNew is its approximation x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))) (same paper, section 2), which
// ALBERT uses.
func geluNew(x *Node) *Node {
	cubic := Add(x, MulScalar(Mul(Square(x), x), 0.044715))
	return Mul(MulScalar(x, 0.5), AddScalar(Tanh(MulScalar(cubic, math.Sqrt(2/math.Pi))), 1))
}
