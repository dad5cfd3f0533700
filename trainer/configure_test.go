package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/janpfeifer/must"
	"github.com/urfave/cli/v2"

	"elektron/internal/arguments"
	"elektron/internal/fault"
)

// commandLine runs this package's commands as main does: all that they write, and the error.
func commandLine(args ...string) (string, error) {
	app := &cli.App{Name: "elektron", DefaultCommand: "pretrain", DisableSliceFlagSeparator: true,
		Commands: []*cli.Command{PretrainCommand(), PlanCommand(), BenchCommand(), ExportCommand(), ImportCommand(), InspectCommand(), DemoCommand()}}
	out := &bytes.Buffer{}
	app.Writer, app.ErrWriter = out, out
	err := arguments.Run(context.Background(), app, append([]string{"elektron"}, args...))
	return out.String(), err
}

// pulseFlags are a small run on the text in folder, as somebody types it.
func pulseFlags(folder string) []string {
	args := []string{"--preset", "tiny", "--platform", "go", "--seed", "3", "--batch-size", "4", "--data", filepath.Join(folder, "text")}
	for _, set := range []string{"model.hidden_size=32", "model.embedding_size=32", "model.layers=1", "model.intermediate_size=64",
		"data.vocab_size=300", "run.log_every=1", "run.eval_batches=1", "data.cache=" + filepath.Join(folder, "cache")} {
		args = append(args, "--set", set)
	}
	return args
}

// TestGoOn names a run's folder alone, or not even that, and goes on as if every flag were repeated.
func TestGoOn(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	writeText(t, folder)
	flags := pulseFlags(folder)
	must.M1(commandLine(append(flags, "--steps", "6", "--resume", "never")...)) // in run, the default
	must.M1(commandLine(append(flags, "--steps", "6", "--out", "repeated")...))
	shown := must.M1(commandLine("--print-config", "--out", "repeated", "--set", "optim.lr=1e-3"))
	for _, line := range []string{"hidden_size: 32  # repeated/config.yaml (--set)", "batch_size: 4  # repeated/config.yaml (--batch-size)",
		"seq_len: 32  # repeated/config.yaml (preset tiny)", "out: repeated  # --out", "resume: auto  # default", "lr: 0.001  # --set"} {
		if !strings.Contains(shown, line) {
			t.Errorf("%q is missing in\n%s", line, shown)
		}
	}
	if said := must.M1(commandLine()); !strings.Contains(said, "done: all 6 steps") {
		t.Errorf("a finished run says %q", said)
	}
	must.M1(commandLine("--steps", "12"))
	must.M1(commandLine(append(flags, "--steps", "12", "--out", "repeated")...))
	sameRun(t, "without flags and with them", "run", "repeated")
	must.M(os.Rename("run", "moved"))
	must.M1(commandLine("pretrain", "--out", "moved", "--preset", "tiny", "--steps", "14"))
	if m := must.M1(LoadModel("moved", "")); m.Step != 14 || m.run.Run.Seed != 3 {
		t.Errorf("the run went on to step %d with seed %d, want 14 and 3", m.Step, m.run.Run.Seed)
	}
	written := string(must.M1(os.ReadFile("moved/config.yaml")))
	if !strings.Contains(written, "seed: 3  # moved/config.yaml (--seed)") || !strings.Contains(written, "steps: 14  # --steps") {
		t.Errorf("after three sessions the configuration is\n%s", written)
	}
	goOnDerived(t, written)
	goOnRefusals(t)
}

// goOnDerived: what the recipe sets in proportion to the steps follows them, what somebody set stays.
func goOnDerived(t *testing.T, written string) {
	const ours = "warmup_steps: 1  # moved/config.yaml (recipe lamb, in proportion to run.steps)"
	if !strings.Contains(written, "warmup_steps: 1  # recipe lamb, in proportion to run.steps") {
		t.Errorf("the warm-up of 14 steps is not in\n%s", written)
	}
	set := strings.ReplaceAll(written, "warmup_steps: 1  # recipe lamb, in proportion to run.steps", "warmup_steps: 1  # --set")
	for _, c := range []struct{ config, args, want string }{
		{written, "", ours},
		{written, "--steps 14", ours},
		{written, "--steps 500", "warmup_steps: 40  # recipe lamb, in proportion to run.steps"},
		{written, "--steps 500 --set optim.warmup_steps=3", "warmup_steps: 3  # --set"},
		{set, "--steps 500", "warmup_steps: 1  # moved/config.yaml (--set)"},
	} {
		must.M(os.WriteFile("moved/config.yaml", []byte(c.config), 0o644))
		shown := must.M1(commandLine(strings.Fields("--print-config --out moved " + c.args)...))
		if !strings.Contains(shown, c.want) {
			t.Errorf("%s: %q is missing in\n%s", c.args, c.want, shown)
		}
	}
	must.M(os.WriteFile("moved/config.yaml", []byte(written), 0o644))
}

