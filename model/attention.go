// Axes: B batch, S query position, T key position, H hidden, N heads, D head size.
package model

import (
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// padding says which keys count.
type padding struct {
	keep     *Node // [B,S]: true at them, which come first
	biasB11T *Node // what is added to scores: 0, and a large negative number at the others
}

func paddingOf(keep *Node) padding {
	g := keep.Graph()
	bias := Where(keep, Scalar(g, dtypes.Float32, 0.0), Scalar(g, dtypes.Float32, -1e9))
	return padding{keep, InsertAxes(bias, 1, 1)}
}

// lengths are the numbers of keys that count, at least 1: [B] int32.
func (p padding) lengths() *Node {
	return MaxScalar(ReduceSum(ConvertDType(p.keep, dtypes.Int32), -1), 1)
}

// attention is multi-head self-attention with its projections: x [B,S,H] to [B,S,H].
func (ctx *Context) attention(x *Node, pad padding, e EncoderConfig, name string) *Node {
	project := func(projection string) *Node { return ctx.linear(x, name+"self."+projection) }
	mixed := ctx.attend(project("query"), project("key"), project("value"), pad, e, name)
	return ctx.addBias(ctx.joinHeads(mixed, name+"output.dense"), name+"output.dense")
}

// attend is scaled dot-product attention of N heads (Vaswani et al., 2017, section 3.2): query, key and
// value [B,S,H] to [B,N,S,D].
func (ctx *Context) attend(query, key, value *Node, pad padding, e EncoderConfig, site string) *Node {
	site += "probabilities"
	B, S := query.Shape().Dimensions[0], query.Shape().Dimensions[1]
	heads := func(x *Node) *Node { return Reshape(x, B, S, e.Heads, e.HeadSize()) } // [B,S,N,D]
	if ctx.fuses(query.Graph(), e) {
		return ctx.fused(heads(query), heads(key), heads(value), pad)
	}
	query, key, value = heads(MulScalar(query, 1/math.Sqrt(float64(e.HeadSize())))), heads(key), heads(value)
	if ctx.rematerialize {
		probs := ctx.dropout(softmax(ctx.scores(query, key, pad.biasB11T)), e.AttentionDropout, site)
		return ctx.product(probs, []int{3}, []int{0, 1}, value, []int{1}, []int{0, 2})
	}
	if e.Heads == 1 { // an axis of one head would stand between what else is one pass over scores
		query, key, value = Squeeze(query, 2), Squeeze(key, 2), Squeeze(value, 2)
		return InsertAxes(ctx.mix(query, key, value, Squeeze(pad.biasB11T, 1), e.AttentionDropout, site), 1)
	}
	return ctx.mix(query, key, value, pad.biasB11T, e.AttentionDropout, site)
}

// fuses tells whether attention can be the one operation of cuDNN that GoMLX has for it. It is there in programs for GPUs
// that have it; it takes bfloat16 and heads of a multiple of 8 numbers, and knows no dropout that is ours.
func (ctx *Context) fuses(g *Graph, e EncoderConfig) bool {
	has := g.Backend().Capabilities().Operations
	return has[compute.OpTypeFusedScaledDotProductAttention] && has[compute.OpTypeFusedScaledDotProductAttentionVJP] &&
		ctx.multipliesHalf() && !ctx.drops(e.AttentionDropout) && e.HeadSize()%8 == 0
}

// fused is attention that writes no scores down, neither for the gradient: query, key and value [B,S,N,D] to [B,N,S,D].
// All queries are computed, those of padding too, so that nothing is left undefined.
func (ctx *Context) fused(query, key, value *Node, pad padding) *Node {
	dims := query.Shape().Dimensions
	all := BroadcastToDims(Scalar(query.Graph(), dtypes.Int32, dims[1]), dims[0])
	options := compute.ScaledDotProductAttentionConfig{Scale: 1 / math.Sqrt(float64(dims[3])),
		QuerySeqLen: InternalBackendOutputs(all)[0], KeyValueSeqLen: InternalBackendOutputs(pad.lengths())[0]}
	mixed, _ := BackendFusedScaledDotProductAttention(ctx.operand(query), ctx.operand(key), ctx.operand(value), compute.AttentionAxesLayoutBSHD, &options)
	return ConvertDType(TransposeAllAxes(mixed, 0, 2, 1, 3), dtypes.Float32)
}

// joinHeads is linearNoBias of heads side by side: x [B,N,S,D] to [B,S,H]. The product takes them as they lie; to join them
// before is a copy of all of x.
func (ctx *Context) joinHeads(x *Node, name string) *Node {
	weight := ctx.weight(name + ".weight")
	byHead := Reshape(weight, weight.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(3)) // [H,N,D]
	return ctx.product(x, []int{1, 3}, nil, byHead, []int{1, 2}, nil)
}

// scores are the products of queries and keys [B,S,N,D], and the bias: [B,N,S,T].
func (ctx *Context) scores(query, key, biasB11T *Node) *Node {
	return Add(ctx.product(query, []int{3}, []int{0, 2}, key, []int{3}, []int{0, 2}), biasB11T)
}

// lanes are the numbers side by side in a TPU's vector unit. A row of so many scores is the largest found, and taken from
// all, in the pass of the product that makes it; a longer one is written down in between, which costs more than its product
// does again.
const lanes = 128

// mix is softmax, dropout and the mean of values: query, key and value [B,S,N,D] to [B,N,S,D], or of one head [B,S,D] to the
// same, with a gradient of its own. Of all that is as large as the scores it keeps one array, in the type of products: the
// exponentials, of which those that dropout drops have a minus. The sum over keys in the softmax's gradient is one over the
// head size (Dao et al., "FlashAttention", 2022, appendix B.2, equation 4), so what arrives needs no pass of its own over
// scores. The result is rounded only where it is read: a product that ends as bfloat16 takes a TPU several times as long.
func (ctx *Context) mix(query, key, value, biasB11T *Node, rate float64, site string) *Node {
	q, k, v := ctx.operand(StopGradient(query)), ctx.operand(StopGradient(key)), ctx.operand(StopGradient(value))
	const position = 1                                // axis of these: S or T
	last := query.Rank() - 1                          // D, also T of [B,N,S,T]
	own, all := []int{0, 2}[:last-1], span(0, last-1) // axes of batch and heads, of these and of [B,N,·,·]
	scores := func(q *Node) *Node { return Add(multiply(q, []int{last}, own, k, []int{last}, own), biasB11T) }
	rows := scores(q)
	top := ReduceAndKeep(rows, ReduceMax, -1)
	if ctx.recomputes() && rows.Shape().Dim(-1) > lanes {
		rows = scores(afresh(q, top))
	}
	exps := Exp(Sub(rows, top))
	scale := Inverse(ReduceAndKeep(exps, ReduceSum, -1)) // [B,N,S,1]
	share := 1.0
	if kept, dropping := ctx.kept(rate, site, exps.Shape().Dimensions...); dropping {
		exps, share = Where(kept, exps, Neg(exps)), 1/(1-rate)
	}
	signed := OptimizationBarrier(ctx.operand(exps))
	weights := Max(signed, ZerosLike(signed))
	mixed := Mul(MulScalar(multiply(weights, []int{last}, all, v, []int{position}, own), share), scale) // [B,N,S,D]
	return withGradient(mixed, []*Node{query, key, value}, func(arriving *Node) []*Node {
		along := Mul(ReduceAndKeep(Mul(arriving, mixed), ReduceSum, -1), scale)
		scaled := ctx.operand(Mul(MulScalar(arriving, share), scale))
		toWeights := multiply(scaled, []int{last}, all, v, []int{last}, own) // [B,N,S,T]
		toWeights = Where(GreaterThan(signed, ZerosLike(signed)), toWeights, ZerosLike(toWeights))
		toScores := ctx.operand(Mul(Abs(ConvertDType(signed, dtypes.Float32)), Sub(toWeights, along)))
		toQuery := multiply(toScores, []int{last}, all, k, []int{position}, own)
		toKey := multiply(toScores, []int{last - 1}, all, q, []int{position}, own)
		toValue := multiply(weights, []int{last - 1}, all, scaled, []int{last - 1}, all)
		gradients := []*Node{toQuery, toKey, toValue} // [B,N,S or T,D]
		for i, x := range gradients {
			if len(all) > 1 {
				x = TransposeAllAxes(x, 0, 2, 1, 3)
			}
			gradients[i] = ConvertDType(x, query.DType())
		}
		return gradients
	})
}
