package trainer

import (
	"strings"

	"elektron/dataset"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/internal/settings"
	"elektron/model"
	"elektron/trainer/optimizer"
)

// recipes are what a preset sets beside the model, by configuration key. tiny's were tuned for Go's doc
// comments on two cores (docs/tiny.md); small's are those of the released LAMB-trained small models.
var recipes = map[string]map[string]any{
	"tiny": {
		"data.seq_len": 32, "data.batch_size": 32, "optim.lr": 1.2e-3, "run.steps": 2000,
		"run.log_every": 50, "run.eval_every": 500, "run.eval_batches": 40, "run.checkpoint_every": 500,
	},
	"small": {
		"data.seq_len": 128, "data.batch_size": 512, "optim.lr": 2e-3, "run.steps": 500_000,
		"run.log_every": 10, "run.eval_every": 5000, "run.eval_batches": 32, "run.checkpoint_every": 1000,
	},
}

// defaults is the configuration below every preset.
func defaults() Config {
	m, _ := model.Preset("tiny")
	return Config{
		Preset: "tiny",
		Model:  m,
		Data:   DataConfig{VocabSize: dataset.DefaultVocabularySize, MaskProb: 0.15, ValidShare: 0.02, TextField: "text"},
		Optim: OptimConfig{WarmupSteps: -1, Config: optimizer.Config{
			Name: "lamb", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, WeightDecay: 0.01, ClipNorm: 1, BiasCorrection: true}},
		Run: RunConfig{Seed: 1, DType: "f32", Platform: platform.Auto, Out: "run", Resume: "auto", Keep: 3, Accumulate: 1},
	}
}

// presetValues are all values of a preset, by key.
func presetValues(name string) (map[string]any, error) {
	m, ok := model.Preset(name)
	if !ok {
		return nil, fault.New(fault.Usage, "trainer: unknown preset %q; known: %s%s", name,
			strings.Join(model.PresetNames(), ", "), settings.DidYouMean(settings.Nearest(name, model.PresetNames())))
	}
	values := map[string]any{
		"model.encoder": m.Encoder, "model.embedding_size": m.EmbeddingSize, "model.hidden_size": m.HiddenSize,
		"model.layers": m.Layers, "model.heads": m.Heads, "model.intermediate_size": m.IntermediateSize,
		"model.max_positions": m.MaxPositions, "model.hidden_dropout": m.HiddenDropout,
		"model.attention_dropout": m.AttentionDropout, "model.generator.size": m.Generator.Size,
		"model.initializer_range": m.InitializerRange,
	}
	for key, value := range recipes[name] {
		values[key] = value
	}
	return values, nil
}

// Preset returns the whole configuration of a preset. Errors have kind fault.Usage.
func Preset(name string) (Config, error) {
	c := defaults()
	values, err := presetValues(name)
	if err != nil {
		return c, err
	}
	values["preset"] = name
	return c, settings.New(&c).Apply(settings.Preset, "preset "+name, values)
}
