package model

import "sort"

// presets are the model sizes. tiny is ours, for a laptop; the others are ELECTRA's table 6, the
// generator's size being the paper's multiplier.
var presets = map[string]Config{
	"tiny":  preset(64, 128, 2, 2, 0.5, 0).withInitializerRange(0.1),
	"small": preset(128, 256, 12, 4, 0.25, 0.1),
}

func preset(embedding, hidden, layers, heads int, generator, dropout float64) Config {
	return Config{
		Encoder: "bert", EmbeddingSize: embedding, HiddenSize: hidden, Layers: layers, Heads: heads,
		IntermediateSize: 4 * hidden, MaxPositions: 512, TokenTypes: 2, HiddenGroups: 1, InnerGroupNum: 1,
		LayerNormEpsilon: 1e-12, InitializerRange: 0.02, HiddenDropout: dropout, AttentionDropout: dropout,
		Generator: Generator{Size: generator}, Objective: ObjectiveELECTRA, Sharing: SharingEmbeddings, Sampling: SamplingMultinomial,
		GeneratorWeight: 1, DiscriminatorWeight: 50, Temperature: 1,
	}
}

// withInitializerRange suits narrow models: about 1/√hidden, as 0.02 is about 1/√2048.
func (c Config) withInitializerRange(deviation float64) Config {
	c.InitializerRange = deviation
	return c
}

// Preset returns the configuration of a named size, and whether there is one.
func Preset(name string) (Config, bool) {
	c, ok := presets[name]
	return c, ok
}

// PresetNames lists the presets, smallest model first.
func PresetNames() []string {
	names := make([]string, 0, len(presets))
	for name := range presets {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := presets[names[i]], presets[names[j]]
		return a.Layers*a.HiddenSize < b.Layers*b.HiddenSize
	})
	return names
}
