//go:build cgo

package trainer

import (
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/janpfeifer/must"

	"elektron/internal/stablehlo"
	"elektron/model"
)

// smallStep are the options of a step that is traced and compiled in tests: bfloat16 and LAMB, as on a TPU, one layer.
func smallStep(parts int) StepOptions {
	c := must.M1(Preset("tiny"))
	c.Model.Layers, c.Model.VocabSize = 1, 2048
	o := c.stepOptions("tpu")
	o.Compute, o.Parts = dtypes.BFloat16, parts
	return o
}

var smallBatch = BatchShape{B: 32, S: 32, K: 8}

// TestStepProgram: the whole state is aliased, in its order, to the new state, and only the batch is split.
func TestStepProgram(t *testing.T) {
	o := smallStep(1)
	n := len(o.step(4).layout.Arrays)
	programs := must.M1(o.Programs(smallBatch, stablehlo.Options{Devices: 4, Places: true}))
	p := programs[0]
	if len(programs) != 1 || p.Name != "train_step" || p.Runs != 1 || p.Resident != 0 || p.Devices != 4 {
		t.Fatalf("programs %+v", programs)
	}
	if len(p.Inputs) != n+batchInputs+controlInputs || len(p.Outputs) != n+1 || p.Outputs[n].Dims[0] != model.StatisticsSize+2 {
		t.Errorf("%d inputs, %d outputs, last %v", len(p.Inputs), len(p.Outputs), p.Outputs[len(p.Outputs)-1])
	}
	for i, in := range p.Inputs {
		isState, isBatch := i < n, i >= n && i < n+batchInputs
		if (in.Aliased != nil) != isState || isState && *in.Aliased != i || in.Sharded != isBatch || isBatch && in.Dims[0] != smallBatch.B {
			t.Errorf("input %d is %+v", i, in)
		}
	}
	if got := strings.Count(p.Text, "tf.aliasing_output"); got != n {
		t.Errorf("the text aliases %d arrays, want %d", got, n)
	}
	for _, place := range []string{
		"gradients/Forward/generate/vocabularyLogits", "backward/gradients/Forward/generate/vocabularyLogits",
		"gradients/Forward/detectReplaced/encode/layers/encode/attention/attend/mix",
		"backward/gradients/Forward/detectReplaced/encode/layers/encode/linear/linearNoBias/product", "backward/gradients/Forward/detectReplaced/encode/layers/encode/attention/attend", "update/ApplyIfFinite/update/clip", "update/ApplyIfFinite/update/direction/trustRatio",
	} {
		if !strings.Contains(p.Text, `loc("`+place) {
			t.Errorf("no operation is at %s", place)
		}
	}
	for _, never := range []string{"f64", "stablehlo.sort", "custom_call", "stablehlo.dynamic", "?x"} {
		if strings.Contains(p.Text, never) {
			t.Errorf("the program holds %s", never)
		}
	}
}

// TestPartPrograms: sums are aliased to new sums, moments stay where they are while parts are computed.
func TestPartPrograms(t *testing.T) {
	o := smallStep(4)
	n := len(o.Model.Weights())
	programs := must.M1(o.Programs(smallBatch, stablehlo.Options{Devices: 2, Places: true}))
	part, apply := programs[0], programs[1]
	if part.Name != "gradient_of_part" || part.Runs != 4 || apply.Name != "apply_gradient" || apply.Runs != 1 {
		t.Fatalf("programs %s %d, %s %d", part.Name, part.Runs, apply.Name, apply.Runs)
	}
	if part.Resident != 2*floatBytes*int64(o.Model.ParameterCount()) || apply.Resident != 0 {
		t.Errorf("%d and %d bytes lie beside the programs", part.Resident, apply.Resident)
	}
	for i, in := range part.Inputs {
		isSum := i >= n && i < 2*n+1
		if (in.Aliased != nil) != isSum || isSum && *in.Aliased != i-n {
			t.Errorf("input %d of a part is %s %v", i, in.Name, in.Aliased)
		}
	}
	if in := part.Inputs[2*n+1]; in.Name != "ids" || in.Dims[0] != smallBatch.B/4 {
		t.Errorf("a part of the batch is %+v", in)
	}
	for i, in := range apply.Inputs[:len(o.step(2).layout.Arrays)+n+1] {
		if in.Aliased == nil || *in.Aliased != i {
			t.Errorf("input %d of the update is %s %v", i, in.Name, in.Aliased)
		}
	}
}
