package model

// namedPreset is a model size with its name.
type namedPreset struct {
	name string
	Config
}

// presets are the model sizes, smallest first. tiny is ours, for a laptop; the others are ELECTRA's table 6,
// small++ as the authors released it: with a generator of the discriminator's size. The generator's heads keep
// the discriminator's 64 wide in all of them: a third of base is 4 heads in 256, a quarter of large as well.
var presets = []namedPreset{
	{"tiny", preset(64, 128, 2, 2, 0.5, 0).withInitializerRange(0.1)},
	{"small", preset(128, 256, 12, 4, 0.25, 0.1)},
	{"small++", preset(128, 256, 12, 4, 1, 0.1)},
	{"base", preset(768, 768, 12, 12, 1.0/3, 0.1)},
	{"large", preset(1024, 1024, 24, 16, 0.25, 0.1)},
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
	for _, p := range presets {
		if p.name == name {
			return p.Config, true
		}
	}
	return Config{}, false
}

// PresetNames lists the presets, smallest model first.
func PresetNames() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.name
	}
	return names
}
