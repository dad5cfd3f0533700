// Axes: B batch, S sequence, K positions to fill, H hidden, V vocabulary.
package model

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// Text is the input of a trained model, all int32.
type Text struct {
	IDs, SegmentIDs *Node // [B,S]
	Lengths         *Node // [B]: tokens that are not padding
}

// Hidden is the discriminator's last hidden states, what fine-tuning builds on: [B,S,H] float32. With a key
// in the context there is dropout.
func (c *Config) Hidden(ctx *Context, in Text) *Node {
	return c.hidden(ctx, c.discriminator(), in)
}

func (c *Config) hidden(ctx *Context, t tower, in Text) *Node {
	keep := keepMask(in.Lengths, in.IDs.Shape().Dimensions[1])
	return c.encode(ctx, t, in.IDs, in.SegmentIDs, keep)
}

// Detect scores every position, positive where a token looks replaced: logits [B,S] float32. A model trained
// with ObjectiveMLM has no head for it.
func (c *Config) Detect(ctx *Context, in Text) *Node {
	return c.discriminatorLogits(ctx, c.Hidden(ctx, in))
}

// Fill gives the generator's logits at positions [B,K] of a text with [MASK] in it: [B,K,V] float32.
func (c *Config) Fill(ctx *Context, in Text, positions *Node) *Node {
	t := c.generator()
	hidden := c.hidden(ctx, t, in)
	slots := slotMask(positions, OnesLike(positions), in.IDs.Shape().Dimensions[1])
	B, K := positions.Shape().Dimensions[0], positions.Shape().Dimensions[1]
	transformed := c.generatorTransform(ctx, Reshape(ctx.gatherAt(hidden, slots), B*K, t.HiddenSize))
	return Reshape(c.ofVocabulary(c.vocabularyLogits(ctx, transformed)), B, K, c.VocabSize)
}
