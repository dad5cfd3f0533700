// Axes: B batch, S sequence, E embedding, H hidden.
package model

import (
	"sort"

	. "github.com/gomlx/gomlx/core/graph"
)

// encoder is an architecture: what it is made of, and how it maps embeddings [B,S,E] to hidden states
// [B,S,H]. prefix is its side's, with which the names of all its weights begin; keep [B,S] is true at
// positions that may be attended to. The task knows no more of it.
type encoder interface {
	traits() traits
	weights(prefix string, e EncoderConfig) []Weight
	encode(ctx *Context, prefix string, e EncoderConfig, x, keep *Node) *Node
}

// traits are what the rest of the model must know of an architecture.
type traits struct {
	positions       bool   // embeddings add the table of absolute positions
	evenHeadSize    bool   // the head size must be even
	alwaysProjects  bool   // embeddings are mapped to the hidden width even where that is theirs
	forwardMatrices int    // matrices of H·F numbers in a feed-forward layer
	activation      string // where none is set
}

func (e EncoderConfig) traits() traits { return encoders[e.Kind].traits() }

// encoders holds every architecture by name; a new one is a new file and one line here.
var encoders = map[string]encoder{
	"bert":   bert{},
	"albert": albert{},
	"modern": modern{},
}

// EncoderNames lists the architectures.
func EncoderNames() []string {
	names := make([]string, 0, len(encoders))
	for name := range encoders {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// encode embeds ids [B,S] and runs one tower: [B,S,H], float32.
func (c *Config) encode(ctx *Context, t tower, ids, segments, keep *Node) *Node {
	ctx = ctx.within(t.site)
	return encoders[t.Kind].encode(ctx, t.layers, t.EncoderConfig, c.embed(ctx, t, ids, segments), keep)
}

// projectionWeights are those of ELECTRA's map from embedding to hidden width, if the two differ.
func projectionWeights(prefix string, e EncoderConfig) []Weight {
	if e.EmbeddingSize == e.HiddenSize {
		return nil
	}
	return linearWeights(prefix+nameProjection, e.HiddenSize, e.EmbeddingSize, InitGlorotUniform)
}

// project maps embeddings [B,S,E] to [B,S,H].
func (ctx *Context) project(x *Node, prefix string, e EncoderConfig) *Node {
	if e.EmbeddingSize == e.HiddenSize {
		return x
	}
	return ctx.linear(x, prefix+nameProjection)
}

// layers runs n layers, one after the other. Where the context rematerialises, only what goes into a layer is
// kept for the gradient, and the layer is computed again when its gradient is (Chen et al., 2016).
func (ctx *Context) layers(n int, x *Node, layer func(i int, x *Node) *Node) *Node {
	for i := range n {
		if ctx.rematerialize {
			x = x.Checkpoint()
		}
		x = layer(i, x)
	}
	if ctx.rematerialize {
		return x.StopCheckpoint()
	}
	return x
}
