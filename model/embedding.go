// Axes: B batch, S sequence, E embedding, V vocabulary.
package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// embeddingWeights are the tables and LayerNorms that the towers read, each once.
func embeddingWeights(c *Config, towers []tower) []Weight {
	var list []Weight
	seen := map[string]bool{}
	add := func(weights ...Weight) {
		for _, w := range weights {
			if !seen[w.Name] {
				seen[w.Name] = true
				list = append(list, w)
			}
		}
	}
	for _, t := range towers {
		for _, table := range []struct {
			name string
			rows int
		}{{nameWord, c.VocabSize}, {namePosition, c.MaxPositions}, {nameTokenType, c.TokenTypes}} {
			if table.name == namePosition && !t.traits().positions {
				continue
			}
			shape := []int{table.rows, c.EmbeddingSize}
			add(Weight{t.tables + table.name + tableSuffix, shape, InitTruncatedNormal})
			if t.residual != "" {
				add(Weight{t.residual + table.name + residualSuffix, shape, InitZeros})
			}
		}
		add(layerNormWeights(t.norm(), c.EmbeddingSize)...)
	}
	return list
}

// embed looks up words, token types and, where the encoder wants them, positions, and normalises their sum:
// ids and segments [B,S] to [B,S,E].
func (c *Config) embed(ctx *Context, t tower, ids, segments *Node) *Node {
	S := ids.Shape().Dimensions[1]
	sum := t.lookup(ctx, nameWord, func(table *Node) *Node { return Gather(table, ExpandAxes(ids, -1)) })
	if t.traits().positions {
		positions := t.lookup(ctx, namePosition, func(table *Node) *Node { return SliceAxis(table, 0, AxisRange(0, S)) })
		sum = Add(sum, InsertAxes(positions, 0))
	}
	sum = Add(sum, t.lookup(ctx, nameTokenType, func(table *Node) *Node { return c.embedSegments(segments, table) }))
	return ctx.dropout(ctx.layerNorm(sum, t.norm(), c.LayerNormEpsilon), c.HiddenDropout, t.layers+"embeddings")
}

// embedSegments multiplies a one-hot of the few token types with their table: its gradient is a sum, not a
// scatter.
func (c *Config) embedSegments(segments, table *Node) *Node {
	return Dot(OneHot(segments, c.TokenTypes, dtypes.Float32), table).General([]int{2}, nil, []int{0}, nil)
}
