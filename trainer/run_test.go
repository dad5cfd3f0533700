package trainer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/trainer/checkpoint"
	"elektron/trainer/track"
)

// A pulse of the whole trainer: text to checkpoint, on the pure-Go backend with a model of one narrow layer.

// TestMain lets the test binary stand in for a training process that can be killed.
func TestMain(m *testing.M) {
	if folder := os.Getenv("ELEKTRON_TEST_PRETRAIN"); folder != "" {
		config := pulseConfig(folder)
		if os.Getenv("ELEKTRON_TEST_PHASES") == "2" {
			config = twoPhases(folder)
		}
		os.Exit(fault.ExitCode(Pretrain(context.Background(), &config, settings.New(&config), os.Stderr, os.Stdout)))
	}
	os.Exit(m.Run())
}

// pulseConfig is a run in folder/out on the text in folder/text, dropout on.
func pulseConfig(folder string) Config {
	c := must.M1(Preset("tiny"))
	s := settings.New(&c)
	must.M(s.Set("model.hidden_size=32", "model.embedding_size=32", "model.layers=1", "model.intermediate_size=64",
		"model.hidden_dropout=0.1", "model.attention_dropout=0.1", "data.vocab_size=300", "data.seq_len=32", "data.batch_size=4",
		"run.steps=24", "optim.warmup_steps=-1", "run.log_every=1", "run.eval_every=8", "run.eval_batches=1", "run.checkpoint_every=6", "run.platform=go",
		"data.paths="+filepath.Join(folder, "text"), "data.cache="+filepath.Join(folder, "cache"), "run.out="+filepath.Join(folder, "out")))
	return c
}

// writeText makes a corpus of a few words with some order in it.
func writeText(t *testing.T, folder string) {
	t.Helper()
	words := strings.Fields("amber resin trees river stone light small large moves under over old new water fire wind song keeps holds bright")
	r := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for range 60 {
		for range 8 {
			at := r.IntN(len(words))
			for range 9 + r.IntN(9) {
				text.WriteString(words[at] + " ")
				at = (at*3 + 1 + r.IntN(2)) % len(words)
			}
			text.WriteString(".\n")
		}
		text.WriteString("\n")
	}
	must.M(os.MkdirAll(filepath.Join(folder, "text"), 0o755))
	must.M(os.WriteFile(filepath.Join(folder, "text", "corpus.txt"), []byte(text.String()), 0o644))
}

func pretrain(ctx context.Context, c Config) error {
	return Pretrain(ctx, &c, settings.New(&c), io.Discard, io.Discard)
}

// trigger is a terminal on which the signal comes as soon as a text shows up.
type trigger struct {
	text string
	fire func()
}

func (t *trigger) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(t.text)) {
		t.fire()
	}
	return len(p), nil
}

