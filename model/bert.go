// Axes: B batch, S sequence, H hidden.
package model

import (
	"fmt"

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
	x, pad := ctx.project(x, prefix, e), paddingOf(keep)
	return ctx.layers(e.Layers, x, func(i int, x *Node) *Node {
		layer := bertLayer(prefix, i)
		a := ctx.attention(x, pad, e, layer+"attention.")
		x = ctx.addNorm(x, a, e, layer+"attention.output.")
		f := ctx.activatedLinear(x, layer+"intermediate.dense", e)
		return ctx.addNorm(x, ctx.linear(f, layer+"output.dense"), e, layer+"output.")
	})
}

// addNorm is the residual connection: LayerNorm(x + dropout(y)).
func (ctx *Context) addNorm(x, y *Node, e EncoderConfig, name string) *Node {
	return ctx.layerNorm(Add(x, ctx.dropout(y, e.HiddenDropout, name)), name+"LayerNorm", e.LayerNormEpsilon)
}
