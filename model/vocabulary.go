// Axes: M rows (masked slots of the batch), E embedding, V vocabulary, P blocks of the vocabulary, W width of a block, R = P·W
// rows of whole blocks, V or a few more.
package model

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// The generator's distribution over the vocabulary is read several times: for its largest logit, for the sums of
// the exponentials, for the draw, for the gradient. [V,M] in float32 is so large that on a TPU each pass over it in
// memory costs several times the product that makes it. So there the largest logit, the sums, and what follows from these
// (draw and gradient together) have a product each, which is fused with what reads it, and logits are never written to
// memory; elsewhere they are computed once.

// blockWidth is the width of blocks of the vocabulary.
const blockWidth = lanes

// never is the logit of what cannot be drawn.
const never = -1e9

// wholeBlocks fills the last block of x [V,…] up with a value: [R,…]. To cut blocks out of a table that does not end with
// one is a copy of all of it.
func wholeBlocks(x *Node, value float64) *Node {
	dims := slices.Clone(x.Shape().Dimensions)
	rest := dims[0] % blockWidth
	if rest == 0 {
		return x
	}
	dims[0] = blockWidth - rest
	return Concatenate([]*Node{x, BroadcastToDims(Scalar(x.Graph(), x.DType(), value), dims...)}, 0)
}

// vocabularyLogits decodes [M,E] with the word table, the same array that embeds: [R,M]. Logits behind the vocabulary are
// never. The bias needs no spread: what arrives at it is summed where it is made, in a product's pass.
func (c *Config) vocabularyLogits(ctx *Context, transformed *Node) *Node {
	transformed = gradientApart(transformed)
	logits := c.generator().lookup(ctx, nameWord, func(table *Node) *Node {
		return ctx.product(wholeBlocks(table, 0), []int{1}, nil, transformed, []int{1}, nil)
	})
	bias := InsertAxes(wholeBlocks(ctx.weight(nameGeneratorBias), never), -1)
	return Add(logits, BroadcastToDims(bias, logits.Shape().Dimensions...))
}

// gradientApart is x, whose gradient is a pass of its own: a product over all the vocabulary, with what follows in its pass, is
// cut into parts of which each reads its operands again.
func gradientApart(x *Node) *Node {
	return IdentityWithCustomGradient(x, func(_, v *Node) *Node { return OptimizationBarrier(v) })
}

// blockLogits are vocabularyLogits by block, from a product of blocks: [P,W,M], without a gradient.
func (c *Config) blockLogits(ctx *Context, transformed *Node) *Node {
	logits := c.generator().lookup(ctx, nameWord, func(table *Node) *Node {
		return ctx.product(inBlocks(StopGradient(wholeBlocks(table, 0))), []int{2}, nil, transformed, []int{1}, nil)
	})
	bias := StopGradient(wholeBlocks(ctx.weight(nameGeneratorBias), never))
	return Add(logits, inBlocks(InsertAxes(bias, -1)))
}

// ofVocabulary leaves out what is behind the vocabulary, and gives a row to each slot: [R,M] to [M,V].
func (c *Config) ofVocabulary(logits *Node) *Node {
	return TransposeAllAxes(SliceAxis(logits, 0, AxisRange(0, c.VocabSize)), 1, 0)
}

// scores are logits without a gradient. Each call may compute them anew, after the nodes given.
type scores struct {
	classes int                        // V
	all     func(after ...*Node) *Node // [R,M]
	blocks  func(after ...*Node) *Node // [P,W,M]
}

// newScores are scores whose blocks are cut out of all of them.
func newScores(classes int, all func(after ...*Node) *Node) scores {
	return scores{classes, all, func(after ...*Node) *Node { return inBlocks(all(after...)) }}
}

// inBlocks splits the first axis of x [R,·] into blocks: [P,W,·].
func inBlocks(x *Node) *Node {
	dims := x.Shape().Dimensions
	return Reshape(x, dims[0]/blockWidth, blockWidth, dims[1])
}

// scoresOf gives logits [V,M].
func scoresOf(logits *Node) scores {
	all := StopGradient(wholeBlocks(logits, never))
	return newScores(logits.Shape().Dimensions[0], func(...*Node) *Node { return all })
}

// vocabularyScores are vocabularyLogits: those given, where they are at hand.
func (c *Config) vocabularyScores(ctx *Context, transformed, logits *Node) scores {
	if !ctx.recomputes() {
		return newScores(c.VocabSize, func(...*Node) *Node { return StopGradient(logits) })
	}
	again := func(logits func(ctx *Context, transformed *Node) *Node) func(after ...*Node) *Node {
		return func(after ...*Node) *Node {
			return StopGradient(logits(ctx, afresh(StopGradient(transformed), after...)))
		}
	}
	return scores{c.VocabSize, again(c.vocabularyLogits), again(c.blockLogits)}
}

