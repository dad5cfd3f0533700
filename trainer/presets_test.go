package trainer

import (
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/settings"
	"elektron/model"
)

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }

// choices are the values that a key of the configuration may have.
func choices(t *testing.T, field string) []string {
	t.Helper()
	f, ok := reflect.TypeFor[Config]().FieldByName(field)
	if !ok {
		t.Fatalf("Config has no field %s", field)
	}
	return strings.Split(f.Tag.Get("oneof"), ",")
}

// TestRecipes resolves every preset under every recipe: nothing is refused, nothing is left at a default, and
// what is published is what is set.
func TestRecipes(t *testing.T) {
	if got := choices(t, "Preset"); !slices.Equal(got, model.PresetNames()) {
		t.Errorf("presets to choose from are %v, those there are %v", got, model.PresetNames())
	}
	names := choices(t, "Recipe")
	if len(names) != len(recipes) {
		t.Errorf("recipes to choose from are %v", names)
	}
	for _, preset := range model.PresetNames() {
		for _, name := range names {
			c, s := resolved(preset, name)
			if err := c.Validate(); err != nil {
				t.Errorf("%s, %s: %v", preset, name, err)
			}
			for _, key := range s.Keys() {
				section, _, _ := strings.Cut(key.Name, ".")
				if free := []string{"optim.discriminator_warmup_steps"}; (section == "optim" || section == "model" || section == "phase2") && key.Origin == "default" && !slices.Contains(free, key.Name) {
					t.Errorf("%s, %s: %s is left at its default", preset, name, key.Name)
				}
			}
		}
	}
	for _, c := range []struct {
		preset, recipe, key, value, origin string
	}{
		{"small", "paper", "optim.name", "adam", "recipe paper"},
		{"small", "paper", "optim.bias_correction", "false", "recipe paper"},
		{"small", "paper", "optim.lr", "0.0005", "recipe paper"},
		{"small", "paper", "data.batch_size", "128", "recipe paper"},
		{"small", "paper", "run.steps", "1000000", "recipe paper"},
		{"small++", "paper", "run.steps", "4000000", "recipe paper"},
		{"small++", "paper", "data.seq_len", "512", "preset small++"},
		{"small++", "lamb", "model.generator.size", "1.0", "preset small++"},
		{"base", "paper", "optim.warmup_steps", "10000", "recipe paper"},
		{"base", "paper", "run.steps", "766000", "recipe paper"},
		{"large", "paper", "data.batch_size", "2048", "recipe paper"},
		{"large", "lamb", "data.mask_prob", "0.25", "preset large"},
		{"small", "lamb", "optim.warmup_steps", "40000", "recipe lamb"},
		{"small", "lamb", "data.batch_size", "512", "recipe lamb"},
		{"small", "lamb", "optim.lr", "0.002", "recipe lamb"},
		{"small", "lamb", "run.steps", "500000", "recipe lamb"},
		{"tiny", "lamb", "optim.lr", "0.0012", "recipe lamb"},
		{"base", "lamb-two-phase", "optim.beta1", "0.878", "recipe lamb-two-phase"},
		{"base", "lamb-two-phase", "optim.schedule", "warmup_then_decay", "recipe lamb-two-phase"},
		{"base", "lamb-two-phase", "data.seq_len", "128", "recipe lamb-two-phase"},
		{"base", "lamb-two-phase", "run.steps", "10933", "recipe lamb-two-phase"},
		{"base", "lamb-two-phase", "phase2.batch_size", "27648", "recipe lamb-two-phase"},
		{"base", "lamb-two-phase", "phase2.seq_len", "512", "recipe lamb-two-phase"},
		{"base", "lamb", "phase2.steps", "0", "recipe lamb"},
	} {
		_, s := resolved(c.preset, c.recipe)
		if value, origin := keyOf(s, c.key); value != c.value || origin != c.origin {
			t.Errorf("%s, %s: %s is %s by %s; want %s by %s", c.preset, c.recipe, c.key, value, origin, c.value, c.origin)
		}
	}
}

// resolved is the configuration of a preset and a recipe under assignments of --set.
func resolved(preset, recipe string, assignments ...string) (*Config, *settings.Settings) {
	c := defaults()
	s := settings.New(&c)
	must.M(s.Set(append(assignments, "preset="+preset, "recipe="+recipe)...))
	must.M(applyPreset(&c, s))
	return &c, s
}

