package trainer

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/dataset"
	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
	"elektron/trainer/checkpoint"
)

// splitSteps takes four steps, on n devices, so many at a time, going on from a checkpoint's tensors if there are some.
// programs is the folder of compiled programs. With four devices each has a quarter of the moments.
func splitSteps(t *testing.T, programs string, n, together int, from []checkpoint.Tensor) (results []Result, state []checkpoint.Tensor) {
	t.Helper()
	devicetest.Open(t, platform.CPU) // installs the plugin, or skips
	opened, err := device.Open(t.Context(), device.Options{Platform: platform.CPU, Offline: true, Devices: n, Cache: programs})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	c := stepConfig()
	c.Model.HiddenSize, c.Model.EmbeddingSize, c.Model.IntermediateSize, c.Model.Layers, c.Model.Generator.Size = 64, 64, 64, 1, 1
	o := c.stepOptions(platform.CPU)
	o.PerDispatch, o.ShardOptimizer = together, n == 4
	step := must.M1(NewStep(opened, o))
	defer step.Close()
	must.M(step.Initialize(3))
	if from != nil {
		must.M(step.Import(from))
	}
	batch := randomBatch(&c)
	batch.Lengths[1] -= 9 // devices have unequal numbers of tokens
	for len(results) < 4 {
		var batches []*dataset.Batch
		var controls []Control
		for range min(step.Together(), 4-len(results)) {
			at := int64(len(results) + len(batches))
			batches = append(batches, batch)
			controls = append(controls, Control{Seed: 5, Step: at, LearningRate: 0.01 / float64(at+1), DiscriminatorWeight: 50})
		}
		results = append(results, must.M1(must.M1(step.Start(batches, controls)).Results())...)
	}
	return results, must.M1(step.Export())
}

// TestSplitSteps: a step is the same however many devices share it, with dropout and sampling, and steps that the
// devices take in a loop are those of single dispatches, bit by bit.
func TestSplitSteps(t *testing.T) {
	programs := t.TempDir()
	want, state := splitSteps(t, programs, 1, 1, nil)
	if want[3].MLMLoss >= want[0].MLMLoss {
		t.Errorf("the loss does not fall: %g, %g", want[0].MLMLoss, want[3].MLMLoss)
	}
	looped, loopedState := splitSteps(t, programs, 1, 3, nil)
	for i, r := range looped {
		if !reflect.DeepEqual(r, want[i]) {
			t.Errorf("step %d in a loop: losses %v and %v, norm %v; alone %v and %v, norm %v", i+1, r.MLMLoss, r.RTDLoss, r.GradNorm, want[i].MLMLoss, want[i].RTDLoss, want[i].GradNorm)
		}
	}
	for i, tensor := range loopedState {
		if string(tensor.Data) != string(state[i].Data) {
			t.Errorf("%s differs after steps in a loop", tensor.Name)
		}
	}
	for _, n := range []int{2, 4} {
		got, split := splitSteps(t, programs, n, n-1, nil)
		for i, r := range got {
			sameResult(t, n, i+1, r, want[i])
		}
		for i, tensor := range split {
			compareAbsolute(t, tensor.Name, decodeFloats(tensor.Data), decodeFloats(state[i].Data), 2e-5)
		}
		if n == 4 { // what four devices saved, one goes on with
			onFour, _ := splitSteps(t, programs, 4, 3, split)
			onOne, _ := splitSteps(t, programs, 1, 1, split)
			sameResult(t, 1, 1, onOne[0], onFour[0])
		}
	}
}

func sameResult(t *testing.T, devices, step int, got, want Result) {
	t.Helper()
	for what, pair := range map[string][2]float64{
		"masked-language-model loss": {got.MLMLoss, want.MLMLoss}, "detection loss": {got.RTDLoss, want.RTDLoss},
		"gradient norm": {got.GradNorm, want.GradNorm}, "replaced tokens": {got.Positives, want.Positives},
	} {
		if !(math.Abs(pair[0]-pair[1]) <= 1e-5*math.Abs(pair[1])) {
			t.Errorf("%d devices, step %d: %s %g, want %g", devices, step, what, pair[0], pair[1])
		}
	}
}

// TestDivisible: batches that the devices cannot share evenly are refused with those that they can.
func TestDivisible(t *testing.T) {
	c := stepConfig() // 8 examples
	for _, devices := range []int{1, 2, 4, 8} {
		if err := c.divisible(devices); err != nil {
			t.Errorf("%d devices: %v", devices, err)
		}
	}
	if err := c.divisible(3); err == nil || !strings.Contains(err.Error(), "6 or 9") {
		t.Errorf("3 devices: %v", err)
	}
	c.Run.Accumulate = 4
	if err := c.divisible(4); err == nil || !strings.Contains(err.Error(), "such as 16") {
		t.Errorf("4 devices and 4 parts: %v", err)
	}
}
