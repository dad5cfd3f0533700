package glue

import (
	"io"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/janpfeifer/must"

	"elektron/dataset/wordpiece"
	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
	"elektron/model"
	"elektron/trainer"
	"elektron/trainer/optimizer"
)

// toyAttempt makes ready what FineTune does before a task's first run.
func toyAttempt(t testing.TB, c *Config) *attempt {
	t.Helper()
	m := must.M1(trainer.LoadModel(c.Run.Model, ""))
	encoder, _, err := m.Config.Alone(m.Weights)
	must.M(err)
	jobs := must.M1(plan(t.Context(), c, &encoder))
	data := must.M1(prepare(t.Context(), jobs[0], wordpiece.New(m.Vocabulary, m.Text)))
	return &attempt{task: jobs[0].task, recipe: &jobs[0].recipe, data: data, classifier: toyClassifier(t, encoder, nil), progress: io.Discard}
}

func toyClassifier(t testing.TB, encoder model.Config, change func(*programOptions)) *classifier {
	t.Helper()
	encoder.HiddenDropout, encoder.AttentionDropout = 0, 0
	o := programOptions{model: encoder, optimizer: Defaults().Optim, outputs: 2, layerDecay: 1, compute: dtypes.Float32}
	if change != nil {
		change(&o)
	}
	return newClassifier(devicetest.Open(t, platform.Go), o)
}

// toyEncoder is a narrow model's encoder.
func toyEncoder(t testing.TB, architecture string) model.Config {
	m := must.M1(trainer.LoadModel(toyModel(t, func(m *model.Config) { m.Encoder = architecture }), ""))
	encoder, _, err := m.Config.Alone(m.Weights)
	must.M(err)
	return encoder
}

// toyBatch has rows of several lengths in batches of a length.
func toyBatch(t testing.TB, rows, size, seqLen int) *Batch {
	t.Helper()
	var examples []Example
	for i := range rows {
		text, label := toyText(i)
		examples = append(examples, Example{A: text, Label: label, Index: i})
	}
	e := must.M1(Encode(t.Context(), tasks[1], examples, letters(t), seqLen))
	for b := range must.M1(NewBatches(e, size, []int{seqLen})).InOrder() {
		return b
	}
	return nil
}

