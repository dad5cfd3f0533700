// Axes: B batch, K masked slots, M = B·K, V vocabulary.
package model

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// How replacements are drawn.
const (
	SamplingMultinomial = "multinomial" // from the generator's distribution (ELECTRA, section 2)
	SamplingArgmax      = "argmax"      // the generator's likeliest token
	SamplingUniform     = "uniform"     // any token of the vocabulary alike, whatever the generator thinks
)

var samplings = []string{SamplingMultinomial, SamplingArgmax, SamplingUniform}

// sample draws the replacements: int32 of shape dims, [B,K].
func (c *Config) sample(ctx *Context, gen generated, dims []int) *Node {
	if c.Sampling == SamplingArgmax {
		return Reshape(ArgMax(c.adjusted(gen).all(), 0, dtypes.Int32), dims...)
	}
	d := gen.distribution
	if c.adjusts() {
		d = newDistribution(c.adjusted(gen))
	}
	uniform := Reshape(uniformOf(ctx.randomBits("sample", dims...)), gen.labels.Shape().Size())
	return Reshape(d.draw(uniform), dims...)
}

// adjusts tells whether replacements are drawn from another distribution than the generator's.
func (c *Config) adjusts() bool {
	return c.Sampling != SamplingMultinomial || c.Temperature != 1 || c.DisallowCorrect
}

// adjusted gives the logits of the distribution that replacements are drawn from.
func (c *Config) adjusted(gen generated) scores {
	all := func(after ...*Node) *Node {
		logits := gen.distribution.all(after...)
		g, class := logits.Graph(), Iota(logits.Graph(), shapes.Make(dtypes.Int32, logits.Shape().Dimensions...), 0)
		never := Scalar(g, dtypes.Float32, never)
		switch c.Sampling {
		case SamplingUniform:
			logits = Where(LessThan(class, Scalar(g, dtypes.Int32, gen.distribution.classes)), ZerosLike(logits), never)
		case SamplingMultinomial:
			logits = MulScalar(logits, 1/c.Temperature)
		}
		if !c.DisallowCorrect {
			return logits
		}
		return Where(Equal(class, InsertAxes(gen.labels, 0)), never, logits)
	}
	return newScores(gen.distribution.classes, all)
}
