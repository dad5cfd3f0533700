package model

import (
	"math"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// TestSizes holds parameter counts and FLOPs against the published ones (13.48 M for the small
// discriminator; 9.14e9 useful FLOPs an example at S=128).
func TestSizes(t *testing.T) {
	small, _ := Preset("small")
	small.VocabSize = 30522
	generator := 0
	for _, w := range small.Weights() {
		if strings.HasPrefix(w.Name, "generator.") {
			generator += w.Size()
		}
	}
	if n := small.ParameterCount() - generator; math.Abs(float64(n)-13.48e6) > 0.1e6 {
		t.Errorf("the small discriminator has %d parameters, want 13.48 M", n)
	}
	if n := small.ParameterCount(); n != 14196219 {
		t.Errorf("small has %d parameters, want 14196219", n)
	}
	if f := small.FLOPs(128, 19); math.Abs(f/9.14e9-1) > 0.02 {
		t.Errorf("small at S=128 takes %g FLOPs an example, want 9.14e9", f)
	}
	if g := small.GeneratorEncoder(); g.HiddenSize != 64 || g.Heads != 1 || g.IntermediateSize != 256 || g.Layers != 12 {
		t.Errorf("small's generator is %+v", g)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*Config)
		says string
	}{
		{"encoder", func(c *Config) { c.Encoder = "bird" }, "bird"},
		{"heads", func(c *Config) { c.Heads = 3 }, "does not divide"},
		{"generator's heads", func(c *Config) { c.Generator.Heads = 5 }, "generator's 5 heads"},
		{"vocabulary", func(c *Config) { c.VocabSize = 0 }, "vocab_size"},
		{"activation", func(c *Config) { c.Activation = "sine" }, "sine"},
		{"groups", func(c *Config) { c.HiddenGroups = 5 }, "num_hidden_groups is 5 and does not divide"},
		{"negative groups", func(c *Config) { c.InnerGroupNum = -1 }, "inner_group_num -1"},
		{"dropout", func(c *Config) { c.HiddenDropout = 1 }, "dropout"},
		{"temperature", func(c *Config) { c.Temperature = 0 }, "temperature"},
		{"initializer", func(c *Config) { c.InitializerRange = math.NaN() }, "initializer_range"},
	} {
		config, _ := Preset("small")
		config.VocabSize = 1000
		if err := config.Validate(); err != nil {
			t.Fatal(err)
		}
		c.edit(&config)
		err := config.Validate()
		if fault.ExitCode(err) != 2 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestInitialize(t *testing.T) {
	w := Weight{Name: "w", Shape: []int{300, 200}, Init: InitTruncatedNormal}
	values := w.Initialize(1, 0.02)
	var mean, square, largest float64
	for _, v := range values {
		mean += float64(v) / float64(len(values))
		square += float64(v) * float64(v) / float64(len(values))
		largest = max(largest, math.Abs(float64(v)))
	}
	// A standard normal cut at two deviations has variance 0.7737.
	if math.Abs(mean) > 5*0.02/math.Sqrt(6e4) || math.Abs(square/(0.0004*0.7737)-1) > 0.03 || largest > 0.04 {
		t.Errorf("mean %g, variance %g, largest %g", mean, square, largest)
	}
	if other := w.Initialize(2, 0.02); other[0] == values[0] {
		t.Error("two seeds give the same weights")
	}
	renamed := w
	renamed.Name = "v"
	if renamed.Initialize(1, 0.02)[0] == values[0] {
		t.Error("two names give the same weights")
	}
	limit := math.Sqrt(6.0 / 500)
	w.Init = InitGlorotUniform
	for _, v := range w.Initialize(1, 0.02) {
		if math.Abs(float64(v)) > limit {
			t.Fatalf("%g is beyond Glorot's %g", v, limit)
		}
	}
}
