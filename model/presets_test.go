package model

import (
	"fmt"
	"math"
	"testing"
)

// vocabulary is BERT's uncased one, with which ELECTRA's sizes were published.
const vocabulary = 30522

// TestPresets holds every size against the published one: parameters of the discriminator, its embeddings and
// the generator's layers, and useful FLOPs of a training step on one example (the official flops_computation.py
// with lookups instead of one-hots, at masked slots only, a gradient at twice the forward pass).
func TestPresets(t *testing.T) {
	for _, c := range []struct {
		name                                 string
		embeddings, discriminator, generator float64
		generatorShape                       string
		flops                                map[[2]int]float64 // by sequence length and masked slots
	}{
		{"small", 3.97e6, 13.48e6, 0.608e6, "64 wide, 1 heads, 256, 12 layers", map[[2]int]float64{{128, 19}: 9.14e9}},
		{"small++", 3.97e6, 13.48e6, 9.51e6, "256 wide, 4 heads, 1024, 12 layers", map[[2]int]float64{{512, 79}: 8.13e10}},
		{"base", 23.8e6, 108.9e6, 9.67e6, "256 wide, 4 heads, 1024, 12 layers", map[[2]int]float64{{128, 19}: 7.87e10, {512, 79}: 3.47e11}},
		{"large", 31.8e6, 334.1e6, 19.2e6, "256 wide, 4 heads, 1024, 24 layers", map[[2]int]float64{{512, 130}: 1.12e12}},
	} {
		config, ok := Preset(c.name)
		if !ok {
			t.Fatalf("no preset %s", c.name)
		}
		config.VocabSize = vocabulary
		p := config.Parameters()
		near(t, c.name+": embeddings", float64(p.Embeddings), c.embeddings, 3e-3)
		near(t, c.name+": discriminator", float64(p.Discriminator), c.discriminator, 1e-3)
		near(t, c.name+": generator", float64(p.Generator), c.generator, 3e-3)
		if p.Total != p.Discriminator+p.Generator+p.Heads || p.Total != config.ParameterCount() {
			t.Errorf("%s: the parts of %+v do not add up", c.name, p)
		}
		g := config.GeneratorEncoder()
		if shape := fmt.Sprintf("%d wide, %d heads, %d, %d layers", g.HiddenSize, g.Heads, g.IntermediateSize, g.Layers); shape != c.generatorShape || g.HeadSize() != 64 {
			t.Errorf("%s: the generator is %s, its heads %d wide; want %s, 64", c.name, shape, g.HeadSize(), c.generatorShape)
		}
		for at, want := range c.flops {
			near(t, fmt.Sprintf("%s: FLOPs at %v", c.name, at), config.FLOPs(at[0], at[1]), want, 2e-3)
		}
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got/want-1) <= tolerance) {
		t.Errorf("%s: %.5g, want %.4g within %g", what, got, want, tolerance)
	}
}

// TestPresetsAreValid trains nothing, but no preset may be refused.
func TestPresetsAreValid(t *testing.T) {
	names := PresetNames()
	if len(names) != 5 {
		t.Errorf("presets are %v", names)
	}
	for i, name := range names {
		config, _ := Preset(name)
		config.VocabSize = vocabulary
		if err := config.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if smaller, _ := Preset(names[max(0, i-1)]); smaller.Layers*smaller.HiddenSize > config.Layers*config.HiddenSize {
			t.Errorf("%s comes after a larger one", name)
		}
	}
	if _, ok := Preset("huge"); ok {
		t.Error("there is a preset huge")
	}
}

// TestFLOPsOfObjectives: a masked language model alone does not pay for a discriminator, and ALBERT's shared
// layers cost what unshared ones do.
func TestFLOPsOfObjectives(t *testing.T) {
	config, _ := Preset("small")
	config.VocabSize = vocabulary
	electra := config.FLOPs(128, 19)
	albert := config
	albert.Encoder = "albert"
	near(t, "ALBERT", albert.FLOPs(128, 19), electra, 1e-9)
	config.Objective = ObjectiveMLM
	near(t, "MLM", config.FLOPs(128, 19), 8.4e9, 1e-2)
	if p := config.Parameters(); p.Generator != 0 || p.Discriminator == 0 {
		t.Errorf("a masked language model has parts %+v", p)
	}
}
