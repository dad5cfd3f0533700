package model

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// TestSpans computes the head by hand from the hidden states, for a text whose context is one token and one without.
func TestSpans(t *testing.T) {
	c := sharingConfig(SharingEmbeddings)
	list := c.SpanWeights(true)
	weights := someWeights(&c)
	for _, w := range list[len(list)-6:] {
		weights[w.Name] = w.Initialize(4, 0)
		weights[w.Name][0] += 0.5 // a bias too
	}
	S, H := 4, c.HiddenSize
	hidden := onText(t, list, weights, c.Hidden)
	got := onText(t, list, weights, func(ctx *Context, in Text) *graph.Node {
		s := c.Spans(ctx, in, true)
		return graph.Concatenate([]*graph.Node{s.Start, s.End, graph.InsertAxes(s.NoAnswer, -1)}, -1)
	})
	for row, allowed := range [][]int{{0, 2}, {0}} { // of the first row's segment 1 the last token is [SEP]
		logP := [2][]float64{}
		for side := range 2 {
			sum := 0.0
			for _, p := range allowed {
				sum += math.Exp(linearByHand(weights, "qa_outputs", side, hidden[(row*S+p)*H:][:H]))
			}
			for p := range S {
				want := -1e9
				if slices.Contains(allowed, p) {
					want = linearByHand(weights, "qa_outputs", side, hidden[(row*S+p)*H:][:H]) - math.Log(sum)
				}
				logP[side] = append(logP[side], want)
				if g := float64(got[row*(2*S+1)+side*S+p]); !(math.Abs(g-want) <= 1e-5*max(1, -want)) {
					t.Errorf("row %d, side %d, position %d: %g, by hand %g", row, side, p, g, want)
				}
			}
		}
		both := append(slices.Clone(hidden[row*S*H:][:H]), make([]float32, H)...)
		for p := range S {
			for h := range H {
				both[H+h] += float32(math.Exp(logP[0][p])) * hidden[(row*S+p)*H+h]
			}
		}
		inner := make([]float32, noAnswerWidth)
		for i := range inner {
			x := linearByHand(weights, "no_answer.dense", i, both)
			inner[i] = float32(x * 0.5 * (1 + math.Erf(x/math.Sqrt2)))
		}
		want := linearByHand(weights, "no_answer.out_proj", 0, inner)
		if g := float64(got[row*(2*S+1)+2*S]); !(math.Abs(g-want) <= 1e-4) {
			t.Errorf("row %d: no answer %g, by hand %g", row, g, want)
		}
	}
}

// linearByHand is an output of a linear layer.
func linearByHand(weights map[string][]float32, name string, output int, x []float32) float64 {
	sum := float64(weights[name+".bias"][output])
	for i, v := range x {
		sum += float64(v) * float64(weights[name+".weight"][output*len(x)+i])
	}
	return sum
}

func TestSpanLoss(t *testing.T) {
	logP := tensors.FromFlatDataAndDimensions([]float32{-1, -2, -3, -4, -5, -1e9}, 2, 3)
	odds := tensors.FromFlatDataAndDimensions([]float32{2, -1}, 2)
	out := call(t, func(in []*graph.Node) []*graph.Node {
		s := Spans{Start: in[0], End: graph.MulScalar(in[0], 2)}
		without := SpanLoss(s, in[2], in[3], 0.25)
		s.NoAnswer = in[1]
		return []*graph.Node{without, SpanLoss(s, in[2], in[3], 0.25)}
	}, logP, odds, tensors.FromFlatDataAndDimensions([]int32{1, 0}, 2), tensors.FromFlatDataAndDimensions([]int32{2, 0}, 2))
	softplus := func(x float64) float64 { return math.Log1p(math.Exp(x)) }
	spans := []float64{(2 + 2*3) / 2.0, (4 + 2*4) / 2.0}
	want := [][]float64{spans, {spans[0] + 0.25*softplus(2), spans[1] + 0.25*softplus(1)}} // the first has an answer, the second none
	for i := range want {
		for k, got := range flat[float32](out[i]) {
			if !(math.Abs(float64(got)-want[i][k]) <= 1e-5) {
				t.Errorf("%d, example %d: %g, want %g", i, k, got, want[i][k])
			}
		}
	}
	if c := sharingConfig(SharingEmbeddings); len(c.SpanWeights(false)) != len(c.ClassifierWeights(1)) {
		t.Error("weights without a use")
	}
}
