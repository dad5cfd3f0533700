package trainer

import (
	"bytes"
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
	"elektron/internal/settings"
)

func planOf(t *testing.T, preset string, speed Speed, assignments ...string) *Plan {
	t.Helper()
	c := must.M1(Preset(preset))
	s := settings.New(&c)
	must.M(s.Set(assignments...))
	must.M(applyPreset(&c, s))
	return must.M1(MakePlan(&c, speed))
}

func TestPlan(t *testing.T) {
	p := planOf(t, "small", Speed{})
	if p.Params.Total != 14_196_219 || p.VocabSize != 30522 || p.Steps != 500_000 || p.Tokens != 500_000*512*128 {
		t.Errorf("small is planned as %+v", p)
	}
	near(t, "FLOPs of a step", p.FLOPsPerStep, 512*9.14e9, 2e-3)
	near(t, "FLOPs of all steps", p.FLOPs, 500_000*p.FLOPsPerStep, 1e-12)
	if p.EstimatedStep != nil || p.MFU != nil || p.Hours != nil || p.EstimatedCycles != nil || p.Fits != nil {
		t.Errorf("without a speed and a compiler there are times in %+v", p)
	}
	m := p.Phases[0].Memory
	if m.Weights != 4*14_196_219 || m.Moments != 2*m.Weights || m.Gradients != m.Weights || m.Batch != 4*512*(128+128+1+24+24+24) {
		t.Errorf("small's memory is %+v", m)
	}
	if m.Total != m.Weights+m.Moments+m.Gradients+m.Batch+m.Activations || m.TotalRemat-m.Total != m.ActivationsRemat-m.Activations {
		t.Errorf("the parts of %+v do not add up", m)
	}

	base := planOf(t, "base", Speed{TokensPerS: 1e6, PeakFLOPs: 1e15}, "recipe=lamb-two-phase")
	near(t, "FLOPs at S=128", base.Phases[0].FLOPsPerExample, 7.87e10, 2e-3)
	near(t, "FLOPs at S=512", base.Phases[1].FLOPsPerExample, 3.47e11, 2e-3)
	near(t, "tokens", base.Tokens, 86.5e9+13.2e9, 1e-3)
	near(t, "hours", *base.Hours, base.Tokens/1e6/3600, 1e-12)
	near(t, "hours of phases", *base.Phases[0].Hours+*base.Phases[1].Hours, *base.Hours, 1e-12)
	near(t, "step", *base.EstimatedStep, 67584*128/1e6, 1e-12)
	near(t, "MFU", *base.MFU, base.FLOPsPerStep / *base.EstimatedStep / 1e15, 1e-12)

	large := planOf(t, "large", Speed{MFU: 0.4, PeakFLOPs: 197e12}, "recipe=paper")
	near(t, "large", large.Phases[0].FLOPsPerExample, 1.12e12, 2e-3)
	near(t, "hours of large", *large.Hours, large.FLOPs/(0.4*197e12)/3600, 1e-12)
	near(t, "MFU of large", *large.MFU, 0.4, 1e-12)
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got/want-1) <= tolerance) {
		t.Errorf("%s: %.6g, want %.4g within %g", what, got, want, tolerance)
	}
}

// TestPlanMemory holds the estimate of activations against what XLA's CPU client took: 50 MB more for each
// example of small at S=128 (bench at batches of 8, 16 and 32). It must not be far from that, and must fall with
// rematerialisation, parts and bfloat16.
func TestPlanMemory(t *testing.T) {
	memory := func(sets ...string) PlanMemory {
		return planOf(t, "small", Speed{}, append(sets, "data.batch_size=32")...).Phases[0].Memory
	}
	whole := memory()
	near(t, "activations of an example", float64(whole.Activations)/32, 50e6, 0.2)
	parts, half, long := memory("run.accumulate=4"), memory("run.dtype=bf16"), memory("data.seq_len=512")
	if parts.Activations*4 != whole.Activations || parts.Gradients != 2*whole.Gradients {
		t.Errorf("in four parts: %+v, whole: %+v", parts, whole)
	}
	if r := float64(half.Activations) / float64(whole.Activations); r < 0.5 || r > 0.8 {
		t.Errorf("bfloat16 takes %g of float32's activations", r)
	}
	if r := float64(long.Activations) / float64(whole.Activations); r < 4 || r > 16 {
		t.Errorf("four times the length takes %g times the activations", r)
	}
	if r := float64(whole.ActivationsRemat) / float64(whole.Activations); r < 1.0/12 || r > 0.4 {
		t.Errorf("rematerialisation leaves %g of the activations of twelve layers", r)
	}
}

