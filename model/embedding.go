// Axes: B batch, S sequence, E embedding, V vocabulary.
package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

func embeddingWeights(c *Config) []Weight {
	list := []Weight{
		{nameWord, []int{c.VocabSize, c.EmbeddingSize}, InitTruncatedNormal},
		{namePosition, []int{c.MaxPositions, c.EmbeddingSize}, InitTruncatedNormal},
		{nameTokenType, []int{c.TokenTypes, c.EmbeddingSize}, InitTruncatedNormal},
	}
	return append(list, layerNormWeights(nameEmbedNorm, c.EmbeddingSize)...)
}

// embed looks up words, positions and token types and normalises their sum: ids and segments [B,S] to
// [B,S,E]. Tables and LayerNorm are one for both encoders (ELECTRA, section 3.2).
func (c *Config) embed(ctx *Context, ids, segments *Node, site string) *Node {
	words := Gather(ctx.weight(nameWord), ExpandAxes(ids, -1))
	S := ids.Shape().Dimensions[1]
	positions := InsertAxes(SliceAxis(ctx.weight(namePosition), 0, AxisRange(0, S)), 0)
	sum := Add(Add(words, positions), c.embedSegments(ctx, segments))
	return ctx.dropout(ctx.layerNorm(sum, nameEmbedNorm, c.LayerNormEpsilon), c.HiddenDropout, site+"embeddings")
}

// embedSegments multiplies a one-hot of the few token types with their table: its gradient is a sum, not a
// scatter.
func (c *Config) embedSegments(ctx *Context, segments *Node) *Node {
	table := ctx.weight(nameTokenType)
	return Dot(OneHot(segments, c.TokenTypes, dtypes.Float32), table).General([]int{2}, nil, []int{0}, nil)
}
