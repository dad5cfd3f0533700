// Package optimizer holds the update rules as graph-building functions: each a short composition of
// global-norm clipping, Adam's moments, decoupled weight decay, for LAMB the trust ratio, and the rate.
// State is what the caller passes in and gets back: two moments a parameter; nothing is stored here.
package optimizer

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"elektron/internal/fault"
)

// Config selects and tunes an optimizer.
type Config struct {
	Name           string  `yaml:"name" doc:"lamb or adam"`
	Beta1          float64 `yaml:"beta1" doc:"decay of the first moment"`
	Beta2          float64 `yaml:"beta2" doc:"decay of the second moment"`
	Epsilon        float64 `yaml:"epsilon" doc:"added to the root of the second moment"`
	WeightDecay    float64 `yaml:"weight_decay" doc:"decoupled decay of all but biases and LayerNorm"`
	ClipNorm       float64 `yaml:"clip_norm" doc:"largest global norm of the gradient; 0 does not clip"`
	BiasCorrection bool    `yaml:"bias_correction" doc:"correct the moments' start at zero (the official ELECTRA's Adam does not)"`
	AdaptAll       bool    `yaml:"adapt_all" doc:"LAMB: trust ratio for biases and LayerNorm too"`

	storesMoments bool
}

// StoringMoments makes updates read the new moments where they are stored, for XLA's CPU compiler: it computes them anew
// for every reader else, and copies the old ones, which the new ones are written over. On a TPU the readers are one pass.
func (c Config) StoringMoments() Config {
	c.storesMoments = true
	return c
}

// Variable is one trained array in the graph, all float32 and of one shape.
type Variable struct {
	Name          string
	Value         *Node
	Gradient      *Node
	First, Second *Node   // Adam's moments
	Rate          float64 // factor of the learning rate, for layer-wise decay; 1 elsewhere

	// Rows is, for a vector [H], an array [R,H] of which each row is its gradient, where there is one: it may be used
	// instead.
	Rows *Node
}

// rule makes of a parameter's clipped gradient its new moments, and of a parameter with these the step to subtract, before
// the learning rate. step counts from 0 and is a float32 scalar.
type rule interface {
	moments(p Variable) (first, second *Node)
	direction(p Variable, step *Node) *Node
}

// Validate reports what is wrong with the configuration, as an error of kind fault.Usage.
func (c Config) Validate() error {
	var wrong []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	check(c.Name == "lamb" || c.Name == "adam", "optim.name is %q; known: lamb, adam", c.Name)
	check(c.Beta1 >= 0 && c.Beta1 < 1 && c.Beta2 >= 0 && c.Beta2 < 1, "optim.beta1 and optim.beta2 must be in [0, 1)")
	check(c.Epsilon > 0, "optim.epsilon is %g; it must be positive", c.Epsilon)
	check(c.WeightDecay >= 0 && c.ClipNorm >= 0, "optim.weight_decay and optim.clip_norm must not be negative")
	if len(wrong) > 0 {
		return fault.New(fault.Usage, "optimizer: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// ApplyIfFinite is one update: the parameters' new values and moments (Gradient is dropped), and the global norm of the
// gradient before clipping. Where that norm or also, a scalar, is not finite, everything stays as it is. step (from 0) and
// learningRate are float32 scalars.
func (c Config) ApplyIfFinite(step, learningRate, also *Node, params []Variable) (updated []Variable, gradNorm, finite *Node) {
	bundles := c.bundles(params)
	gradNorm = globalNorm(bundles)
	finite = OptimizationBarrier(And(IsFinite(gradNorm), IsFinite(also))) // or every update has sums of its own
	return c.update(step, learningRate, gradNorm, finite, bundles), gradNorm, finite
}

// update updates where finite, a boolean scalar, is true. The result is in the order of the variables
// in the bundles.
func (c Config) update(step, learningRate, gradNorm, finite *Node, bundles []bundle) []Variable {
	rule, count := c.rule(), 0
	for _, b := range bundles {
		count += len(b.of)
	}
	updated := make([]Variable, count)
	for _, b := range bundles {
		p := b.joined
		p.Gradient = c.clip(p.Gradient, gradNorm)
		first, second := rule.moments(p)
		p, first, second = c.withMoments(p, first, second, finite)
		rate := learningRate
		if p.Rate != 1 {
			rate = MulScalar(rate, p.Rate)
		}
		value := Sub(p.Value, Mul(rule.direction(p, step), rate))
		b.split(Variable{Value: Where(finite, value, p.Value), First: first, Second: second}, updated)
	}
	return updated
}

// withMoments is the parameter with its new moments, for what follows from them, and the moments to keep.
func (c Config) withMoments(p Variable, first, second, finite *Node) (with Variable, keptFirst, keptSecond *Node) {
	keptFirst, keptSecond = Where(finite, first, p.First), Where(finite, second, p.Second)
	p.First, p.Second = first, second
	if c.storesMoments {
		stored := OptimizationBarriers(keptFirst, keptSecond)
		keptFirst, keptSecond = stored[0], stored[1]
		p.First, p.Second = keptFirst, keptSecond
	}
	return p, keptFirst, keptSecond
}

func (c Config) rule() rule {
	if c.Name == "lamb" {
		return lamb{adam{c}}
	}
	return adam{c}
}

// clip scales a gradient so that the norm of all together is at most ClipNorm (Pascanu et al., 2013).
func (c Config) clip(gradient, norm *Node) *Node {
	if c.ClipNorm == 0 {
		return gradient
	}
	limit := Scalar(norm.Graph(), dtypes.Float32, c.ClipNorm)
	return Mul(gradient, Div(limit, Max(norm, limit)))
}

// globalNorm adds up squares of gradients of one shape before it sums over them: one pass and one sum for all of a
// shape. On a TPU a sum of its own for each variable takes longer than the numbers need.
func globalNorm(bundles []bundle) *Node {
	var shapes []string
	squares := map[string]*Node{}
	for _, b := range bundles {
		shape, square := b.joined.Gradient.Shape().String(), Square(b.joined.Gradient)
		if squares[shape] == nil {
			shapes, squares[shape] = append(shapes, shape), square
		} else {
			squares[shape] = Add(squares[shape], square)
		}
	}
	sums := make([]*Node, len(shapes))
	for i, shape := range shapes {
		sums[i] = ReduceAllSum(squares[shape])
	}
	return Sqrt(ReduceAllSum(Stack(sums, 0)))
}

// Decayed tells whether weight decay and LAMB's trust ratio apply to a parameter: to all but biases and
// norms, whatever their encoder calls them: LayerNorm, layer_norm, attn_norm (official optimization.py;
// embeddings are decayed).
func Decayed(name string) bool {
	return !strings.Contains(strings.ToLower(name), "norm") && !strings.HasSuffix(name, "bias")
}