// goOnRefusals are command lines that contradict the run in moved, or cannot know it.
func goOnRefusals(t *testing.T) {
	must.M(os.WriteFile("other.yaml", []byte("preset: tiny\nrun:\n  platform: go\n"), 0o644))
	must.M(os.CopyFS("damaged", os.DirFS("moved")))
	must.M(os.WriteFile("damaged/config.yaml", []byte("preset: tiny\nrun:\n  stepps: 5\n"), 0o644))
	must.M(os.CopyFS("bare", os.DirFS("moved")))
	must.M(os.Remove("bare/config.yaml"))
	must.M(os.MkdirAll("empty", 0o755))
	must.M(os.WriteFile("empty/config.yaml", []byte("preset: small\n"), 0o644))
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--out moved --batch-size 8", 2, "moved/checkpoints/step-00000014 holds another run: data.batch_size is 4 there and 8 here"},
		{"--out moved --set model.layers=2", 2, "model.layers is 1 there and 2 here"},
		{"--out moved --preset small --platform go", 2, "model.hidden_size is 32 there and 256 here"},
		{"--out moved --config other.yaml --data text", 2, "model.hidden_size is 32 there and 128 here"},
		{"--out moved --resume never", 2, "--resume=never"},
		{"--out moved --recipe paper --platform go --data text", 2, "optim.name is lamb there and adam here"},
		{"--out moved --preset smal", 2, "small"},
		{"--out damaged", 2, "damaged/config.yaml:3: unknown key run.stepps"},
		{"--out bare --platform go --data text", 2, "model.hidden_size is 32 there and 128 here"},
		{"--out empty --dry-run", 0, "preset tiny"}, // no checkpoint: nothing to go on from
	} {
		said, err := commandLine(strings.Fields(c.args)...)
		if err != nil {
			said = err.Error()
		}
		if fault.ExitCode(err) != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s: exit code %d with %q; want %d with %q", c.args, fault.ExitCode(err), said, c.code, c.says)
		}
	}
	var timed BenchResult
	must.M(json.Unmarshal([]byte(must.M1(commandLine(strings.Fields("bench --platform go --out moved --steps 1 --seq-len 8 --set model.vocab_size=200")...))), &timed))
	if timed.BatchSize != 32 {
		t.Errorf("bench took batches of %d, want the preset's 32, whatever lies in its --out", timed.BatchSize)
	}
}

// TestGoOnImported trains an imported run further by its folder and a text alone, with batches of its own choice;
// once it has been trained they are settled.
func TestGoOnImported(t *testing.T) {
	c, exported := trained(t, "bert")
	disc, gen := sides(exported)
	out := filepath.Join(t.TempDir(), "run")
	must.M1(commandLine("import", disc, "--generator", gen, "--out", out, "--set", "run.steps=2"))
	before := must.M1(LoadModel(out, ""))
	must.M1(commandLine("--out", out, "--data", c.Data.Paths[0], "--platform", "go", "--batch-size", "4", "--seq-len", "32", "--set", "data.cache="+c.Data.Cache, "--set", "run.eval_batches=1"))
	after := must.M1(LoadModel(out, ""))
	name := "discriminator.electra.encoder.layer.0.attention.self.query.weight"
	if after.Step != 2 || len(before.Weights[name]) == 0 || slices.Equal(before.Weights[name], after.Weights[name]) {
		t.Errorf("the imported run went to step %d, want 2 and other weights", after.Step)
	}
	if _, err := commandLine("--out", out, "--steps", "3", "--batch-size", "8"); err == nil || !strings.Contains(err.Error(), "data.batch_size is 4 there and 8 here") {
		t.Errorf("another batch size after training: %v", err)
	}
}
