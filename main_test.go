package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/arguments"
	"elektron/internal/fault"
)

// elektron runs the program in this process: its standard output and its error.
func elektron(args ...string) (string, error) {
	app, out := newApp(), &bytes.Buffer{}
	app.Writer, app.ErrWriter = out, &bytes.Buffer{}
	err := arguments.Run(context.Background(), app, append([]string{"elektron"}, args...))
	return out.String(), err
}

// TestRefusals are command lines that must end with one clear error and its exit code.
func TestRefusals(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		must.M(os.MkdirAll(filepath.Dir(path), 0o755))
		must.M(os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	text := file("text/a.txt", strings.Repeat("Some words that are text.\n", 50))
	must.M(os.MkdirAll(filepath.Join(folder, "hollow"), 0o755))
	empty := file("empty/a.txt", "")
	noMask := file("nomask.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nsome\n")
	twice := file("twice.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nsome\nsome\n")
	plugin := file("fake.so", "no library")
	taken := file("taken", "a file where a folder should be")
	out := "--out=" + filepath.Join(folder, "out")
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"unknown flag", []string{"--stpes", "5"}, 2, "--steps"},
		{"unknown command", []string{"pretrian"}, 2, "pretrain"},
		{"unknown preset", []string{"--preset", "smal"}, 2, "small"},
		{"unknown key", []string{"--set", "optim.lrr=1"}, 2, "optim.lr"},
		{"bad number", []string{"--steps", "many"}, 2, "many"},
		{"unknown platform", []string{"--platform", "abacus"}, 2, "abacus"},
		{"no TPU here", []string{"--platform=tpu", out}, 71, "TPU"},
		{"no GPU here", []string{"--platform=gpu", out}, 71, "GPU"},
		{"long sequences", []string{"--seq-len", "513"}, 2, "8 to 512"},
		{"short sequences", []string{"--seq-len", "7"}, 2, "8 to 512"},
		{"unknown preset, near a longer name", []string{"--preset", "small+"}, 2, "did you mean small"},
		{"unknown recipe", []string{"--recipe", "lamb-two-phases"}, 2, "lamb-two-phase"},
		{"heads that do not divide the width", []string{"--set", "model.heads=3"}, 2, "does not divide model.hidden_size"},
		{"unknown activation", []string{"--set", "model.activation=sine"}, 2, "known: gelu, gelu_new"},
		{"more masked slots than tokens", []string{"--set", "data.mask_prob=0.9", "--seq-len", "12"}, 2, "16 masked slots"},
		{"second phase as long as the run", []string{"--steps", "5", "--set", "phase2.steps=5"}, 2, "phase2.steps"},
		{"plan for a topology", []string{"plan", "--topology", "v5e:2x2"}, 2, "not there yet"},
		{"no such data", []string{"--platform=go", out, "--data", filepath.Join(folder, "nowhere")}, 2, "nowhere"},
		{"folder without text", []string{"--platform=go", out, "--data", filepath.Join(folder, "hollow")}, 65, "hollow"},
		{"empty text", []string{"--platform=go", out, "--data", empty}, 65, "empty"},
		{"no vocabulary", []string{"--platform=go", out, "--data", text, "--vocab", filepath.Join(folder, "none.txt")}, 69, "none.txt"},
		{"vocabulary without [MASK]", []string{"--platform=go", out, "--data", text, "--vocab", noMask}, 65, "[MASK]"},
		{"vocabulary with duplicates", []string{"--platform=go", out, "--data", text, "--vocab", twice}, 65, "line 7"},
		{"no plugin", []string{"--platform=cpu", "--plugin", filepath.Join(folder, "gone.so"), out}, 71, "gone.so"},
		{"plugin that is none", []string{"--platform=cpu", "--plugin", plugin, out}, 71, "fake.so"},
		{"output is a file", []string{"--platform=go", "--data", text, "--out", taken}, 69, "taken"},
		{"config is missing", []string{"--config", filepath.Join(folder, "no.yaml")}, 69, "no.yaml"},
		{"preset and value", []string{"--config", file("run.yaml", "preset: tiny\nrun:\n  stepps: 5\n")}, 2, "steps"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := elektron(append(c.args, "--set", "data.cache="+filepath.Join(folder, "cache"))...)
			if fault.ExitCode(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("exit code %d, want %d and %q in: %v", fault.ExitCode(err), c.code, c.says, err)
			}
			if err != nil && strings.Contains(err.Error(), "\n\n") {
				t.Errorf("the error is more than a message: %q", err)
			}
		})
	}
}

// TestBench checks the keys of bench's JSON, which scripts rely on.
func TestBench(t *testing.T) {
	out, err := elektron("bench", "--platform=go", "--preset", "tiny", "--batch-size", "2", "--seq-len", "16", "--steps", "2",
		"--set", "model.vocab_size=200", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var result map[string]any
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, key := range strings.Fields("platform devices step_s_min step_s_median tokens_per_s first_step_s compile_s max_rss_mb mfu params") {
		if _, ok := result[key]; !ok {
			t.Errorf("%s is missing in %s", key, out)
		}
	}
	if result["platform"] != "go" || !(result["step_s_min"].(float64) > 0) {
		t.Errorf("platform or time is wrong in %s", out)
	}
	// A fresh model knows nothing: ln 200 for the generator, 50 times about ln 2 for the discriminator.
	if loss := result["first_loss"].(float64); !(math.Abs(loss-math.Log(200)-50*math.Ln2) < 20) {
		t.Errorf("the fresh model's loss is %g", loss)
	}
	if out, err := elektron("bench", "--platform=go", "--batch-size", "2", "--seq-len", "16", "--steps", "1",
		"--set", "model.vocab_size=200", "--set", "model.objective=mlm"); err != nil || !strings.Contains(out, "first_loss") {
		t.Errorf("a masked language model alone: %q, %v", out, err)
	}
}

// TestLayers proves the order of the configuration's layers on the command line.
func TestLayers(t *testing.T) {
	config := filepath.Join(t.TempDir(), "run.yaml")
	must.M(os.WriteFile(config, []byte("preset: small\nrun:\n  steps: 7\noptim:\n  lr: 0.5\n"), 0o644))
	out, err := elektron("--config", config, "--set", "optim.lr=0.25", "pretrain", "--steps", "9", "--print-config")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"preset: small", "hidden_size: 256", "steps: 9", "lr: 0.25"} {
		if !strings.Contains(out, line) {
			t.Errorf("%q is missing in\n%s", line, out)
		}
	}
}
