// Axes: B batch, S sequence, K masked slots, M = B·K, H hidden, E embedding, V vocabulary.
package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Batch is the input of one step, all int32 but MaskedWeights (float32). Unused slots have weight 0.
type Batch struct {
	IDs, SegmentIDs *Node // [B,S]
	Lengths         *Node // [B]: tokens that are not padding
	MaskedPositions *Node // [B,K]
	MaskedInputs    *Node // [B,K]: what the generator sees there, [MASK] or the original
	MaskedWeights   *Node // [B,K]: 1 for slots in use, else 0
	SampledIDs      *Node // [B,K], optional: replacements to use instead of sampling
}

// Output is what the task computes from a batch. Losses are float32 scalars.
type Output struct {
	GeneratorHidden     *Node // [B,S,Hg]
	GeneratorLogits     *Node // [M,V]
	SampledIDs          *Node // [B,K]
	DiscriminatorIDs    *Node // [B,S]: the text with the generator's guesses in it
	Labels              *Node // [B,S] float32: 1 where a token was replaced by another
	DiscriminatorLogits *Node // [B,S]
	MLMLoss, RTDLoss    *Node
	Loss                *Node // generator_weight·MLMLoss + discriminator_weight·RTDLoss
	Statistics          *Node // see Statistics
}

// Forward is ELECTRA's task (Clark et al., 2020, section 2): a small masked language model guesses the
// masked tokens, guesses are drawn from its distribution, and the discriminator tells for every token
// whether it is the original. A guess that happens to be right counts as original. No gradient flows from
// the discriminator through the sampling. The context needs a key.
func (c *Config) Forward(ctx *Context, in Batch) Output {
	S := in.IDs.Shape().Dimensions[1]
	keep := keepMask(in.Lengths, S)
	slots := slotMask(in.MaskedPositions, in.MaskedWeights, S)
	gen := c.generate(ctx, in, keep, slots)

	out := Output{GeneratorHidden: gen.hidden, GeneratorLogits: gen.logits, MLMLoss: gen.loss, SampledIDs: in.SampledIDs}
	if out.SampledIDs == nil {
		out.SampledIDs = c.sample(ctx, gen.logits, in.MaskedPositions.Shape().Dimensions)
	}
	out.DiscriminatorIDs = replaceAt(in.IDs, slots, out.SampledIDs)
	out.Labels = ConvertDType(NotEqual(out.DiscriminatorIDs, in.IDs), dtypes.Float32)
	hidden := c.encode(ctx, discriminatorPrefix, c.DiscriminatorEncoder(), out.DiscriminatorIDs, in.SegmentIDs, keep)
	out.DiscriminatorLogits = c.discriminatorLogits(ctx, hidden)

	losses := binaryCrossEntropy(out.DiscriminatorLogits, out.Labels)
	weights := ConvertDType(keep, dtypes.Float32)
	out.RTDLoss = Div(ReduceAllSum(Mul(losses, weights)), ReduceAllSum(weights))
	out.Loss = Add(MulScalar(out.MLMLoss, c.GeneratorWeight), MulScalar(out.RTDLoss, c.DiscriminatorWeight))
	out.Statistics = statistics(in, gen, out, losses, weights)
	return out
}

// generated is the generator's half of a step. Rows of M are the slots, row by row.
type generated struct {
	hidden *Node // [B,S,Hg]
	logits *Node // [M,V] float32
	labels *Node // [M]: the original tokens
	losses *Node // [M]: negative log-likelihood of the originals
	loss   *Node // their weighted mean
}

func (c *Config) generate(ctx *Context, in Batch, keep, slots *Node) generated {
	e := c.GeneratorEncoder()
	ids := replaceAt(in.IDs, slots, in.MaskedInputs)
	hidden := c.encode(ctx, generatorPrefix, e, ids, in.SegmentIDs, keep)
	M := in.MaskedPositions.Shape().Size()
	transformed := c.generatorTransform(ctx, Reshape(ctx.gatherAt(hidden, slots), M, e.HiddenSize))
	gen := generated{
		hidden: hidden,
		logits: c.vocabularyLogits(ctx, transformed),
		labels: Reshape(readAt(in.IDs, slots), M),
	}
	gen.losses = Sub(logSumExp(gen.logits), c.labelLogits(ctx, transformed, gen.labels))
	weights := Reshape(in.MaskedWeights, M)
	gen.loss = Div(ReduceAllSum(Mul(gen.losses, weights)), MaxScalar(ReduceAllSum(weights), 1.0))
	return gen
}

// labelLogits decodes only the label's row of the word table for each slot, so that no one-hot over the
// vocabulary is made: [M].
func (c *Config) labelLogits(ctx *Context, transformed, labels *Node) *Node {
	index := InsertAxes(labels, -1)
	rows := ConvertDType(Gather(ctx.weight(nameWord), index), ctx.compute)
	products := Mul(ConvertDType(ConvertDType(transformed, ctx.compute), dtypes.Float32), ConvertDType(rows, dtypes.Float32))
	return Add(ReduceSum(products, 1), Gather(ctx.weight(nameGeneratorBias), index))
}

// logSumExp over the last axis: [M,V] to [M].
func logSumExp(x *Node) *Node {
	top := StopGradient(ReduceAndKeep(x, ReduceMax, -1))
	return Add(Log(ReduceSum(Exp(Sub(x, top)), -1)), Squeeze(top, -1))
}

// sample draws the replacements [B,K] from the generator's distribution.
func (c *Config) sample(ctx *Context, logits *Node, dims []int) *Node {
	logits = StopGradient(logits)
	centred := Sub(logits, ReduceAndKeep(logits, ReduceMax, -1))
	uniform := Reshape(randomUniform(ctx.key, "sample", dims...), logits.Shape().Dimensions[0])
	return Reshape(sampleCategorical(Exp(MulScalar(centred, 1/c.Temperature)), uniform), dims...)
}

// binaryCrossEntropy is the loss of logits z against labels y in {0,1}: max(z,0) − z·y + log(1+e^−|z|).
func binaryCrossEntropy(z, y *Node) *Node {
	return Add(Sub(MaxScalar(z, 0.0), Mul(z, y)), Log1p(Exp(Neg(Abs(z)))))
}
