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

// rule makes of a variable's clipped gradient its new moments, and of a variable with these the step to subtract, before
// the learning rate. step counts from 0 and is a float32 scalar.
type rule interface {
	moments(u unit) (first, second *Node)
	direction(u unit, step *Node) *Node
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

// ApplyIfFinite is one update: of a state and the gradients of its parameters the new state, and the global norm of the
// gradient before clipping. Where that norm or also, a scalar, is not finite, everything stays as it is. step (from 0) and
// learningRate are float32 scalars.
func (l *Layout) ApplyIfFinite(step, learningRate, also *Node, state []*Node, gradients []Grad) (updated []*Node, gradNorm, finite *Node) {
	units := l.units(state, gradients)
	gradNorm = globalNorm(units)
	finite = OptimizationBarrier(And(IsFinite(gradNorm), IsFinite(also))) // or every update has sums of its own
	return l.state(l.update(step, learningRate, gradNorm, finite, units)), gradNorm, finite
}

// update updates where finite, a boolean scalar, is true.
func (c Config) update(step, learningRate, gradNorm, finite *Node, units []unit) []unit {
	rule := c.rule()
	updated := make([]unit, len(units))
	for i, u := range units {
		u.gradient = c.clip(u.gradient, gradNorm)
		first, second := rule.moments(u)
		u, first, second = c.withMoments(u, first, second, finite)
		rate := learningRate
		if u.rate != 1 {
			rate = MulScalar(rate, u.rate)
		}
		value := Sub(u.value, Mul(rule.direction(u, step), rate))
		updated[i] = unit{value: Where(finite, value, u.value), first: first, second: second}
	}
	return updated
}

// withMoments is the variable with its new moments, for what follows from them, and the moments to keep.
func (c Config) withMoments(u unit, first, second, finite *Node) (with unit, keptFirst, keptSecond *Node) {
	keptFirst, keptSecond = Where(finite, first, u.first), Where(finite, second, u.second)
	u.first, u.second = first, second
	if c.storesMoments {
		stored := OptimizationBarriers(keptFirst, keptSecond)
		keptFirst, keptSecond = stored[0], stored[1]
		u.first, u.second = keptFirst, keptSecond
	}
	return u, keptFirst, keptSecond
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
func globalNorm(units []unit) *Node {
	var shapes []string
	squares := map[string]*Node{}
	for _, u := range units {
		shape, square := u.gradient.Shape().String(), Square(u.gradient)
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
