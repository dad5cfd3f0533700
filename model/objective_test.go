package model

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// drawn samples replacements for rows of logits [rows,V] whose original token is always the same.
func drawn(t *testing.T, c Config, logits []float32, rows, original int) []int32 {
	t.Helper()
	V := len(logits)
	all := make([]float32, 0, rows*V)
	labels := make([]int32, rows)
	for i := range rows {
		all = append(all, logits...)
		labels[i] = int32(original)
	}
	out := call(t, func(in []*graph.Node) []*graph.Node {
		ctx := NewContext(nil, dtypes.Float32, StepKey(in[2], in[2]))
		d := newDistribution(scoresOf(graph.Transpose(in[0], 0, 1)))
		return []*graph.Node{c.sample(ctx, generated{distribution: d, labels: in[1]}, []int{rows / 4, 4})}
	}, tensors.FromFlatDataAndDimensions(all, rows, V), tensors.FromFlatDataAndDimensions(labels, rows), tensors.FromScalar(uint32(11)))
	if d := out[0].Shape().Dimensions; d[0] != rows/4 || d[1] != 4 {
		t.Fatalf("shape %v", d)
	}
	return flat[int32](out[0])
}

// TestSampling draws often and compares with the distribution that each way of drawing has.
func TestSampling(t *testing.T) {
	const rows, original, V = 8000, 2, 6
	logits := []float32{0, 1, 3, 2, -1, 0.5}
	softmaxOf := func(temperature float64, without int) []float64 {
		p, total := make([]float64, V), 0.0
		for i, z := range logits {
			if i != without {
				p[i] = math.Exp(float64(z) / temperature)
			}
			total += p[i]
		}
		for i := range p {
			p[i] /= total
		}
		return p
	}
	uniform := []float64{1. / V, 1. / V, 1. / V, 1. / V, 1. / V, 1. / V}
	for name, kase := range map[string]struct {
		sampling    string
		temperature float64
		disallow    bool
		want        []float64
	}{
		"multinomial":             {SamplingMultinomial, 1, false, softmaxOf(1, -1)},
		"multinomial, cool":       {SamplingMultinomial, 0.5, false, softmaxOf(0.5, -1)},
		"multinomial, disallowed": {SamplingMultinomial, 1, true, softmaxOf(1, original)},
		"argmax":                  {SamplingArgmax, 1, false, []float64{0, 0, 1, 0, 0, 0}},
		"argmax, disallowed":      {SamplingArgmax, 1, true, []float64{0, 0, 0, 1, 0, 0}},
		"uniform":                 {SamplingUniform, 1, false, uniform},
		"uniform, disallowed":     {SamplingUniform, 1, true, []float64{0.2, 0.2, 0, 0.2, 0.2, 0.2}},
	} {
		c, _ := Preset("tiny")
		c.Sampling, c.Temperature, c.DisallowCorrect = kase.sampling, kase.temperature, kase.disallow
		counts := make([]float64, V)
		for _, class := range drawn(t, c, logits, rows, original) {
			counts[class]++
		}
		for class, p := range kase.want {
			if math.Abs(counts[class]/rows-p) > 5*math.Sqrt(p*(1-p)/rows) {
				t.Errorf("%s: class %d drawn %g of the time, want %g", name, class, counts[class]/rows, p)
			}
		}
	}
}

// TestLabelRule: a guess that is right is original by ELECTRA's rule and replaced by the other; padding and
// tokens that were not masked are never replaced.
func TestLabelRule(t *testing.T) {
	ids := tensors.FromFlatDataAndDimensions([]int32{10, 11, 12, 13}, 1, 4)
	positions, weights := tensors.FromFlatDataAndDimensions([]int32{1, 3, 0}, 1, 3), tensors.FromFlatDataAndDimensions([]float32{1, 1, 0}, 1, 3)
	guesses := tensors.FromFlatDataAndDimensions([]int32{11, 99, 98}, 1, 3) // right, wrong, unused
	for replaced, want := range map[bool][]float32{false: {0, 0, 0, 1}, true: {0, 1, 0, 1}} {
		c := Config{CorrectIsReplaced: replaced}
		out := call(t, func(in []*graph.Node) []*graph.Node {
			slots := slotMask(in[1], in[2], 4)
			return []*graph.Node{c.labels(in[0], replaceAt(in[0], slots, in[3]), slots)}
		}, ids, positions, weights, guesses)
		if got := flat[float32](out[0]); !same(got, want) {
			t.Errorf("correct_is_replaced %v: labels %v, want %v", replaced, got, want)
		}
	}
}

// TestMaskedLanguageModel: the objective mlm is the full-size encoder's loss at the masked tokens; nothing is
// detected, and its statistics say so.
func TestMaskedLanguageModel(t *testing.T) {
	c := sharingConfig(SharingEmbeddings)
	c.Objective = ObjectiveMLM
	list := c.Weights()
	var args []*tensors.Tensor
	for _, w := range list {
		args = append(args, tensors.FromFlatDataAndDimensions(w.Initialize(1, 0.2), w.Shape...))
	}
	args = append(args, tensors.FromFlatDataAndDimensions([]int32{5, 6, 20, 7}, 1, 4), tensors.FromFlatDataAndDimensions(make([]int32, 4), 1, 4),
		tensors.FromFlatDataAndDimensions([]int32{4}, 1), tensors.FromFlatDataAndDimensions([]int32{1, 3}, 1, 2),
		tensors.FromFlatDataAndDimensions([]int32{4, 4}, 1, 2), tensors.FromFlatDataAndDimensions([]float32{1, 1}, 1, 2), tensors.FromScalar(uint32(3)))
	var hidden int
	out := call(t, func(in []*graph.Node) []*graph.Node {
		byName := map[string]*graph.Node{}
		for i, w := range list {
			byName[w.Name] = in[i]
		}
		b := in[len(list):]
		o := c.Forward(NewContext(byName, dtypes.Float32, StepKey(b[6], b[6])), Batch{IDs: b[0], SegmentIDs: b[1], Lengths: b[2],
			MaskedPositions: b[3], MaskedInputs: b[4], MaskedWeights: b[5]})
		if o.RTDLoss != nil || o.DiscriminatorLogits != nil {
			t.Error("a masked language model has a detection loss")
		}
		hidden = o.GeneratorHidden.Shape().Dimensions[2]
		return append([]*graph.Node{o.Loss, o.Statistics}, graph.Gradient(o.Loss, in[:len(list)]...)...)
	}, args...)
	if hidden != c.HiddenSize {
		t.Errorf("the encoder's width is %d, want the full %d", hidden, c.HiddenSize)
	}
	s := ParseStatistics(flat[float32](out[1]))
	loss := float64(flat[float32](out[0])[0])
	if s.MaskedTokens != 2 || math.Abs(s.MLMLoss/2-loss) > 1e-5 || s.Tokens != 0 || s.RTDLoss != 0 || !math.IsNaN(s.AUC()) {
		t.Errorf("loss %g, statistics %+v", loss, [4]float64{s.MLMLoss, s.MaskedTokens, s.RTDLoss, s.Tokens})
	}
	for i, w := range list {
		if gradient := flat[float32](out[2+i]); !touched(gradient) && w.Name != "discriminator.electra.encoder.layer.0.attention.self.key.bias" &&
			w.Name != "discriminator.electra.encoder.layer.1.attention.self.key.bias" {
			t.Errorf("no gradient reaches %s", w.Name)
		}
	}
}
