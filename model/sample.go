// Axes: M rows (masked slots of the batch), V vocabulary, P blocks of the vocabulary, W width of a block.
package model

import (
	"github.com/gomlx/compute"
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
	logits := StopGradient(gen.logits)
	switch c.Sampling {
	case SamplingUniform:
		logits = ZerosLike(logits)
	case SamplingMultinomial:
		logits = MulScalar(logits, 1/c.Temperature)
	}
	if c.DisallowCorrect {
		class := Iota(logits.Graph(), shapes.Make(dtypes.Int32, logits.Shape().Dimensions...), 1)
		logits = Where(Equal(class, InsertAxes(gen.labels, -1)), Scalar(logits.Graph(), dtypes.Float32, -1e9), logits)
	}
	if c.Sampling == SamplingArgmax {
		return Reshape(ArgMax(logits, 1, dtypes.Int32), dims...)
	}
	uniform := Reshape(uniformOf(ctx.randomBits("sample", dims...)), logits.Shape().Dimensions[0])
	weights := Exp(Sub(logits, ReduceAndKeep(logits, ReduceMax, -1)))
	return Reshape(sampleCategorical(weights, uniform), dims...)
}

// sampleBlock is the width of the blocks of the two-level search below: the lanes of a TPU's vector unit.
const sampleBlock = 128

// sampleCategorical draws one class a row with probability proportional to weights [M,V] (not negative), by
// inverting the cumulative sum at uniform [M]: first the block, then the class within it. Unlike the
// Gumbel trick it needs one random number a row and no noise tensor of [M,V]. Returns int32 [M].
func sampleCategorical(weights, uniform *Node) *Node {
	g := weights.Graph()
	M, V := weights.Shape().Dimensions[0], weights.Shape().Dimensions[1]
	P := (V + sampleBlock - 1) / sampleBlock
	padded := Pad(StopGradient(weights), ScalarZero(g, weights.DType()),
		compute.PadAxis{}, compute.PadAxis{End: P*sampleBlock - V})
	blocks := Reshape(padded, M, P, sampleBlock)
	sums := ReduceSum(blocks, 2)
	target := InsertAxes(Mul(StopGradient(uniform), ReduceSum(sums, 1)), -1)
	block := countBelow(sums, target)
	inBlock := LessThan(Iota(g, shapes.Make(dtypes.Int32, 1, P), 1), InsertAxes(block, -1))
	before := ReduceAndKeep(Where(inBlock, sums, ScalarZero(g, sums.DType())), ReduceSum, 1)
	rows := Iota(g, shapes.Make(dtypes.Int32, M, 1), 0)
	chosen := Gather(blocks, Concatenate([]*Node{rows, InsertAxes(block, -1)}, 1))
	class := Add(MulScalar(block, sampleBlock), countBelow(chosen, Sub(target, before)))
	return Min(class, Scalar(g, dtypes.Int32, V-1))
}

// countBelow finds, a row, the first place where the cumulative sum of x [M,W] exceeds target [M,1], at
// most the last place.
func countBelow(x, target *Node) *Node {
	below := LessOrEqual(CumSum(x, 1), target)
	count := ReduceSum(ConvertDType(below, dtypes.Int32), 1)
	return Min(count, Scalar(x.Graph(), dtypes.Int32, x.Shape().Dimensions[1]-1))
}