func keyOf(s *settings.Settings, name string) (value, origin string) {
	for _, key := range s.Keys() {
		if key.Name == name {
			return key.Value, key.Origin
		}
	}
	return "", "no such key"
}

// TestLAMBRates holds the rates that no run was published with against the rules they come from: the LAMB
// paper's rate for batches of 32,768 and NVIDIA's for 67,584, both by the square root of the batch.
func TestLAMBRates(t *testing.T) {
	for _, preset := range []string{"base", "large"} {
		c, _ := resolved(preset, "lamb")
		near(t, preset, c.Optim.LR, 5e-3*math.Sqrt(float64(c.Data.BatchSize)/32768), 0.01)
		paper, _ := resolved(preset, "paper")
		near(t, preset+": examples", float64(c.Run.Steps)*float64(c.Data.BatchSize), float64(paper.Run.Steps)*float64(paper.Data.BatchSize), 1e-9)
	}
	c, _ := resolved("small", "lamb-two-phase")
	near(t, "phase 1", c.Optim.LR, 6e-3*math.Sqrt(float64(c.Data.BatchSize)/67584), 1e-9)
	near(t, "phase 2", c.Phase2.LR, 4e-3*math.Sqrt(float64(c.Phase2.BatchSize)/27648), 1e-9)
}

// TestInProportion: other steps scale warm-ups and the second phase, but not what the user set.
func TestInProportion(t *testing.T) {
	for _, c := range []struct {
		recipe, set, key, value, origin string
	}{
		{"paper", "run.steps=10000", "optim.warmup_steps", "100", "recipe paper, in proportion to run.steps"},
		{"paper", "run.steps=10000,optim.warmup_steps=7", "optim.warmup_steps", "7", "--set"},
		{"paper", "run.steps=1000000", "optim.warmup_steps", "10000", "recipe paper"},
		{"lamb-two-phase", "run.steps=1000", "phase2.steps", "85", "recipe lamb-two-phase, in proportion to run.steps"},
		{"lamb-two-phase", "run.steps=1000", "phase2.warmup_steps", "18", "recipe lamb-two-phase, in proportion to run.steps"},
		{"lamb-two-phase", "run.steps=1", "phase2.steps", "0", "recipe lamb-two-phase, in proportion to run.steps"},
		{"lamb-two-phase", "phase2.steps=0", "phase2.steps", "0", "--set"},
	} {
		config, s := resolved("small", c.recipe, strings.Split(c.set, ",")...)
		if value, origin := keyOf(s, c.key); value != c.value || origin != c.origin {
			t.Errorf("%s with %s: %s is %s by %s; want %s by %s", c.recipe, c.set, c.key, value, origin, c.value, c.origin)
		}
		if err := config.Validate(); err != nil {
			t.Errorf("%s with %s: %v", c.recipe, c.set, err)
		}
	}
}

// TestConfigRefusals are configurations that must not be trained.
func TestConfigRefusals(t *testing.T) {
	for _, c := range []struct{ set, says string }{
		{"data.mask_prob=0.9,data.seq_len=12", "data.mask_prob 0.9 of data.seq_len (--seq-len) 12 takes 16 masked slots"},
		{"phase2.steps=10,phase2.seq_len=10,phase2.batch_size=1,phase2.lr=1,data.mask_prob=0.95", "phase2.seq_len 10 takes 16 masked slots"},
		{"phase2.steps=-1", "phase2.steps is -1"},
		{"run.steps=5,phase2.steps=5", "phase2.steps is 5 and run.steps (--steps) 5"},
		{"phase2.steps=10,phase2.seq_len=64,phase2.lr=1", "phase2.batch_size is 0"},
		{"phase2.steps=10,phase2.seq_len=64,phase2.lr=1,phase2.batch_size=4,phase2.warmup_steps=-2", "phase2.warmup_steps is -2"},
		{"optim.decay_power=0", "optim.decay_power is 0"},
		{"optim.warmup_steps=-2", "optim.warmup_steps is -2"},
		{"optim.lr=0", "optim.lr is 0"},
		{"data.batch_size=0", "data.batch_size is 0"},
		{"run.accumulate=3", "run.accumulate (--accumulate) is 3 and does not divide data.batch_size 32"},
		{"model.heads=5", "model.heads is 5 and does not divide model.hidden_size 128"},
		{"model.activation=sine", "sine"},
	} {
		config, _ := resolved("tiny", "lamb", strings.Split(c.set, ",")...)
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: want %q in: %v", c.set, c.says, err)
		}
	}
}
