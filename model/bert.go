// Axes: B batch, S query position, T key position, H hidden, N heads, D head size.
package model

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// bert is the post-norm transformer encoder of BERT (Devlin et al., 2019).
type bert struct{}

func (bert) traits() traits {
	return traits{positions: true, forwardMatrices: 2, activation: "gelu"}
}

func (bert) weights(prefix string, e EncoderConfig) []Weight {
	list := projectionWeights(prefix, e)
	for i := range e.Layers {
		layer := bertLayer(prefix, i)
		for _, name := range []string{"query", "key", "value"} {
			list = append(list, linearWeights(layer+"attention.self."+name, e.HiddenSize, e.HiddenSize, InitTruncatedNormal)...)
		}
		list = append(list, linearWeights(layer+"attention.output.dense", e.HiddenSize, e.HiddenSize, InitTruncatedNormal)...)
		list = append(list, layerNormWeights(layer+"attention.output.LayerNorm", e.HiddenSize)...)
		list = append(list, linearWeights(layer+"intermediate.dense", e.IntermediateSize, e.HiddenSize, InitTruncatedNormal)...)
		list = append(list, linearWeights(layer+"output.dense", e.HiddenSize, e.IntermediateSize, InitTruncatedNormal)...)
		list = append(list, layerNormWeights(layer+"output.LayerNorm", e.HiddenSize)...)
	}
	return list
}

func bertLayer(prefix string, i int) string {
	return fmt.Sprintf("%s%s.layer.%d.", prefix, nameEncoder, i)
}

func (bert) encode(ctx *Context, prefix string, e EncoderConfig, x, keep *Node) *Node {
	x, bias := ctx.project(x, prefix, e), attentionBias(keep)
	return ctx.layers(e.Layers, x, func(i int, x *Node) *Node {
		layer := bertLayer(prefix, i)
		a := ctx.attention(x, bias, e, layer+"attention.")
		x = ctx.addNorm(x, a, e, layer+"attention.output.")
		f := ctx.activate(ctx.linear(x, layer+"intermediate.dense"), e)
		return ctx.addNorm(x, ctx.linear(f, layer+"output.dense"), e, layer+"output.")
	})
}

// addNorm is the residual connection: LayerNorm(x + dropout(y)).
func (ctx *Context) addNorm(x, y *Node, e EncoderConfig, name string) *Node {
	return ctx.layerNorm(Add(x, ctx.dropout(y, e.HiddenDropout, name)), name+"LayerNorm", e.LayerNormEpsilon)
}

// attentionBias turns keep [B,S] into what is added to scores: 0 where a key counts, a large negative
// number elsewhere; [B,1,1,T].
func attentionBias(keep *Node) *Node {
	g := keep.Graph()
	bias := Where(keep, Scalar(g, dtypes.Float32, 0.0), Scalar(g, dtypes.Float32, -1e9))
	return InsertAxes(bias, 1, 1)
}

// attention is multi-head self-attention with its projections: x [B,S,H] to [B,S,H].
func (ctx *Context) attention(x, biasB11T *Node, e EncoderConfig, name string) *Node {
	project := func(projection string) *Node { return ctx.linear(x, name+"self."+projection) }
	mixed := ctx.attend(project("query"), project("key"), project("value"), biasB11T, e, name)
	return ctx.linear(mixed, name+"output.dense")
}

// attend is scaled dot-product attention of N heads (Vaswani et al., 2017, section 3.2): query, key and
// value [B,S,H] to [B,S,H].
func (ctx *Context) attend(query, key, value, biasB11T *Node, e EncoderConfig, site string) *Node {
	B, S := query.Shape().Dimensions[0], query.Shape().Dimensions[1]
	heads := func(x *Node) *Node { return Reshape(x, B, S, e.Heads, e.HeadSize()) } // [B,S,N,D]
	query = MulScalar(query, 1/math.Sqrt(float64(e.HeadSize())))
	scores := ctx.product(heads(query), []int{3}, []int{0, 2}, heads(key), []int{3}, []int{0, 2}) // [B,N,S,T]
	probs := ctx.dropout(softmax(Add(scores, biasB11T)), e.AttentionDropout, site+"probabilities")
	mixed := ctx.product(probs, []int{3}, []int{0, 1}, heads(value), []int{1}, []int{0, 2}) // [B,N,S,D]
	return Reshape(TransposeAllAxes(mixed, 0, 2, 1, 3), B, S, e.HiddenSize)
}