func differ(a, b []float32) float64 {
	worst := 0.0
	for i := range a {
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return worst
}

// TestPadding: outputs do not depend on the length that a batch is padded to, whatever the encoder.
func TestPadding(t *testing.T) {
	for _, architecture := range model.EncoderNames() {
		c := toyClassifier(t, toyEncoder(t, architecture), nil)
		must.M(c.start(nil, 1))
		want := must.M1(c.outputsOf(toyBatch(t, 8, 8, 12)))
		for _, seqLen := range []int{16, 48} {
			got := must.M1(c.outputsOf(toyBatch(t, 8, 8, seqLen)))
			for i := range want {
				if worst := differ(got[i], want[i]); !(worst <= 1e-5) || want[i][0] == want[(i+1)%8][0] {
					t.Errorf("%s, length %d: example %d: %v, at length 12 %v", architecture, seqLen, i, got[i], want[i])
				}
			}
		}
	}
}

// stepped takes a step from fresh weights and returns the weights and the loss.
func stepped(t testing.TB, c *classifier, b *Batch, rate float64) (before, after map[string][]float32, loss float64) {
	t.Helper()
	must.M(c.start(nil, 1))
	before = must.M1(c.export())
	r := must.M1(c.step(b, 7, 0, rate))
	if !r.finite {
		t.Fatal("not finite")
	}
	return before, must.M1(c.export()), r.loss
}

// TestRowsWithoutWeight: rows that stand for no example change nothing, neither by what is in them nor by their number.
func TestRowsWithoutWeight(t *testing.T) {
	for _, sum := range []bool{false, true} {
		c := toyClassifier(t, toyEncoder(t, "bert"), func(o *programOptions) { o.sum = sum })
		_, exact, exactLoss := stepped(t, c, toyBatch(t, 5, 5, 16), 0.01)
		padded := toyBatch(t, 5, 8, 16)
		_, want, loss := stepped(t, c, padded, 0.01)
		for i := 5 * 16; i < 8*16; i++ {
			padded.IDs[i] = int32(5 + i%20)
		}
		padded.Lengths[6], padded.Labels[6] = 16, 1
		_, got, other := stepped(t, c, padded, 0.01)
		if math.Abs(loss-exactLoss) > 1e-6 || other != loss {
			t.Errorf("sum %v: loss %g, with padding rows %g, with other ones %g", sum, exactLoss, loss, other)
		}
		for name := range want {
			if differ(got[name], want[name]) != 0 || differ(exact[name], want[name]) > 1e-4 {
				t.Errorf("sum %v: %s depends on rows without weight: %g, %g", sum, name, differ(got[name], want[name]), differ(exact[name], want[name]))
			}
		}
	}
}

// TestLayerwiseRates: without clipping, Adam's first step is the same for every weight that has a gradient, times its
// rate.
func TestLayerwiseRates(t *testing.T) {
	for _, c := range []struct {
		architecture string
		official     bool
		rates        map[string]float64 // by a part of the name
	}{
		{"bert", false, map[string]float64{"classifier.weight": 1, "layer.1.output.dense.weight": 0.5, "layer.0.output.dense.weight": 0.25, "word_embeddings": 0.125, "embeddings_project.weight": 0.125}},
		{"bert", true, map[string]float64{"classifier.weight": 1, "layer.1.output.dense.weight": 0.25, "layer.0.output.dense.weight": 0.125, "word_embeddings": 0.0625, "embeddings_project.weight": 0.0625}},
		{"albert", false, map[string]float64{"classifier.weight": 1, "albert_layers.0.ffn.weight": 0.5, "word_embeddings": 0.125}},
		{"modern", false, map[string]float64{"classifier.weight": 1, "layer.1.mlp.Wo": 0.5, "layer.0.mlp.Wo": 0.25, "final_norm": 0.5, "word_embeddings": 0.125}},
	} {
		classifier := toyClassifier(t, toyEncoder(t, c.architecture), func(o *programOptions) {
			o.layerDecay, o.official, o.optimizer.ClipNorm, o.optimizer.Epsilon = 0.5, c.official, 0, 1e-12
		})
		const rate = 1e-3
		before, after, _ := stepped(t, classifier, toyBatch(t, 8, 8, 16), rate)
		full := rate * (1 - 0.9) / math.Sqrt(1-0.999)
		for part, factor := range c.rates {
			found := false
			for name := range before {
				if strings.Contains(name, part) {
					found = true
					if got := differ(before[name], after[name]) / full; math.Abs(got-factor) > 0.01 {
						t.Errorf("%s, official %v: %s moved at a rate of %.4f, want %g", c.architecture, c.official, name, got, factor)
					}
				}
			}
			if !found {
				t.Errorf("%s: no weight is named %s", c.architecture, part)
			}
		}
	}
}

// TestDropoutIsARule: dropout is a function of seed and step.
func TestDropoutIsARule(t *testing.T) {
	encoder := toyEncoder(t, "bert")
	c := toyClassifier(t, encoder, func(o *programOptions) { o.model.HiddenDropout, o.model.AttentionDropout = 0.3, 0.3 })
	losses := map[string]float64{}
	b := toyBatch(t, 8, 8, 16)
	for name, at := range map[string][2]int64{"a": {1, 1}, "a again": {1, 1}, "another seed": {2, 1}, "another step": {1, 2}} {
		must.M(c.start(nil, 1))
		losses[name] = must.M1(c.step(b, uint32(at[0]), at[1], 0)).loss
	}
	if losses["a"] != losses["a again"] || losses["a"] == losses["another seed"] || losses["a"] == losses["another step"] {
		t.Errorf("losses %v", losses)
	}
}

// TestNotFinite: a step without finite numbers leaves the state as it was.
func TestNotFinite(t *testing.T) {
	c := toyClassifier(t, toyEncoder(t, "bert"), func(o *programOptions) { o.regression, o.outputs = true, 1 })
	b := toyBatch(t, 8, 8, 16)
	b.Labels, b.Scores = nil, make([]float32, 8)
	b.Scores[3] = float32(math.Inf(1))
	must.M(c.start(nil, 1))
	before := must.M1(c.export())
	if r := must.M1(c.step(b, 1, 0, 0.1)); r.finite {
		t.Error("an infinite target gives a finite step")
	}
	for name, values := range must.M1(c.export()) {
		if differ(values, before[name]) != 0 {
			t.Errorf("%s changed", name)
		}
	}
	for i, moments := range c.state[len(c.weights):] {
		for _, x := range must.M1(device.Floats(moments)) {
			if x != 0 {
				t.Fatalf("moment %d changed", i)
			}
		}
	}
}

// TestLossOnXLA holds one step on XLA's CPU platform against the pure-Go backend, with dropout.
func TestLossOnXLA(t *testing.T) {
	device := devicetest.Open(t, platform.CPU)
	encoder := must.M1(trainer.LoadModel(toyModel(t, func(m *model.Config) { m.HiddenSize, m.IntermediateSize, m.Layers = 64, 64, 1 }), ""))
	alone, _, err := encoder.Config.Alone(encoder.Weights)
	must.M(err)
	o := programOptions{model: alone, optimizer: optimizer.Config{Name: "adam", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, ClipNorm: 1}, outputs: 2, layerDecay: 0.8, compute: dtypes.Float32}
	o.model.HiddenDropout, o.model.AttentionDropout = 0.1, 0.1
	here := newClassifier(devicetest.Open(t, platform.Go), o)
	there := newClassifier(device, o)
	b := toyBatch(t, 7, 8, 16)
	_, want, loss := stepped(t, here, b, 1e-3)
	_, got, other := stepped(t, there, b, 1e-3)
	if math.Abs(loss-other) > 1e-5 {
		t.Errorf("loss %g on XLA, %g in pure Go", other, loss)
	}
	for name := range want {
		if !strings.HasSuffix(name, "key.bias") && differ(got[name], want[name]) > 2e-4 { // which have no gradient but rounding
			t.Errorf("%s differs by %g", name, differ(got[name], want[name]))
		}
	}
}
