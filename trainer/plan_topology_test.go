//go:build cgo

package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
	"elektron/internal/pjrt/hlo"
	"elektron/internal/platform"
	"elektron/internal/stablehlo"
	"elektron/trainer/optimizer"
)

// requireCompiler skips where libtpu is not installed: it is 205 MB that only `platform install tpu` fetches.
func requireCompiler(t *testing.T) {
	t.Helper()
	if _, err := platform.Obtain(context.Background(), platform.Options{Platform: platform.TPU, Offline: true}); err != nil {
		t.Skip(err)
	}
}

// planned is a small step compiled for a slice of four TPUs, once for all tests.
type planned struct {
	plan   Plan
	module *hlo.Module
	text   string // StableHLO
}

const plannedBatch = 32

var smallPlan = sync.OnceValues(func() (*planned, error) {
	folder, err := os.MkdirTemp("", "elektron-plan-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	program, compiled := filepath.Join(folder, "step.mlir"), filepath.Join(folder, "step.hlo")
	args := "plan --preset tiny --set model.layers=1 --set model.vocab_size=2048 --seq-len 32 --topology v5e:2x2 --json --offline"
	out, err := commandLine(append(strings.Fields(args), "--batch-size", fmt.Sprint(plannedBatch), "--program", program, "--hlo", compiled)...)
	if err != nil {
		return nil, err
	}
	p := &planned{}
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &p.plan); err != nil {
		return nil, err
	}
	code, err := os.ReadFile(compiled)
	if err != nil {
		return nil, err
	}
	if p.module, err = hlo.Parse(code); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(program)
	p.text = string(text)
	return p, err
})