// afresh is x for a computation that is to be done again, once the nodes of after are there: the compiler does not
// see that it is the same.
func afresh(x *Node, after ...*Node) *Node {
	return OptimizationBarriers(append([]*Node{x}, after...)...)[0]
}

// distribution is that of the softmax of scores, for each of M rows.
type distribution struct {
	scores
	first *Node // [R,M]: the logits from which top was read
	top   *Node // [M]: the largest logit
	sums  *Node // [P,M]: Σ exp(logit − top) over each block
	last  *Node // [P,W,M]: the logits for all that needs the sums first
}

func newDistribution(s scores) distribution {
	d := distribution{scores: s, first: s.all()}
	d.top = ReduceMax(d.first, 0)
	d.sums = ReduceSum(Exp(Sub(s.blocks(d.top), InsertAxes(d.top, 0, 0))), 1)
	d.last = s.blocks(d.sums)
	return d
}

// logSumExp is the logarithm of the softmax's denominator: [M].
func (d distribution) logSumExp() *Node { return Add(Log(ReduceSum(d.sums, 0)), d.top) }

// likeliest tells of classes, int32 [M], whether none is likelier: [M].
func (d distribution) likeliest(classes *Node) *Node {
	here := Equal(Iota(classes.Graph(), shapes.Make(dtypes.Int32, d.first.Shape().Dimensions...), 0), InsertAxes(classes, 0))
	return GreaterOrEqual(ReduceMax(Where(here, d.first, Scalar(here.Graph(), d.first.DType(), never)), 0), d.top)
}

// draw takes one class a row with its probability, by inverting the cumulative sum at uniform [M]: first the block,
// then the class within it. Unlike the Gumbel trick it needs one random number a row and no noise of [V,M]. Returns
// int32 [M].
func (d distribution) draw(uniform *Node) *Node {
	g := uniform.Graph()
	P := d.sums.Shape().Dimensions[0]
	sums := TransposeAllAxes(d.sums, 1, 0)
	target := InsertAxes(Mul(uniform, ReduceSum(sums, 1)), -1)
	block := countBelow(sums, target)
	inBlock := LessThan(Iota(g, shapes.Make(dtypes.Int32, 1, P), 1), InsertAxes(block, -1))
	before := ReduceAndKeep(Where(inBlock, sums, ScalarZero(g, sums.DType())), ReduceSum, 1)
	class := Add(MulScalar(block, blockWidth), countBelow(d.blockWeights(block), Sub(target, before)))
	return Min(class, Scalar(g, dtypes.Int32, d.classes-1))
}

// blockWeights are exp(logit − top) of one block a row: block [M] to [M,W].
func (d distribution) blockWeights(block *Node) *Node {
	P, M := d.last.Shape().Dimensions[0], d.last.Shape().Dimensions[2]
	here := Equal(Iota(block.Graph(), shapes.Make(dtypes.Int32, P, 1, M), 0), InsertAxes(block, 0, 0))
	logits := ReduceSum(Where(BroadcastToShape(here, d.last.Shape()), d.last, ZerosLike(d.last)), 0) // [W,M]
	return TransposeAllAxes(Exp(Sub(logits, InsertAxes(d.top, 0))), 1, 0)
}

// countBelow finds, a row, the first place where the cumulative sum of x [M,W] exceeds target [M,1], at
// most the last place.
func countBelow(x, target *Node) *Node {
	below := LessOrEqual(CumSum(x, 1), target)
	count := ReduceSum(ConvertDType(below, dtypes.Int32), 1)
	return Min(count, Scalar(x.Graph(), dtypes.Int32, x.Shape().Dimensions[1]-1))
}

// vocabularyLoss is the negative log-likelihood of labels [M]: [M]. Its gradient to the logits is the softmax.
func (c *Config) vocabularyLoss(ctx *Context, transformed, logits, labels *Node, d distribution) *Node {
	denominator := StopGradient(d.logSumExp())
	sum := withGradient(denominator, []*Node{logits}, func(arriving *Node) []*Node {
		gradient := Mul(Exp(Sub(d.last, InsertAxes(denominator, 0, 0))), InsertAxes(arriving, 0, 0))
		return []*Node{Reshape(gradient, logits.Shape().Dimensions...)}
	})
	return Sub(sum, c.labelLogits(ctx, transformed, labels))
}

// labelLogits decodes only the label's row of the word table for each slot, so that no one-hot over the
// vocabulary is made: [M].
func (c *Config) labelLogits(ctx *Context, transformed, labels *Node) *Node {
	index := InsertAxes(labels, -1)
	rows := c.generator().lookup(ctx, nameWord, func(table *Node) *Node { return Gather(table, index) })
	products := Mul(ConvertDType(ctx.operand(transformed), dtypes.Float32), ConvertDType(ctx.operand(rows), dtypes.Float32))
	return Add(ReduceSum(products, 1), Gather(ctx.weight(nameGeneratorBias), index))
}