func TestPlanCommand(t *testing.T) {
	plan := func(args ...string) (string, error) {
		return commandLine(append([]string{"plan"}, args...)...)
	}
	var result map[string]any
	must.M(json.Unmarshal([]byte(must.M1(plan("--preset", "base", "--json"))), &result))
	for key, want := range map[string]any{"estimated_cycles": nil, "estimated_step_s": nil, "mfu": nil, "fits": nil, "hours": nil} {
		if got, ok := result[key]; !ok || got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	hbm := result["hbm"].(map[string]any)
	for _, key := range strings.Fields("arguments temporaries aliased peak limit") {
		if got, ok := hbm[key]; !ok || got != nil {
			t.Errorf("hbm.%s is %v, want null", key, got)
		}
	}
	params := result["params"].(map[string]any)
	near(t, "discriminator", params["discriminator"].(float64), 108.9e6, 1e-3)
	if result["flops_per_step"].(float64) <= 0 || params["total"] != params["discriminator"].(float64)+params["generator"].(float64)+params["heads"].(float64) {
		t.Errorf("%v", result)
	}
	text := must.M1(plan("--preset", "base", "--recipe", "lamb-two-phase", "--mfu", "0.5", "--peak-tflops", "197"))
	for _, want := range []string{"108.9 M", "10000  67584", "933  27648", "with --remat", "hours", "MFU 0.5"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	vocabulary := filepath.Join(t.TempDir(), "vocab.txt")
	must.M(writeFile(vocabulary, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n"))
	if text := must.M1(plan("--vocab", vocabulary)); !strings.Contains(text, "vocabulary 7\n") {
		t.Errorf("the vocabulary's size is not in\n%s", text)
	}
}

func TestPlanRefusals(t *testing.T) {
	for _, c := range []struct {
		args, says string
		code       int
	}{
		{"--topology v5e:2x2 --mfu 0.4", "leave out --mfu", 2},
		{"--hlo step.hlo", "--topology", 2},
		{"--mfu 0.4", "--peak-tflops", 2},
		{"--mfu 40 --peak-tflops 197", "at most 1", 2},
		{"--mfu -1 --peak-tflops 197", "must be positive", 2},
		{"--mfu many", "many", 2},
		{"--peak-tflops 197", "no speed by itself", 2},
		{"--tokens-per-s 0", "must be positive", 2},
		{"--tokens-per-s NaN", "must be positive", 2},
		{"--tokens-per-s 5 --mfu 0.4 --peak-tflops 1", "give one of them", 2},
		{"--vocab gs://bucket/vocab.txt", "touches no network", 2},
		{"--vocab no/such/vocab.txt", "no/such/vocab.txt", 69},
		{"--preset bas", "did you mean base?", 2},
		{"--recipe papers", "did you mean paper?", 2},
		{"--recipe lamb-two-phases", "did you mean lamb-two-phase?", 2},
	} {
		if _, err := commandLine(append([]string{"plan"}, strings.Fields(c.args)...)...); fault.ExitCode(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("plan %s: exit code %d, want %d and %q in: %v", c.args, fault.ExitCode(err), c.code, c.says, err)
		}
	}
}

// TestDryRun says what would run and leaves nothing behind.
func TestDryRun(t *testing.T) {
	t.Chdir(t.TempDir())
	text := must.M1(commandLine("--dry-run", "--preset", "small"))
	if !strings.Contains(text, "preset small") || !strings.Contains(text, "output in run") || exists("run") {
		t.Errorf("a dry run says\n%s", text)
	}
	var empty bytes.Buffer
	if must.M(must.M1(MakePlan(new(must.M1(Preset("tiny"))), Speed{})).WriteText(&empty)); empty.Len() == 0 {
		t.Error("a plan has no text")
	}
}