func compiledPlan(t *testing.T) *planned {
	t.Helper()
	requireCompiler(t)
	p, err := smallPlan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lintTPU lists what a step for TPUs must not hold. noise is the number of elements of [B,K,V] on one device.
func lintTPU(m *hlo.Module, noise int) (problems []string) {
	complain := func(i *hlo.Instruction, what string) {
		problems = append(problems, fmt.Sprintf("%s %s %v %s", what, i.Name, i.Shape, i.OpName))
	}
	for _, c := range m.Computations {
		for _, i := range c.Instructions {
			switch i.Opcode {
			case "infeed", "outfeed", "send", "recv":
				complain(i, "host transfer")
			case "sort":
				complain(i, "sort")
			}
			if i.HostTransfer {
				complain(i, "host transfer")
			}
			if target := strings.ToLower(i.CustomCallTarget); strings.Contains(target, "sort") || strings.Contains(target, "topk") {
				complain(i, "sort")
			}
			for _, array := range i.Shape.Arrays() {
				switch {
				case array.Dynamic:
					complain(i, "dynamic shape")
				case array.Type == "f64" || array.Type == "c128":
					complain(i, "double precision")
				case (array.Type == "s64" || array.Type == "u64") && array.Size() > 1:
					complain(i, "64-bit integers")
				case array.Type == "u32" && array.Size() >= noise && !c.Fused:
					complain(i, "noise in memory")
				}
			}
		}
	}
	return problems
}

// TestTPULint holds the compiled step to what the article that elektron follows met on TPUs.
func TestTPULint(t *testing.T) {
	p := compiledPlan(t)
	phase := p.plan.Phases[0]
	rows := phase.BatchSize / p.plan.Topology.Devices
	for _, problem := range lintTPU(p.module, rows*phase.MaskedSlots*p.plan.VocabSize) {
		t.Error(problem)
	}
	// All that is no state: tables of 32-bit numbers take whole tiles of 8 × 128 of them, lists and scalars 512 bytes.
	const tile, list = 8 * 128 * 4, 512
	others := int64(5*tile + list + controlInputs*list)
	if h := p.plan.HBM; *h.Aliased < int64(optimizer.Slots)*floatBytes*int64(p.plan.Params.Total) || *h.Arguments-*h.Aliased > others {
		t.Errorf("of %d bytes of arguments %d are aliased; all but %d should be", *h.Arguments, *h.Aliased, others)
	}
}

// TestTPULintOfLoops holds the program that TPUs run by default, steps in a loop on the devices, to the same: its state is
// aliased through the loop, and its rounds are counted on the device.
func TestTPULintOfLoops(t *testing.T) {
	requireCompiler(t)
	c := must.M1(Preset("tiny"))
	compiler := must.M1(newTopologyCompiler(t.Context(), &c, TopologyOptions{Name: "v5e:2x2", Progress: func(string) {}}))
	defer compiler.topology.Close()
	o := smallStep(1)
	s := o.step(compiler.devices())
	spec := s.spec(programKey{loopProgram, smallBatch})
	if spec.Steps != acceleratorDispatch {
		t.Fatalf("a TPU is given %d steps at once by default, want %d", spec.Steps, acceleratorDispatch)
	}
	program := must.M1(stablehlo.TraceLoop(spec.Name, stablehlo.Options{Devices: s.count}, spec.Steps, spec.Inputs, spec.Build))
	step := &compiledStep{}
	must.M(compiler.add(step, StepProgram{Program: program, Runs: 1}))
	for _, problem := range lintTPU(step.modules[0], smallBatch.B/s.count*smallBatch.K*o.Model.VocabSize) {
		t.Error(problem)
	}
	if state := int64(optimizer.Slots) * floatBytes * int64(o.Model.ParameterCount()); step.memory.Aliased < state {
		t.Errorf("%d bytes are aliased, the state has %d", step.memory.Aliased, state)
	}
	loops := 0
	for _, cost := range step.costs {
		if cost.Opcode == "while" && strings.Contains(cost.Shape.String(), fmt.Sprintf("f32[%d,64]", o.Model.VocabSize)) {
			loops++
		}
	}
	if loops != 1 {
		t.Errorf("%d loops carry the word table, want one", loops)
	}
}

// TestLintFinds: the lint can fail.
func TestLintFinds(t *testing.T) {
	bad := &hlo.Computation{Instructions: []*hlo.Instruction{
		{Name: "a", Opcode: "sort", Shape: hlo.Shape{Type: "f32", Dims: []int{8}}},
		{Name: "b", Opcode: "custom-call", CustomCallTarget: "TopK", Shape: hlo.Shape{Type: "f32"}},
		{Name: "c", Opcode: "send", Shape: hlo.Shape{Type: "token"}},
		{Name: "d", Opcode: "add", HostTransfer: true, Shape: hlo.Shape{Type: "f32"}},
		{Name: "e", Opcode: "add", Shape: hlo.Shape{Type: "f32", Dims: []int{8}, Dynamic: true}},
		{Name: "f", Opcode: "add", Shape: hlo.Shape{Type: "f64"}},
		{Name: "g", Opcode: "add", Shape: hlo.Shape{Type: "tuple", Elements: []hlo.Shape{{Type: "s64", Dims: []int{2}}}}},
		{Name: "h", Opcode: "add", Shape: hlo.Shape{Type: "u32", Dims: []int{10, 10}}},
		{Name: "allowed", Opcode: "add", Shape: hlo.Shape{Type: "s64"}},
	}}
	fused := &hlo.Computation{Fused: true, Instructions: []*hlo.Instruction{{Name: "i", Shape: hlo.Shape{Type: "u32", Dims: []int{10, 10}}}}}
	if got := lintTPU(&hlo.Module{Computations: []*hlo.Computation{bad, fused}}, 100); len(got) != 8 {
		t.Errorf("found %d of 8 problems: %q", len(got), got)
	}
}

// TestPlanTopology: the contract's keys are filled, in agreement with each other and with the compiled program.
func TestPlanTopology(t *testing.T) {
	p := compiledPlan(t)
	plan, topology := p.plan, p.plan.Topology
	if plan.Fits == nil || !*plan.Fits || topology.Devices != 4 || topology.Kind != "TPU v5 lite" || topology.Hosts != 1 || topology.UncountedLoops != 0 {
		t.Fatalf("fits %v, %+v", plan.Fits, topology)
	}
	if cycles := hlo.Cycles(p.module.Costs()); *plan.EstimatedCycles != cycles || cycles < 100_000 {
		t.Errorf("%d cycles, the program says %d", *plan.EstimatedCycles, cycles)
	}
	near(t, "clock", topology.Clock, 1.5e9, 0.01)
	near(t, "step", *plan.EstimatedStep, float64(*plan.EstimatedCycles)/topology.Clock, 1e-9)
	near(t, "MFU", *plan.MFU, plan.FLOPsPerStep / *plan.EstimatedStep / (4*197e12), 1e-9)
	near(t, "tokens/s", topology.TokensPerS, plannedBatch*32 / *plan.EstimatedStep, 1e-9)
	near(t, "hours", *plan.Hours, 2000**plan.EstimatedStep/3600, 1e-9)
	if h := plan.HBM; *h.Limit < 15<<30 || *h.Peak > *h.Limit || *h.Peak < *h.Temporaries || *h.Arguments < *h.Aliased || topology.FLOPs < 1e8 || topology.Bytes < 1e7 {
		t.Errorf("memory %d %d %d %d %d, %+v", *h.Limit, *h.Peak, *h.Temporaries, *h.Arguments, *h.Aliased, topology)
	}
	sum, placed := 0.0, map[string]float64{}
	for _, s := range topology.Shares {
		sum += s.Share
		placed[s.Name] = s.Share
	}
	near(t, "all shares", sum, 1, 1e-9)
	if placed["attention"] == 0 || placed["clipping and optimizer"] == 0 || placed["vocabulary: logits"] == 0 || placed[unplaced] > 0.1 {
		t.Errorf("shares %v", placed)
	}
	if o := topology.Costliest; len(o) != shownOperations || o[0].Cycles < o[1].Cycles || o[0].Place == "" {
		t.Errorf("costliest %+v", o)
	}
	if !strings.Contains(p.text, "tf.aliasing_output") || !strings.Contains(p.text, `"data"=4`) {
		t.Error("the program that was written is not the one for four devices")
	}
	var text bytes.Buffer
	must.M(plan.WriteText(&text))
	for _, want := range []string{"v5e:2x2: 4 devices", "fits: of a device's 16.9", "clipping and optimizer", "between devices: ", " all-reduce of ", "MFU", "hours in all"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, text.String())
		}
	}
}

