// Axes: B batch, S position, H hidden, F feed-forward, N heads, D head size.
package model

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// modern is a pre-norm transformer with the parts of ModernBERT (Warner et al., 2024): rotary positions in
// place of a table, a gated feed-forward layer (GEGLU: Shazeer, 2020), no biases, a norm after the last layer
// and none before the first attention, which the embeddings' LayerNorm serves. Every layer attends globally:
// ModernBERT's local layers, with a window of 128, pay off at thousands of tokens, and ELECTRA's examples have
// at most 512.
//
// A layer has 4H² + 3HF numbers and its norms, where BERT's has 4H² + 2HF: intermediate_size is the width F
// behind the gate, so two thirds of BERT's make the two equally large. ModernBERT's base has F = 1.5H.
type modern struct{}

func (modern) traits() traits {
	return traits{evenHeadSize: true, forwardMatrices: 3, activation: "gelu"}
}

func (modern) weights(prefix string, e EncoderConfig) []Weight {
	H, F := e.HiddenSize, e.IntermediateSize
	var list []Weight
	add := func(name string, init Initializer, shape ...int) {
		list = append(list, Weight{prefix + name + ".weight", shape, init})
	}
	if e.EmbeddingSize != H {
		add(nameProjection, InitGlorotUniform, H, e.EmbeddingSize)
	}
	for i := range e.Layers {
		layer := bertLayer("", i)
		if i > 0 {
			add(layer+"attn_norm", InitOnes, H)
		}
		add(layer+"attn.Wqkv", InitTruncatedNormal, 3*H, H) // query, key, value
		add(layer+"attn.Wo", InitTruncatedNormal, H, H)
		add(layer+"mlp_norm", InitOnes, H)
		add(layer+"mlp.Wi", InitTruncatedNormal, 2*F, H) // what is activated, then its gate
		add(layer+"mlp.Wo", InitTruncatedNormal, H, F)
	}
	add(modernNorm, InitOnes, H)
	return list
}

// modernNorm normalises what the last layer leaves.
const modernNorm = nameEncoder + ".final_norm"

func (modern) encode(ctx *Context, prefix string, e EncoderConfig, x, keep *Node) *Node {
	if e.EmbeddingSize != e.HiddenSize {
		x = ctx.linearNoBias(x, prefix+nameProjection)
	}
	norm := func(x *Node, name string) *Node { return ctx.layerNormNoBias(x, name, e.LayerNormEpsilon) }
	pad, turn := paddingOf(keep), newRotation(x.Graph(), x.Shape().Dimensions[1], e.HeadSize())
	x = ctx.layers(e.Layers, x, func(i int, x *Node) *Node {
		layer, a := bertLayer(prefix, i), x
		if i > 0 {
			a = norm(x, layer+"attn_norm")
		}
		a = ctx.rotaryAttention(a, pad, turn, e, layer+"attn.")
		x = Add(x, ctx.dropout(a, e.HiddenDropout, layer+"attn"))
		f := ctx.gatedFeedForward(norm(x, layer+"mlp_norm"), e, layer+"mlp.")
		return Add(x, ctx.dropout(f, e.HiddenDropout, layer+"mlp"))
	})
	return norm(x, prefix+modernNorm)
}

// rotaryAttention is multi-head self-attention in which scores depend on the distance of two positions: x
// [B,S,H] to [B,S,H].
func (ctx *Context) rotaryAttention(x *Node, pad padding, turn rotation, e EncoderConfig, name string) *Node {
	all, H := ctx.linearNoBias(x, name+"Wqkv"), e.HiddenSize
	part := func(i int) *Node { return SliceAxis(all, -1, AxisRange(i*H, (i+1)*H)) }
	mixed := ctx.attend(turn.apply(part(0)), turn.apply(part(1)), part(2), pad, e, name)
	return ctx.joinHeads(mixed, name+"Wo")
}

// gatedFeedForward is GEGLU (Shazeer, 2020, equation 6), with the encoder's activation: x [B,S,H] to [B,S,H].
func (ctx *Context) gatedFeedForward(x *Node, e EncoderConfig, name string) *Node {
	both, F := ctx.linearNoBias(x, name+"Wi"), e.IntermediateSize
	activated := ctx.activate(SliceAxis(both, -1, AxisRange(0, F)), e)
	return ctx.linearNoBias(Mul(activated, SliceAxis(both, -1, AxisRange(F, 2*F))), name+"Wo")
}

// rotaryBase sets the rotation's wavelengths, from 2π to nearly 2π·rotaryBase positions. 10,000 is the
// original's (Su et al., 2021) and that of ModernBERT's local layers; its 160,000 serves 8,192 positions.
const rotaryBase = 10_000

// rotation turns queries and keys by angles proportional to their positions (Su et al., 2021, equation 34).
// Axes i and i+D/2 of a head are a pair, as in ModernBERT.
type rotation struct{ cos, sin *Node } // [1,S,1,1,D/2] float32

// newRotation computes the angles s·rotaryBase^(−2i/D) of positions s and pairs i.
func newRotation(g *Graph, S, D int) rotation {
	frequencies := make([]float32, D/2)
	for i := range frequencies {
		frequencies[i] = float32(math.Pow(rotaryBase, -2*float64(i)/float64(D)))
	}
	positions := Iota(g, shapes.Make(dtypes.Float32, 1, S, 1, 1, 1), 1)
	angles := Mul(positions, Reshape(Const(g, frequencies), 1, 1, 1, 1, D/2))
	return rotation{Cos(angles), Sin(angles)}
}

// apply turns every head of x [B,S,H], in float32.
func (r rotation) apply(x *Node) *Node {
	B, S, H, half := x.Shape().Dimensions[0], x.Shape().Dimensions[1], x.Shape().Dimensions[2], r.cos.Shape().Dim(-1)
	pairs := Reshape(ConvertDType(x, dtypes.Float32), B, S, H/(2*half), 2, half) // [B,S,N,2,D/2]
	a, b := SliceAxis(pairs, 3, AxisElem(0)), SliceAxis(pairs, 3, AxisElem(1))
	turned := Concatenate([]*Node{Sub(Mul(a, r.cos), Mul(b, r.sin)), Add(Mul(b, r.cos), Mul(a, r.sin))}, 3)
	return Reshape(turned, B, S, H)
}
