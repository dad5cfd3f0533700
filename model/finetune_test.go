package model

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/fault"
)

// someWeights are all weights of a model, with residuals and biases that are not zero.
func someWeights(c *Config) map[string][]float32 {
	weights := map[string][]float32{}
	for _, w := range c.Weights() {
		weights[w.Name] = w.Initialize(1, 0.2)
		for i := range weights[w.Name] {
			weights[w.Name][i] += 0.01 * float32(i%5)
		}
	}
	return weights
}

// onText builds a function of some weights and a text of two rows, the second of them shorter, and runs it.
func onText(t *testing.T, list []Weight, weights map[string][]float32, build func(*Context, Text) *graph.Node) []float32 {
	t.Helper()
	var args []*tensors.Tensor
	for _, w := range list {
		args = append(args, tensors.FromFlatDataAndDimensions(weights[w.Name], w.Shape...))
	}
	args = append(args, tensors.FromFlatDataAndDimensions([]int32{5, 6, 20, 7, 8, 9, 0, 0}, 2, 4),
		tensors.FromFlatDataAndDimensions([]int32{0, 0, 1, 1, 0, 0, 0, 0}, 2, 4), tensors.FromFlatDataAndDimensions([]int32{4, 2}, 2))
	out := call(t, func(in []*graph.Node) []*graph.Node {
		byName := map[string]*graph.Node{}
		for i, w := range list {
			byName[w.Name] = in[i]
		}
		in = in[len(list):]
		return []*graph.Node{build(NewContext(byName, dtypes.Float32, nil), Text{IDs: in[0], SegmentIDs: in[1], Lengths: in[2]})}
	}, args...)
	return flat[float32](out[0])
}

// TestAlone takes the encoder out of models of every architecture and sharing: its hidden states must be those of
// the whole model, and nothing of generator and heads may be left.
func TestAlone(t *testing.T) {
	for _, encoder := range EncoderNames() {
		for _, kind := range append(sharings, ObjectiveMLM) {
			c := sharingConfig(kind)
			if kind == ObjectiveMLM {
				c.Sharing, c.Objective = SharingEmbeddings, ObjectiveMLM
			}
			c.Encoder = encoder
			weights := someWeights(&c)
			want := onText(t, c.Weights(), weights, c.Hidden)
			alone, found, err := c.Alone(weights)
			if err != nil {
				t.Fatalf("%s, %s: %v", encoder, kind, err)
			}
			if err := alone.Validate(); err != nil {
				t.Errorf("%s, %s: %v", encoder, kind, err)
			}
			got := onText(t, alone.encoderWeights(), found, alone.Hidden)
			for i := range want {
				if !(math.Abs(float64(got[i]-want[i])) <= 1e-5) {
					t.Fatalf("%s, %s: hidden state %d is %g alone and %g in the model", encoder, kind, i, got[i], want[i])
				}
			}
			for name := range found {
				if !strings.HasPrefix(name, discriminatorPrefix) || strings.HasSuffix(name, residualSuffix) || len(found) != len(alone.encoderWeights()) {
					t.Errorf("%s, %s: %s among %d weights", encoder, kind, name, len(found))
				}
			}
		}
	}
}

func TestAloneRefusals(t *testing.T) {
	c := sharingConfig(SharingGDES)
	for _, name := range []string{"discriminator.electra.embeddings.word_embeddings.residual", "discriminator.electra.encoder.layer.1.output.dense.bias"} {
		weights := someWeights(&c)
		delete(weights, name)
		if _, _, err := c.Alone(weights); fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), strings.TrimSuffix(name, "residual")) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// TestClassify computes the head by hand from the hidden states.
func TestClassify(t *testing.T) {
	c := sharingConfig(SharingEmbeddings)
	const outputs = 3
	list := c.ClassifierWeights(outputs)
	weights := someWeights(&c)
	for _, w := range list[len(list)-2:] {
		weights[w.Name] = w.Initialize(4, 0)
		weights[w.Name][0] += 0.5 // a bias too
	}
	hidden, logits := onText(t, list, weights, c.Hidden), onText(t, list, weights, c.Classify)
	if len(logits) != 2*outputs {
		t.Fatalf("%d logits", len(logits))
	}
	for row := range 2 {
		for o := range outputs {
			want := weights["classifier.bias"][o]
			for h := range c.HiddenSize {
				want += hidden[row*4*c.HiddenSize+h] * weights["classifier.weight"][o*c.HiddenSize+h]
			}
			if got := logits[row*outputs+o]; !(math.Abs(float64(got-want)) <= 1e-5) {
				t.Errorf("row %d, output %d: %g, by hand %g", row, o, got, want)
			}
		}
	}
}

func TestClassifierLosses(t *testing.T) {
	logits := tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 1000, 0, -1000}, 2, 3)
	out := call(t, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{CrossEntropy(in[0], in[1]), SquaredError(in[2], in[3])}
	}, logits, tensors.FromFlatDataAndDimensions([]int32{0, 1}, 2),
		tensors.FromFlatDataAndDimensions([]float32{0.5, -2}, 2, 1), tensors.FromFlatDataAndDimensions([]float32{0.25, 1}, 2))
	want := [][]float64{{math.Log(math.E+math.Exp(2)+math.Exp(3)) - 1, 1000}, {0.0625, 9}}
	for i, losses := range want {
		for k, got := range flat[float32](out[i]) {
			if !(math.Abs(float64(got)-losses[k]) <= 1e-5*max(1, losses[k])) {
				t.Errorf("loss %d of example %d is %g, want %g", i, k, got, losses[k])
			}
		}
	}
}