// TestDataParallel: each gradient is summed over devices, and nothing else that is large. The word table has two sums,
// of its lookups and of its products.
func TestDataParallel(t *testing.T) {
	p := compiledPlan(t)
	summed, words := 0, p.plan.VocabSize*64
	for _, c := range p.module.Costs() {
		if strings.HasPrefix(c.Opcode, "all-gather") || strings.HasPrefix(c.Opcode, "all-to-all") {
			t.Errorf("%s %v of %s", c.Opcode, c.Shape, c.OpName)
		}
		if c.Opcode == "all-reduce" || c.Opcode == "all-reduce-start" {
			for _, array := range c.Shape.Arrays() {
				summed += array.Size()
			}
		}
	}
	for _, c := range p.plan.Topology.Collectives {
		if c.Opcode != "all-reduce" || c.Numbers < int64(summed) || c.Runs < 1 {
			t.Errorf("the plan says %+v, the compiled step sums %d numbers", c, summed)
		}
	}
	if params := p.plan.Params.Total; summed < params*9/10 || summed > params+words+words/2 {
		t.Errorf("%d numbers are summed over devices, of %d parameters", summed, params)
	}
}

func TestTopologyRefusals(t *testing.T) {
	requireCompiler(t)
	for _, c := range []struct{ args, says string }{
		{"--topology v5litepod-4", knownTopologies},
		{"--topology v9:2x2", knownTopologies},
		{"--topology v5e:2x2 --batch-size 30", "valid ones: 28, 32"},
		{"--topology v5e:2x2 --batch-size 2", "valid ones: 4, 8"},
		{"--topology v5e:2x2 --batch-size 30 --accumulate 3", "valid ones: 24, 36"},
	} {
		_, err := commandLine(append([]string{"plan", "--preset", "tiny", "--offline"}, strings.Fields(c.args)...)...)
		if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), c.says) {
			t.Errorf("plan %s: %v, want %q", c.args, err, c.says)
		}
	}
}

