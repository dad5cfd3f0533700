package trainer

import (
	"bytes"
	"context"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/trainer/track"
)

// twoPhases is a pulse of 12 steps, the last five of them on longer examples in batches of two parts.
func twoPhases(folder string) Config {
	c := pulseConfig(folder)
	must.M(settings.New(&c).Set("run.steps=12", "run.eval_every=5", "run.checkpoint_every=3", "run.keep=9", "optim.schedule=warmup_then_decay", "optim.decay_power=0.5",
		"optim.warmup_steps=2", "phase2.steps=5", "phase2.seq_len=64", "phase2.batch_size=6", "phase2.accumulate=2", "phase2.lr=1e-3", "phase2.warmup_steps=1"))
	return c
}

// TestTwoPhases trains in two phases and proves that each has its own batches and schedule, that the same seed
// gives the same run, and that one stopped before, at and after the boundary, and one killed, go on to the same
// end.
func TestTwoPhases(t *testing.T) {
	folder := t.TempDir()
	writeText(t, folder)
	whole := twoPhases(folder)
	var said, summary bytes.Buffer
	must.M(Pretrain(context.Background(), &whole, settings.New(&whole), &said, &summary))
	if note := "phase 2: learning rate 0.001, batch 6 of 64 tokens, 5 steps"; strings.Count(said.String(), note) != 1 {
		t.Errorf("%q is not said once in\n%s", note, &said)
	}
	for _, line := range []string{"; first on examples of 32 tokens, last on 64\n", "--steps 17 --set phase2.steps=10 goes on from here"} {
		if !strings.Contains(summary.String(), line) {
			t.Errorf("%q is not in the summary\n%s", line, &summary)
		}
	}
	checkPhases(t, whole)
	out := func(name string) Config {
		c := twoPhases(folder)
		c.Run.Out = filepath.Join(folder, name)
		return c
	}

	again := out("again")
	must.M(pretrain(context.Background(), again))
	sameRun(t, "same seed", whole.Run.Out, again.Run.Out)

	stopped := out("stopped")
	for _, c := range []struct{ at, one, other string }{ // the signal comes with a step's metrics: the next step may be under way
		{"step 3/", "after step 3", "after step 4"}, {"step 6/", "after step 6", "after step 7"}, {"step 8/", "after step 8", "after step 9"},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		config := stopped
		err := Pretrain(ctx, &config, settings.New(&config), &trigger{c.at, cancel}, io.Discard)
		if cancel(); fault.ExitCode(err) != 75 || !strings.Contains(err.Error(), c.one) && !strings.Contains(err.Error(), c.other) {
			t.Fatalf("stopped at %q: %v, want exit code 75 and %q or %q", c.at, err, c.one, c.other)
		}
	}
	must.M(pretrain(context.Background(), stopped))
	sameRun(t, "stopped and resumed", whole.Run.Out, stopped.Run.Out)

	killAndResume(t, folder, whole.Run.Out, "step-00000007", "ELEKTRON_TEST_PHASES=2")
	phaseRefusals(t, whole)
}

// checkPhases holds the metrics of twoPhases against its schedule, and what its second phase trained on against
// a run whose second phase has short examples.
func checkPhases(t *testing.T, c Config) {
	t.Helper()
	list := must.M1(track.ReadMetrics(filepath.Join(c.Run.Out, "metrics.jsonl")))
	var valid []int64
	peak, second := c.Optim.LR, c.Phase2.LR
	want := []float64{0, peak / 2, peak, peak * math.Sqrt(0.8), peak * math.Sqrt(0.6), peak * math.Sqrt(0.4), peak * math.Sqrt(0.2),
		0, second, second * math.Sqrt(0.75), second * math.Sqrt(0.5), second * math.Sqrt(0.25)}
	for _, m := range list {
		if m.Split == track.Valid {
			valid = append(valid, m.Step)
		} else if got := m.LearningRate; math.Abs(got-want[m.Step-1]) > 1e-9 {
			t.Errorf("step %d: learning rate %g, want %g", m.Step, got, want[m.Step-1])
		}
	}
	if len(list) != 12+5 || len(valid) != 5 || valid[2] != 7 {
		t.Errorf("%d lines of metrics, validations after steps %v; want 17, after 0, 5, 7, 10, 12", len(list), valid)
	}
	for _, name := range []string{"step-00000007", "step-00000009", "step-00000012"} {
		if !exists(filepath.Join(checkpointFolder(c.Run.Out), name)) {
			t.Errorf("there is no %s", name)
		}
	}
	short := c
	short.Run.Out, short.Phase2.SeqLen = filepath.Join(filepath.Dir(c.Run.Out), "short"), 32
	must.M(pretrain(context.Background(), short))
	long, other := lines(t, c.Run.Out), lines(t, short.Run.Out)
	for i := range long {
		if same := long[i] == other[i]; same != (list[i].Step <= 7) {
			t.Errorf("step %d: the same as with short examples in phase 2: %v", list[i].Step, same)
		}
	}
}

// phaseRefusals are calls on the finished run's folder.
func phaseRefusals(t *testing.T, finished Config) {
	t.Helper()
	for _, c := range []struct {
		name, sets string
		code       int
		says       string
	}{
		{"other examples", "phase2.seq_len=32", 2, "phase2.seq_len is 64 there and 32 here"},
		{"other batches", "phase2.batch_size=8", 2, "phase2.batch_size is 6 there and 8 here"},
		{"other boundary", "run.steps=14", 2, "phase 1 so far (run.steps less phase2.steps) is 7 there and 9 here"},
		{"no second phase", "phase2.steps=0", 2, "is 7 there and 12 here"},
		{"only a second phase", "phase2.steps=12", 2, "phase2.steps is 12"},
		{"long examples", "phase2.seq_len=513", 2, "phase2.seq_len is 513"},
		{"parts", "phase2.accumulate=4", 2, "phase2.accumulate is 4 and does not divide phase2.batch_size 6"},
		{"no rate", "phase2.lr=0", 2, "phase2.lr is 0"},
		{"a longer second phase", "run.steps=14,phase2.steps=7", 0, ""},
	} {
		config := finished
		must.M(settings.New(&config).Set(strings.Split(c.sets, ",")...))
		err := pretrain(context.Background(), config)
		if fault.ExitCode(err) != c.code || (err != nil && !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: exit code %d, want %d and %q in: %v", c.name, fault.ExitCode(err), c.code, c.says, err)
		}
	}
}
