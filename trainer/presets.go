package trainer

import (
	"maps"
	"strings"

	"elektron/dataset"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/internal/settings"
	"elektron/model"
	"elektron/trainer/optimizer"
)

// defaults is the configuration below preset and recipe.
func defaults() Config {
	m, _ := model.Preset("tiny")
	return Config{
		Preset: "tiny",
		Recipe: "lamb",
		Model:  m,
		Data:   DataConfig{VocabSize: dataset.DefaultVocabularySize, MaskProb: 0.15, ValidShare: 0.02, TextField: "text"},
		Optim: OptimConfig{WarmupSteps: -1, Schedule: scheduleProduct, DecayPower: 1, Config: optimizer.Config{
			Name: "lamb", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, WeightDecay: 0.01, ClipNorm: 1, BiasCorrection: true}},
		Run: RunConfig{Seed: 1, DType: platform.AutoDType, Platform: platform.Auto, Out: "run", Resume: "auto", Keep: 3, Accumulate: 1},
	}
}

// Preset returns the whole configuration of a preset under the default recipe. Errors have kind fault.Usage.
func Preset(name string) (Config, error) {
	c := defaults()
	c.Preset = name
	return c, applyPreset(&c, settings.New(&c))
}

// applyPreset sets what the preset and the recipe that c names have to say, where no higher layer has.
func applyPreset(c *Config, s *settings.Settings) error {
	values, err := presetValues(c.Preset)
	if err != nil {
		return err
	}
	if err := s.Apply(settings.Preset, "preset "+c.Preset, values); err != nil {
		return err
	}
	r, err := recipeNamed(c.Recipe)
	if err != nil {
		return err
	}
	if err := s.Apply(settings.Preset, "recipe "+r.name, r.values(c.Preset)); err != nil {
		return err
	}
	return s.Apply(settings.Preset, "recipe "+r.name+", in proportion to run.steps", r.inProportion(c.Preset, c.Run.Steps))
}

// sizes are what a preset sets beside the model, by configuration key. Sequence lengths and mask rates are
// ELECTRA's table 6, tiny's were tuned for Go's doc comments on two cores (docs/tiny.md). The rest is how often
// a run reports: a validation is about a million tokens from small on.
var sizes = map[string]map[string]any{
	"tiny": {"data.seq_len": 32, "data.vocab_size": dataset.DefaultVocabularySize,
		"run.log_every": 50, "run.eval_every": 500, "run.eval_batches": 40, "run.checkpoint_every": 500},
	"small":   {"data.seq_len": 128, "run.eval_batches": 16},
	"small++": {"data.seq_len": 512, "run.eval_batches": 4},
	"base":    {"data.seq_len": 512, "run.eval_batches": 2},
	"large":   {"data.seq_len": 512, "run.eval_batches": 1, "data.mask_prob": 0.25},
}

// presetValues are all values of a preset, by key.
func presetValues(name string) (map[string]any, error) {
	m, ok := model.Preset(name)
	if !ok {
		return nil, unknown("preset", name, model.PresetNames())
	}
	values := valuesOf("model.", &m)
	maps.Copy(values, map[string]any{"data.vocab_size": bertVocabulary, "data.mask_prob": 0.15,
		"run.log_every": 10, "run.eval_every": 5000, "run.checkpoint_every": 1000})
	maps.Copy(values, sizes[name])
	return values, nil
}

// bertVocabulary is the size of BERT's uncased vocabulary, which all published sizes use.
const bertVocabulary = 30522

// valuesOf are the values of a configuration's struct by key, behind the name of its section.
func valuesOf(section string, config any) map[string]any {
	values := map[string]any{}
	for _, key := range settings.New(config).Keys() {
		values[section+key.Name] = strings.Trim(key.Value, `"`)
	}
	return values
}

func unknown(what, name string, known []string) error {
	return fault.New(fault.Usage, "trainer: unknown %s %q; known: %s%s", what, name,
		strings.Join(known, ", "), settings.DidYouMean(settings.Nearest(name, known)))
}