// TestTopologyWithoutCompiler: errors about libtpu say what to do.
func TestTopologyWithoutCompiler(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	_, err := commandLine("plan", "--topology", "v5e:2x2", "--offline")
	if fault.KindOf(err) != fault.Device || !strings.Contains(err.Error(), "platform install tpu") || !strings.Contains(err.Error(), "--offline") {
		t.Errorf("offline, without libtpu: %v", err)
	}
	folder := filepath.Join(cache, "elektron", "plugins", "tpu-0.0.51")
	must.M(os.MkdirAll(folder, 0o755))
	must.M(os.WriteFile(filepath.Join(folder, "libtpu.so"), []byte("another libtpu"), 0o755))
	_, err = commandLine("plan", "--topology", "v5e:2x2")
	if fault.KindOf(err) != fault.Device || !strings.Contains(err.Error(), "is not loaded") {
		t.Errorf("with another libtpu: %v", err)
	}
	_, err = commandLine("plan", "--topology", "v5e:2x2", "--plugin", filepath.Join(folder, "libtpu.so"))
	if fault.KindOf(err) != fault.Device || !strings.Contains(err.Error(), "no shared library") {
		t.Errorf("with a file that is no plugin: %v", err)
	}
}

// TestWriteProgram: without a topology, the text is for one device and needs no compiler.
func TestWriteProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "step.mlir")
	must.M1(commandLine("plan", "--preset", "tiny", "--batch-size", "8", "--accumulate", "2", "--program", path))
	for name, module := range map[string]string{path: "module @gradient_of_part", path + ".apply": "module @apply_gradient"} {
		text := string(must.M1(os.ReadFile(name)))
		var signature struct {
			Devices int
			Inputs  []struct {
				Name, Type string
				Dims       []int
			}
		}
		must.M(json.Unmarshal(must.M1(os.ReadFile(name+".json")), &signature))
		if !strings.HasPrefix(text, module) || signature.Devices != 1 || signature.Inputs[0].Type != "float32" || len(signature.Inputs[0].Dims) != 2 {
			t.Errorf("%s: %+v and %.60s", name, signature, text)
		}
	}
	_, err := commandLine("plan", "--program", filepath.Join(t.TempDir(), "no", "step.mlir"))
	if fault.KindOf(err) != fault.Storage {
		t.Errorf("into a folder that is not there: %v", err)
	}
}

func TestFittingRows(t *testing.T) {
	for _, c := range []struct {
		rows              int
		temporaries, room float64
		want              int
	}{
		{32, 16, 12, 16},          // 24 rows
		{32, 12.5, 12, 16},        // 30.7 rows
		{33, 12.1, 12, 32},        // 32.7 rows
		{16, 11, 12, 8},           // it did not fit all the same
		{131072, 64.5, 15, 16384}, // 30481 rows
		{64, 0, 12, 32},           // not known
		{1, 16, 12, 0},            // one row is too much
		{8, 16, -1, 0},            // not even the state fits
		{8, 0, -1, 0},
	} {
		if got := fittingRows(c.rows, c.temporaries, c.room); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// tooLarge is a program whose temporaries, 64 GiB, no TPU has.
const tooLarge = `module @large { func.func @main(%a: tensor<1024x131072xf32>) -> tensor<131072x131072xf32> {
  %product = stablehlo.dot_general %a, %a, contracting_dims = [0] x [0] : (tensor<1024x131072xf32>, tensor<1024x131072xf32>) -> tensor<131072x131072xf32>
  return %product : tensor<131072x131072xf32>
} }`

// TestNeededBytes: the compiler's own words are understood.
func TestNeededBytes(t *testing.T) {
	if got := neededBytes(errors.New("something else")); got != 0 {
		t.Errorf("nothing is said, yet %g bytes are needed", got)
	}
	requireCompiler(t)
	compiler := must.M1(newTopologyCompiler(context.Background(), new(must.M1(Preset("tiny"))), TopologyOptions{Name: "v5e:1x1", Progress: func(string) {}}))
	defer compiler.topology.Close()
	err := compiler.add(&compiledStep{}, StepProgram{Program: &stablehlo.Program{Name: "large", Text: tooLarge}, Runs: 1})
	if fault.KindOf(err) != fault.OutOfMemory {
		t.Fatal(err)
	}
	near(t, "needed", neededBytes(err), 64<<30, 0.02)
}

// TestChips: peak and matrix units give the clocks that are published of the versions of which they are.
func TestChips(t *testing.T) {
	for kind, clock := range map[string]float64{"TPU v2": 700e6, "TPU v3": 940e6, "TPU v4": 1050e6, "TPU v5 lite": 1.5e9, "TPU v5": 1.75e9, "TPU v6 lite": 1.75e9} {
		near(t, kind, chips[kind].clock(), clock, 0.01)
	}
}