// lines are the metrics of a run without what depends on the clock.
func lines(t *testing.T, out string) []string {
	t.Helper()
	list, err := track.ReadMetrics(filepath.Join(out, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	text := make([]string, len(list))
	for i, m := range list {
		m.TokensPerS, m.ExamplesPerS, m.DataWaitFraction, m.ElapsedS, m.MFU = 0, 0, 0, 0, 0
		text[i] = fmt.Sprintf("%+v", m)
	}
	return text
}

func weightsOf(t *testing.T, out string) []byte {
	t.Helper()
	state, _, _, err := checkpoint.Restore(checkpointFolder(out))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, tensor := range state.Tensors {
		all = append(all, tensor.Data...)
	}
	return all
}

func sameRun(t *testing.T, what, a, b string) {
	t.Helper()
	x, y := lines(t, a), lines(t, b)
	if len(x) != len(y) {
		t.Fatalf("%s: %d lines of metrics and %d", what, len(x), len(y))
	}
	for i := range x {
		if x[i] != y[i] {
			t.Fatalf("%s: line %d differs:\n%s\n%s", what, i, x[i], y[i])
		}
	}
	if !bytes.Equal(weightsOf(t, a), weightsOf(t, b)) {
		t.Errorf("%s: final states differ", what)
	}
}

// TestPulse trains, and then proves on the same corpus: the loss falls, the same seed gives the same run,
// another seed another one, a run stopped by a signal and one killed with SIGKILL go on to the same end.
func TestPulse(t *testing.T) {
	folder := t.TempDir()
	writeText(t, folder)
	whole := pulseConfig(folder)
	if err := pretrain(context.Background(), whole); err != nil {
		t.Fatal(err)
	}
	checkOutput(t, whole)
	out := func(name string) Config {
		c := pulseConfig(folder)
		c.Run.Out = filepath.Join(folder, name)
		return c
	}

	again := out("again")
	must.M(pretrain(context.Background(), again))
	sameRun(t, "same seed", whole.Run.Out, again.Run.Out)

	other := out("other")
	other.Run.Seed = 2
	must.M(pretrain(context.Background(), other))
	if lines(t, other.Run.Out)[3] == lines(t, whole.Run.Out)[3] {
		t.Error("another seed gave the same losses")
	}

	stopped := out("stopped")
	for _, at := range []string{"token", "elektron:", "step 7/", "step 20/"} { // before the first step, during it, later
		ctx, cancel := context.WithCancel(context.Background())
		config := stopped
		err := Pretrain(ctx, &config, settings.New(&config), &trigger{at, cancel}, io.Discard)
		if cancel(); fault.ExitCode(err) != 75 {
			t.Fatalf("stopped at %q: %v, want exit code 75", at, err)
		}
	}
	must.M(pretrain(context.Background(), stopped))
	sameRun(t, "stopped and resumed", whole.Run.Out, stopped.Run.Out)

	killAndResume(t, folder, whole.Run.Out, "step-00000006")
	refusals(t, whole)
}

func checkOutput(t *testing.T, c Config) {
	t.Helper()
	for _, name := range []string{"config.yaml", "vocab.txt", "metrics.jsonl", "report.html", "tb", "checkpoints/step-00000024/manifest.json"} {
		if !exists(filepath.Join(c.Run.Out, name)) {
			t.Errorf("%s is missing from the output folder", name)
		}
	}
	list := must.M1(track.ReadMetrics(filepath.Join(c.Run.Out, "metrics.jsonl")))
	if len(list) != 24+4 {
		t.Errorf("%d lines of metrics, want 24 of training and 4 of validation", len(list))
	}
	first, last := list[0], list[len(list)-1]
	if first.Split != track.Valid || last.Split != track.Valid || !(last.MLMLoss < first.MLMLoss-0.05) {
		t.Errorf("held-out mlm_loss went from %g to %g", first.MLMLoss, last.MLMLoss)
	}
	for _, m := range list {
		for name, v := range map[string]float64{"loss": m.Loss, "mlm_accuracy": m.MLMAccuracy, "rtd_auc": m.RTDAUC} {
			if math.IsNaN(v) || v < 0 {
				t.Errorf("step %d: %s is %g", m.Step, name, v)
			}
		}
	}
}

// killAndResume runs the trainer as a process of its own, kills it once a checkpoint is there, and lets it
// finish.
func killAndResume(t *testing.T, folder, whole, checkpoint string, env ...string) {
	t.Helper()
	own := t.TempDir()
	must.M(os.Symlink(filepath.Join(folder, "text"), filepath.Join(own, "text")))
	child := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(append(os.Environ(), "ELEKTRON_TEST_PRETRAIN="+own), env...)
		return cmd
	}
	first, out := child(), filepath.Join(own, "out")
	must.M(first.Start())
	for deadline := time.Now().Add(2 * time.Minute); !exists(filepath.Join(checkpointFolder(out), checkpoint)); {
		if time.Now().After(deadline) {
			t.Fatal("no checkpoint after two minutes")
		}
		time.Sleep(time.Millisecond)
	}
	must.M(first.Process.Signal(syscall.SIGKILL))
	first.Wait()
	if text, err := child().CombinedOutput(); err != nil {
		t.Fatalf("resumed run: %v\n%s", err, text)
	}
	sameRun(t, "killed and resumed", whole, out)
}

// refusals are calls on a finished run's folder that must not go through, with their exit codes.
func refusals(t *testing.T, finished Config) {
	t.Helper()
	for _, c := range []struct {
		name string
		edit func(*Config)
		code int
		says string
	}{
		{"finished", func(*Config) {}, 0, ""},
		{"another model", func(c *Config) { c.Model.HiddenSize = 64 }, 2, "model.hidden_size is 32 there and 64 here"},
		{"another batch", func(c *Config) { c.Data.BatchSize = 8 }, 2, "data.batch_size is 4 there and 8 here"},
		{"another vocabulary size", func(c *Config) { c.Model.VocabSize = 1000 }, 2, "model.vocab_size"},
		{"resume never", func(c *Config) { c.Run.Resume = "never" }, 2, "--resume=never"},
		{"resume must, nothing there", func(c *Config) { c.Run.Resume, c.Run.Out = "must", t.TempDir() }, 2, "--resume=must"},
		{"no such text", func(c *Config) { c.Data.Paths, c.Run.Out = []string{"no/such/text"}, t.TempDir() }, 2, "no/such/text"},
		{"no TPU", func(c *Config) { c.Run.Platform, c.Run.Out = "tpu", t.TempDir() }, 71, "TPU"},
		{"short sequences", func(c *Config) { c.Data.SeqLen = 4 }, 2, "seq_len"},
		{"vocabulary too large for the model", func(c *Config) { c.Model.VocabSize, c.Run.Out = 50, t.TempDir() }, 2, "model.vocab_size is 50"},
	} {
		config := finished
		c.edit(&config)
		err := pretrain(context.Background(), config)
		if fault.ExitCode(err) != c.code || (err != nil && !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: exit code %d, want %d and %q in: %v", c.name, fault.ExitCode(err), c.code, c.says, err)
		}
	}
}

// TestGuard proves that single bad steps are borne and that a run gives up after too many in a row.
func TestGuard(t *testing.T) {
	var g guard
	for step := range int64(maxNotFinite - 1) {
		must.M(g.check(step, Result{}))
	}
	must.M(g.check(9, Result{Finite: true}))
	var err error
	for step := range int64(maxNotFinite) {
		must.M(err)
		err = g.check(step, Result{})
	}
	if fault.ExitCode(err) != 76 {
		t.Errorf("%v, want exit code 76", err)
	}
}
