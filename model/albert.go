// Axes: B batch, S sequence, E embedding, H hidden.
package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
)

// albert is the encoder of ALBERT (Lan et al., 2020): BERT's post-norm layers, of which all that lie in one
// group share their weights. The founding article's ALECTRA has one group.
type albert struct{}

// embeddingMapping is ALBERT's projection; unlike BERT-style ELECTRA's it is there even where the widths
// agree.
const embeddingMapping = ".embedding_hidden_mapping_in"

func (albert) traits() traits {
	return traits{positions: true, alwaysProjects: true, forwardMatrices: 2, activation: "gelu_new"}
}

func (albert) weights(prefix string, e EncoderConfig) []Weight {
	prefix += nameEncoder
	list := linearWeights(prefix+embeddingMapping, e.HiddenSize, e.EmbeddingSize, InitTruncatedNormal)
	for group := range e.HiddenGroups {
		for inner := range e.InnerGroupNum {
			layer := albertLayer(prefix, group, inner)
			for _, name := range []string{"query", "key", "value", "dense"} {
				list = append(list, linearWeights(layer+"attention."+name, e.HiddenSize, e.HiddenSize, InitTruncatedNormal)...)
			}
			list = append(list, layerNormWeights(layer+"attention.LayerNorm", e.HiddenSize)...)
			list = append(list, linearWeights(layer+"ffn", e.IntermediateSize, e.HiddenSize, InitTruncatedNormal)...)
			list = append(list, linearWeights(layer+"ffn_output", e.HiddenSize, e.IntermediateSize, InitTruncatedNormal)...)
			list = append(list, layerNormWeights(layer+"full_layer_layer_norm", e.HiddenSize)...)
		}
	}
	return list
}

func albertLayer(prefix string, group, inner int) string {
	return fmt.Sprintf("%s.albert_layer_groups.%d.albert_layers.%d.", prefix, group, inner)
}

func (albert) encode(ctx *Context, prefix string, e EncoderConfig, x, keep *Node) *Node {
	prefix += nameEncoder
	x, pad := ctx.linear(x, prefix+embeddingMapping), paddingOf(keep)
	return ctx.layers(e.Layers, x, func(i int, x *Node) *Node {
		for inner := range e.InnerGroupNum {
			layer := albertLayer(prefix, i*e.HiddenGroups/e.Layers, inner)
			x = ctx.albertLayer(x, pad, e, layer, fmt.Sprintf("%s.%d.%d.", prefix, i, inner))
		}
		return x
	})
}

// albertLayer runs one layer with the weights of layer. site names this use of them, so that each has its
// own dropout.
func (ctx *Context) albertLayer(x *Node, pad padding, e EncoderConfig, layer, site string) *Node {
	project := func(name string) *Node { return ctx.linear(x, layer+"attention."+name) }
	mixed := ctx.attend(project("query"), project("key"), project("value"), pad, e, site+"attention.")
	joined := ctx.addBias(ctx.joinHeads(mixed, layer+"attention.dense"), layer+"attention.dense")
	a := ctx.dropout(joined, e.HiddenDropout, site+"attention")
	x = ctx.layerNorm(Add(x, a), layer+"attention.LayerNorm", e.LayerNormEpsilon)
	f := ctx.linear(ctx.activatedLinear(x, layer+"ffn", e), layer+"ffn_output")
	return ctx.layerNorm(Add(x, ctx.dropout(f, e.HiddenDropout, site+"ffn")), layer+"full_layer_layer_norm", e.LayerNormEpsilon)
}
