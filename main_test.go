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
	t.Chdir(folder) // a run in the default output folder is not this test's
	file := func(name, text string) string { return write(folder, name, text) }
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
		{"plan at two speeds", []string{"plan", "--tokens-per-s", "5", "--mfu", "0.4", "--peak-tflops", "1"}, 2, "give one of them"},
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

func write(folder, name, text string) string {
	path := filepath.Join(folder, name)
	must.M(os.MkdirAll(filepath.Dir(path), 0o755))
	must.M(os.WriteFile(path, []byte(text), 0o644))
	return path
}

// TestModelRefusals are calls of the commands that read models, on what is none.
func TestModelRefusals(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	write(folder, "damaged/checkpoints/step-00000001/manifest.json", "{")
	write(folder, "unreadable/config.json", "{")
	write(folder, "pickle/config.json", `{"model_type": "electra", "vocab_size": 9, "embedding_size": 8, "hidden_size": 8, "num_hidden_layers": 1,
		"num_attention_heads": 1, "intermediate_size": 8, "max_position_embeddings": 16, "type_vocab_size": 2, "hidden_act": "gelu",
		"layer_norm_eps": 1e-12, "initializer_range": 0.02, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}`)
	write(folder, "pickle/pytorch_model.bin", "x")
	write(folder, "file", "x")
	must.M(os.MkdirAll("hollow", 0o755))
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"inspect", 2, "0 arguments"},
		{"inspect hollow file", 2, "2 arguments"},
		{"inspect nowhere", 69, "nowhere"},
		{"inspect file", 69, "file"},
		{"inspect hollow", 65, "no checkpoint"},
		{"inspect hollow --diff", 2, "--diff"},
		{"inspect damaged", 65, "manifest.json"},
		{"inspect damaged/checkpoints/step-00000001", 65, "manifest.json"},
		{"inspect unreadable", 65, "config.json"},
		{"inspect pickle", 65, "pytorch_model.bin"},
		{"inspect hollow --jsn", 2, "--json"},
		{"demo", 2, "0 arguments"},
		{"demo hollow", 2, "--fill"},
		{"demo nowhere text", 69, "nowhere"},
		{"demo hollow text", 65, "no checkpoint"},
		{"demo damaged text", 65, "manifest.json"},
		{"demo pickle text", 65, "pytorch_model.bin"},
		{"demo hollow text --http 0", 2, "no text"},
		{"glue", 2, "--model"},
		{"glue --modl run", 2, "--model"},
		{"glue --model nowhere --task cola --data-dir hollow", 69, "nowhere"},
		{"glue --model hollow --task cola --data-dir hollow", 65, "no checkpoint"},
		{"glue --model pickle --task cola --data-dir hollow", 65, "pytorch_model.bin"},
		{"demo hollow --fill [MASK] --http 0", 2, "no text"},
		{"demo hollow --http localhost", 2, "is no address"},
		{"demo hollow --http 127.0.0.1:99999", 2, "99999"},
		{"demo hollow --http 0", 65, "no checkpoint"},
		{"export hollow out", 65, "no checkpoint"},
	} {
		out, err := elektron(strings.Fields(c.args)...)
		if fault.ExitCode(err) != c.code || !strings.Contains(err.Error(), c.says) || out != "" {
			t.Errorf("%s: exit code %d, want %d and %q in: %v; and no output: %q", c.args, fault.ExitCode(err), c.code, c.says, err, out)
		}
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
