package trainer

import (
	"maps"
	"math"

	"elektron/trainer/optimizer"
)

// recipe is how models are trained, size by size. Where its figures come from, and which of them nobody has
// published a run with, is in docs/presets.md.
type recipe struct {
	name      string
	optimizer optimizer.Config
	schedule  string
	power     float64                  // of the decay
	phases    map[string][]PhaseConfig // of each preset, one or two; sequence length 0 takes the preset's
}

var recipes = []recipe{
	{
		// ELECTRA, table 6, and the official optimization.py.
		name:      "paper",
		optimizer: optimizer.Config{Name: "adam", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, WeightDecay: 0.01, ClipNorm: 1},
		schedule:  scheduleProduct, power: 1,
		phases: map[string][]PhaseConfig{
			"tiny":    {{BatchSize: 32, LR: 1e-3, Steps: 2000, WarmupSteps: 160}}, // ours
			"small":   {{BatchSize: 128, LR: 5e-4, Steps: 1_000_000, WarmupSteps: 10_000}},
			"small++": {{BatchSize: 128, LR: 5e-4, Steps: 4_000_000, WarmupSteps: 10_000}},
			"base":    {{BatchSize: 256, LR: 2e-4, Steps: 766_000, WarmupSteps: 10_000}},
			"large":   {{BatchSize: 2048, LR: 2e-4, Steps: 400_000, WarmupSteps: 10_000}},
		},
	},
	{
		// The small models are trained as the released LAMB-trained ones. Base and large see the paper's number of
		// examples, base in batches four times as large; their rates are 5e-3·√(batch/32768) (You et al., 2020, table 4).
		name:      "lamb",
		optimizer: optimizer.Config{Name: "lamb", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, WeightDecay: 0.01, ClipNorm: 1, BiasCorrection: true},
		schedule:  scheduleProduct, power: 1,
		phases: map[string][]PhaseConfig{
			"tiny":    {{BatchSize: 32, LR: 1.2e-3, Steps: 2000, WarmupSteps: 160}},
			"small":   {{BatchSize: 512, LR: 2e-3, Steps: 500_000, WarmupSteps: 40_000}},
			"small++": {{BatchSize: 512, LR: 2e-3, Steps: 500_000, WarmupSteps: 40_000}},
			"base":    {{BatchSize: 1024, LR: 8.8e-4, Steps: 191_500, WarmupSteps: 2500}},
			"large":   {{BatchSize: 2048, LR: 1.25e-3, Steps: 400_000, WarmupSteps: 10_000}},
		},
	},
	{
		// NVIDIA's pre-training of base; the small models in a quarter of its batches, at half its rates.
		name:      "lamb-two-phase",
		optimizer: optimizer.Config{Name: "lamb", Beta1: 0.878, Beta2: 0.974, Epsilon: 1e-6, WeightDecay: 0.01, ClipNorm: 1, BiasCorrection: true},
		schedule:  scheduleThen, power: 0.5,
		phases: map[string][]PhaseConfig{
			"tiny": {{SeqLen: 32, BatchSize: 32, LR: 1.2e-3, Steps: 1600, WarmupSteps: 320},
				{SeqLen: 128, BatchSize: 8, LR: 6e-4, Steps: 400, WarmupSteps: 80}},
			"small": {{SeqLen: 128, BatchSize: 16_896, LR: 3e-3, Steps: 10_000, WarmupSteps: 2000},
				{SeqLen: 512, BatchSize: 6912, LR: 2e-3, Steps: 933, WarmupSteps: 200}},
			"small++": {{SeqLen: 128, BatchSize: 16_896, LR: 3e-3, Steps: 10_000, WarmupSteps: 2000},
				{SeqLen: 512, BatchSize: 6912, LR: 2e-3, Steps: 933, WarmupSteps: 200}},
			"base": {{SeqLen: 128, BatchSize: 67_584, LR: 6e-3, Steps: 10_000, WarmupSteps: 2000},
				{SeqLen: 512, BatchSize: 27_648, LR: 4e-3, Steps: 933, WarmupSteps: 200}},
			"large": {{SeqLen: 128, BatchSize: 67_584, LR: 6e-3, Steps: 10_000, WarmupSteps: 2000},
				{SeqLen: 512, BatchSize: 27_648, LR: 4e-3, Steps: 933, WarmupSteps: 200}},
		},
	},
}

// reports are how often a run of large batches reports: its steps take minutes.
var reports = map[string]any{"run.log_every": 1, "run.eval_every": 500, "run.eval_batches": 1, "run.checkpoint_every": 50}

// largeBatch is a batch with which a run reports like that.
const largeBatch = 10_000

// recipeNamed finds a recipe. The error has kind fault.Usage.
func recipeNamed(name string) (*recipe, error) {
	names := make([]string, len(recipes))
	for i := range recipes {
		if names[i] = recipes[i].name; names[i] == name {
			return &recipes[i], nil
		}
	}
	return nil, unknown("recipe", name, names)
}

// stages are the recipe's phases for a preset; without a second one that has no steps.
func (r *recipe) stages(preset string) (one, two PhaseConfig) {
	list := r.phases[preset]
	if len(list) > 1 {
		two = list[1]
	}
	return list[0], two
}

// values are all that the recipe sets for a preset, by key.
func (r *recipe) values(preset string) map[string]any {
	one, two := r.stages(preset)
	o := r.optimizer
	values := valuesOf("optim.", &o)
	maps.Copy(values, valuesOf("phase2.", &two))
	maps.Copy(values, map[string]any{"optim.schedule": r.schedule, "optim.decay_power": r.power, "optim.lr": one.LR,
		"optim.warmup_steps": one.WarmupSteps, "data.batch_size": one.BatchSize, "run.steps": one.Steps + two.Steps})
	if one.SeqLen > 0 {
		values["data.seq_len"] = one.SeqLen
	}
	if one.BatchSize > largeBatch {
		maps.Copy(values, reports)
	}
	return values
}

// inProportion gives warm-ups and second phase the share of other steps that they have of the recipe's own.
func (r *recipe) inProportion(preset string, steps int64) map[string]any {
	one, two := r.stages(preset)
	share := float64(steps) / float64(one.Steps+two.Steps)
	scaled := map[string]any{}
	for key, own := range map[string]int64{"optim.warmup_steps": one.WarmupSteps, "phase2.steps": two.Steps, "phase2.warmup_steps": two.WarmupSteps} {
		if own > 0 && share != 1 {
			scaled[key] = int64(math.Round(share * float64(own)))
		}
	}
	return scaled
}
