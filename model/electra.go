// Axes: B batch, S sequence, K masked slots, M = B·K, H hidden, E embedding, V vocabulary.
package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Objectives.
const (
	ObjectiveELECTRA = "electra" // replaced-token detection beside a generator's masked language model
	ObjectiveMLM     = "mlm"     // BERT's masked language model, of the encoder that would be the discriminator
)

// Batch is the input of one step, all int32 but MaskedWeights (float32). Unused slots have weight 0.
type Batch struct {
	IDs, SegmentIDs *Node // [B,S]
	Lengths         *Node // [B]: tokens that are not padding
	MaskedPositions *Node // [B,K]
	MaskedInputs    *Node // [B,K]: what the generator sees there, [MASK] or the original
	MaskedWeights   *Node // [B,K]: 1 for slots in use, else 0

	// Optional.
	SampledIDs          *Node // [B,K]: replacements to use instead of sampling
	DiscriminatorWeight *Node // float32 scalar: instead of the configuration's
	// Where the batch is a part of a larger one, what the losses are divided by: that one's masked and other
	// tokens, float32 scalars.
	AllMasked, AllTokens *Node
}

// Output is what the task computes from a batch. Losses are float32 scalars.
type Output struct {
	GeneratorHidden *Node // [B,S,Hg]
	GeneratorLogits *Node // [M,V]
	MLMLoss         *Node
	Loss            *Node // generator_weight·MLMLoss + discriminator_weight·RTDLoss
	Statistics      *Node // see Statistics

	// With ObjectiveELECTRA only.
	SampledIDs          *Node // [B,K]
	DiscriminatorIDs    *Node // [B,S]: the text with the generator's guesses in it
	Labels              *Node // [B,S] float32: 1 where the discriminator should see a replaced token
	DiscriminatorLogits *Node // [B,S]
	RTDLoss             *Node
}

// Forward is ELECTRA's task (Clark et al., 2020, section 2): a small masked language model guesses the
// masked tokens, guesses are drawn from its distribution, and the discriminator tells for every token
// whether it is the original. No gradient flows from the discriminator through the sampling. With
// ObjectiveMLM it ends with the guesses. The context needs a key.
func (c *Config) Forward(ctx *Context, in Batch) Output {
	S := in.IDs.Shape().Dimensions[1]
	keep := keepMask(in.Lengths, S)
	slots := slotMask(in.MaskedPositions, in.MaskedWeights, S)
	gen := c.generate(ctx, in, keep, slots)
	out := Output{GeneratorHidden: gen.hidden, GeneratorLogits: c.ofVocabulary(gen.logits), MLMLoss: gen.loss, Loss: MulScalar(gen.loss, c.GeneratorWeight)}
	out.SampledIDs = in.SampledIDs
	if out.SampledIDs == nil {
		out.SampledIDs = c.sample(ctx, gen, in.MaskedPositions.Shape().Dimensions)
	}
	if c.Objective == ObjectiveMLM {
		out.Statistics = statistics(generatorSums(in, gen, out), nil)
		return out
	}
	detected := c.detectReplaced(ctx, in, keep, slots, &out)
	out.Statistics = statistics(generatorSums(in, gen, out), &detected)
	return out
}

// detection is the discriminator's half of a step.
type detection struct {
	logits, labels, losses, weights *Node // [B,S] float32
}

// detectReplaced runs the discriminator on the text with the guesses in it and completes out.
func (c *Config) detectReplaced(ctx *Context, in Batch, keep, slots *Node, out *Output) detection {
	out.DiscriminatorIDs = replaceAt(in.IDs, slots, out.SampledIDs)
	out.Labels = c.labels(in.IDs, out.DiscriminatorIDs, slots)
	hidden := c.encode(ctx, c.discriminator(), out.DiscriminatorIDs, in.SegmentIDs, keep)
	out.DiscriminatorLogits = c.discriminatorLogits(ctx, hidden)
	d := detection{logits: out.DiscriminatorLogits, labels: out.Labels, weights: ConvertDType(keep, dtypes.Float32)}
	d.losses = OptimizationBarrier(binaryCrossEntropy(d.logits, d.labels)) // or XLA's CPU compiler rounds them as their sum's place has it
	tokens := in.AllTokens
	if tokens == nil {
		tokens = ReduceAllSum(d.weights)
	}
	out.RTDLoss = Div(weightedSum(d.losses, d.weights), tokens)
	weight := in.DiscriminatorWeight
	if weight == nil {
		weight = Scalar(tokens.Graph(), dtypes.Float32, c.DiscriminatorWeight)
	}
	out.Loss = Add(out.Loss, Mul(out.RTDLoss, weight))
	return d
}

// labels are 1 where a token was replaced by another: a guess that happens to be right counts as original
// (ELECTRA, section 2), unless the configuration says otherwise.
func (c *Config) labels(original, replaced, slots *Node) *Node {
	if c.CorrectIsReplaced {
		return ConvertDType(ReduceLogicalOr(slots, 1), dtypes.Float32)
	}
	return ConvertDType(NotEqual(replaced, original), dtypes.Float32)
}

// generated is the generator's half of a step. Rows of M are the slots, row by row.
type generated struct {
	hidden *Node // [B,S,Hg]
	logits *Node // [R,M] float32: see vocabularyLogits
	labels *Node // [M]: the original tokens
	losses *Node // [M]: negative log-likelihood of the originals
	loss   *Node // their weighted mean

	distribution distribution // of the guesses
}

func (c *Config) generate(ctx *Context, in Batch, keep, slots *Node) generated {
	t := c.generator()
	ids := replaceAt(in.IDs, slots, in.MaskedInputs)
	hidden := c.encode(ctx, t, ids, in.SegmentIDs, keep)
	M := in.MaskedPositions.Shape().Size()
	transformed := c.generatorTransform(ctx, Reshape(ctx.gatherAt(hidden, slots), M, t.HiddenSize))
	gen := generated{hidden: hidden, logits: c.vocabularyLogits(ctx, transformed), labels: Reshape(readAt(in.IDs, slots), M)}
	gen.distribution = newDistribution(c.vocabularyScores(ctx, transformed, gen.logits))
	gen.losses = c.vocabularyLoss(ctx, transformed, gen.logits, gen.labels, gen.distribution)
	weights := Reshape(in.MaskedWeights, M)
	masked := in.AllMasked
	if masked == nil {
		masked = ReduceAllSum(weights)
	}
	gen.loss = Div(weightedSum(gen.losses, weights), MaxScalar(masked, 1.0))
	return gen
}

// logSumExp over the last axis: [M,V] to [M].
func logSumExp(x *Node) *Node {
	top := StopGradient(ReduceAndKeep(x, ReduceMax, -1))
	return Add(Log(ReduceSum(Exp(Sub(x, top)), -1)), Squeeze(top, -1))
}

// binaryCrossEntropy is the loss of logits z against labels y in {0,1}: max(z,0) − z·y + log(1+e^−|z|).
func binaryCrossEntropy(z, y *Node) *Node {
	return Add(Sub(MaxScalar(z, 0.0), Mul(z, y)), Log1p(Exp(Neg(Abs(z)))))
}
