//go:build cgo

package trainer

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/internal/stablehlo"
)

// compileForGPUs compiles a small step for so many H100, where `platform install gpu` has fetched their compiler.
func compileForGPUs(t *testing.T, o StepOptions, n int) (*compiledStep, *stablehlo.Program) {
	t.Helper()
	if _, err := platform.Obtain(t.Context(), platform.Options{Platform: platform.GPU, Offline: true}); err != nil {
		t.Skip(err)
	}
	c := must.M1(Preset("tiny"))
	c.Run.Platform = platform.GPU
	compiler := must.M1(newTopologyCompiler(t.Context(), &c, TopologyOptions{Name: fmt.Sprintf("h100:%d", n), Progress: func(line string) { t.Log(line) }}))
	defer compiler.topology.Close()
	step, program := &compiledStep{}, must.M1(o.Programs(smallBatch, compiler.traced))[0]
	must.M(compiler.add(step, program))
	return step, program.Program
}

// TestGPUStep compiles the step for GPUs that are not there. Its state changes in place. One GPU without dropout of
// attention's probabilities has cuDNN's attention, forwards and backwards, in both encoders; two with it sum gradients.
func TestGPUStep(t *testing.T) {
	o := smallStep(1)
	for _, c := range []struct {
		dropout        float64
		devices        int
		fused, summing bool
	}{{0, 1, true, false}, {0.1, 2, false, true}} {
		o.Model.AttentionDropout = c.dropout
		step, program := compileForGPUs(t, o, c.devices)
		var state int64
		for _, in := range program.Inputs {
			if in.Aliased != nil {
				state += in.Bytes()
			}
		}
		if step.memory.Aliased < state {
			t.Errorf("%d GPUs: %d of %d bytes of state are aliased", c.devices, step.memory.Aliased, state)
		}
		calls, sums := map[string]int{}, 0
		for _, computation := range step.modules[0].Computations { // what a GPU is given at once is a computation of its own
			for _, i := range computation.Instructions {
				if i.Opcode == "custom-call" {
					calls[i.CustomCallTarget]++
				}
				if strings.HasPrefix(i.Opcode, "all-reduce") {
					sums++
				}
			}
		}
		want := 0
		if c.fused {
			want = 2
		}
		if calls["__cudnn$fmhaSoftmax"] != want || calls["__cudnn$fmhaSoftmaxBackward"] != want || (sums > 0) != c.summing {
			t.Errorf("%d GPUs, dropout %g: calls %v, %d all-reduce", c.devices, c.dropout, calls, sums)
		}
	}
}

// TestGPUPlan: a plan for GPUs says whether the step fits and which batch does, and no times. Errors say what to do.
func TestGPUPlan(t *testing.T) {
	for name, says := range map[string][]string{
		"h100:0": {"no number of GPUs"}, "h100:many": {"no number of GPUs"}, "h100:": {"no number of GPUs"},
		"h900": {"h100", "platform install tpu"}, // a TPU's, for all that is known, which needs its compiler
	} {
		_, err := commandLine("plan", "--preset", "tiny", "--offline", "--topology", name)
		if !slices.ContainsFunc(says, func(part string) bool { return strings.Contains(fmt.Sprint(err), part) }) {
			t.Errorf("plan --topology %s: %v, want one of %q", name, err, says)
		}
	}
	if _, err := platform.Obtain(t.Context(), platform.Options{Platform: platform.GPU, Offline: true}); err != nil {
		_, planned := commandLine("plan", "--preset", "tiny", "--topology", "h100")
		if fault.KindOf(planned) != fault.Device || !strings.Contains(planned.Error(), "platform install gpu") {
			t.Errorf("without the plugin: %v", planned)
		}
		t.Skip(err)
	}
	out := must.M1(commandLine(strings.Fields("plan --preset tiny --set model.layers=1 --set model.vocab_size=2048 --seq-len 32 --batch-size 4096 --topology l4 --set run.gpu.memory_fraction=0.004 --json")...))
	var p Plan
	must.M(json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &p))
	if p.EstimatedStep != nil || p.Hours != nil || *p.HBM.Peak <= *p.HBM.Limit || *p.Fits || p.Topology.FittingBatch == 0 || p.Topology.FittingBatch >= 4096 {
		t.Errorf("fits %v, %+v of %+v, batch %d", *p.Fits, *p.HBM.Peak, *p.HBM.Limit, p.Topology.FittingBatch)
	}
}

// TestGPUAttention, T4: cuDNN's attention and the one that is written out give the same steps, but for the rounding of
// bfloat16, with padding.
func TestGPUAttention(t *testing.T) {
	devicetest.Open(t, platform.GPU) // or skips
	c := stepConfig()
	c.Model.HiddenSize, c.Model.EmbeddingSize, c.Model.IntermediateSize, c.Model.AttentionDropout = 64, 64, 64, 0
	batch := randomBatch(&c)
	batch.Lengths[1] -= 9
	follow := func(decomposed bool) (results []Result) {
		opened := must.M1(device.Open(t.Context(), device.Options{Platform: platform.GPU, Offline: true,
			GPU: device.GPUOptions{OnDemand: true, DecomposedAttention: decomposed}}))
		defer opened.Close()
		if opened.Count > 1 {
			t.Skipf("%d GPUs share a step, for which cuDNN's attention is not used", opened.Count)
		}
		step := must.M1(NewStep(opened, c.stepOptions(platform.GPU)))
		defer step.Close()
		must.M(step.Initialize(3))
		for i := range 3 {
			results = append(results, must.M1(step.Train(batch, Control{Seed: 5, Step: int64(i), LearningRate: 0.01, DiscriminatorWeight: 50})))
		}
		return results
	}
	want := follow(true)
	for i, got := range follow(false) {
		if math.Abs(got.MLMLoss-want[i].MLMLoss) > 0.02*want[i].MLMLoss || math.Abs(got.RTDLoss-want[i].RTDLoss) > 0.02*want[i].RTDLoss {
			t.Errorf("step %d: losses %g and %g by cuDNN, %g and %g written out", i+1, got.MLMLoss, got.RTDLoss, want[i].MLMLoss, want[i].RTDLoss)
		}
	}
}
