// Axes: B batch, S sequence, M rows (masked slots of the batch), H hidden, E embedding, V vocabulary.
package model

import (
	. "github.com/gomlx/gomlx/core/graph"
)

func generatorHeadWeights(c *Config, e EncoderConfig) []Weight {
	list := linearWeights(nameGeneratorDense, c.EmbeddingSize, e.HiddenSize, InitTruncatedNormal)
	list = append(list, layerNormWeights(nameGeneratorNorm, c.EmbeddingSize)...)
	return append(list, Weight{nameGeneratorBias, []int{c.VocabSize}, InitZeros})
}

func discriminatorHeadWeights(e EncoderConfig) []Weight {
	list := linearWeights(nameDiscriminatorDense, e.HiddenSize, e.HiddenSize, InitTruncatedNormal)
	return append(list, linearWeights(nameDiscriminatorOut, 1, e.HiddenSize, InitGlorotUniform)...)
}

// generatorTransform maps hidden states [M,H] back to embedding width [M,E].
func (c *Config) generatorTransform(ctx *Context, hidden *Node) *Node {
	return ctx.layerNorm(ctx.activate(ctx.linear(hidden, nameGeneratorDense), c.GeneratorEncoder()), nameGeneratorNorm, c.LayerNormEpsilon)
}

// discriminatorLogits scores every position, positive where a token looks replaced: [B,S,H] to [B,S].
func (c *Config) discriminatorLogits(ctx *Context, hidden *Node) *Node {
	return Squeeze(ctx.linear(ctx.activate(ctx.linear(hidden, nameDiscriminatorDense), c.DiscriminatorEncoder()), nameDiscriminatorOut), -1)
}
