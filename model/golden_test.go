package model_test

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
	"elektron/internal/testdata"
	"elektron/model"
	"elektron/model/hf"
	"elektron/model/hf/safetensors"
)

// TestGoldenELECTRA holds hidden states, logits, losses and every gradient against an independent
// implementation (parity/electra/case.safetensors), on both backends.
func TestGoldenELECTRA(t *testing.T) {
	folder := filepath.Join(testdata.Parity(t), "electra")
	config, weights, err := hf.Read(filepath.Join(folder, "discriminator"), filepath.Join(folder, "generator"))
	if err != nil {
		t.Fatal(err)
	}
	config.HiddenDropout, config.AttentionDropout = 0, 0
	kase := must.M1(safetensors.Read(filepath.Join(folder, "case.safetensors")))
	for _, name := range []string{platform.Go, platform.CPU, platform.GPU} {
		t.Run(name, func(t *testing.T) {
			out := runGolden(t, devicetest.Open(t, name), &config, weights, kase)
			compareAbsolute(t, "generator_logits", usedSlots(kase, out["generator_logits"]), usedSlots(kase, floats(kase, "generator_logits")), 1e-4)
			for name, tolerance := range map[string]float64{
				"generator_hidden": 1e-4, "discriminator_logits": 1e-4, "labels": 0,
				"mlm_loss": 1e-4, "rtd_loss": 1e-4, "total_loss": 1e-4,
			} {
				compareAbsolute(t, name, out[name], floats(kase, name), tolerance)
			}
			for _, w := range config.Weights() {
				compareGradient(t, w.Name, out["grad."+w.Name], goldenGradient(t, kase, w.Name))
			}
		})
	}
}

// runGolden runs the task with the golden's sampled ids and returns outputs and gradients by name.
func runGolden(t *testing.T, device *device.Device, config *model.Config, weights map[string][]float32, kase *safetensors.File) map[string][]float32 {
	t.Helper()
	list := config.Weights()
	outputs := []string{"generator_hidden", "generator_logits", "discriminator_logits", "labels", "mlm_loss", "rtd_loss", "total_loss"}
	exec := devicetest.Exec(t, device, func(in []*graph.Node) []*graph.Node {
		byName := map[string]*graph.Node{}
		nodes := in[:len(list)]
		for i, w := range list {
			byName[w.Name] = nodes[i]
		}
		b := in[len(list):]
		key := model.StepKey(graph.Scalar(in[0].Graph(), dtypes.Uint32, uint32(1)), graph.Scalar(in[0].Graph(), dtypes.Uint32, uint32(2)))
		ctx := model.NewContext(byName, dtypes.Float32, key)
		out := config.Forward(ctx, model.Batch{IDs: b[0], SegmentIDs: b[1], Lengths: b[2], MaskedPositions: b[3],
			MaskedInputs: b[4], MaskedWeights: b[5], SampledIDs: b[6]})
		gradients := graph.Gradient(out.Loss, nodes...)
		return append([]*graph.Node{out.GeneratorHidden, out.GeneratorLogits, out.DiscriminatorLogits, out.Labels,
			out.MLMLoss, out.RTDLoss, out.Loss}, gradients...)
	})
	var args []*tensors.Tensor
	for _, w := range list {
		args = append(args, tensors.FromFlatDataAndDimensions(weights[w.Name], w.Shape...))
		outputs = append(outputs, "grad."+w.Name)
	}
	results := exec(append(args, goldenBatch(t, kase)...)...)
	out := map[string][]float32{}
	for i, name := range outputs {
		out[name] = tensors.MustCopyFlatData[float32](results[i])
	}
	return out
}

func goldenBatch(t *testing.T, kase *safetensors.File) []*tensors.Tensor {
	t.Helper()
	ids := kase.Tensor("input_ids")
	B, S := ids.Shape[0], ids.Shape[1]
	attention := must.M1(kase.Tensor("attention_mask").Int32s())
	lengths := make([]int32, B)
	for i, keep := range attention {
		lengths[i/S] += keep
	}
	positions, generatorIDs := must.M1(kase.Tensor("masked_positions").Int32s()), must.M1(kase.Tensor("generator_input_ids").Int32s())
	K := len(positions) / B
	inputs := make([]int32, len(positions))
	for i, p := range positions {
		inputs[i] = generatorIDs[i/K*S+int(p)]
	}
	ints := func(name string) *tensors.Tensor {
		x := kase.Tensor(name)
		return tensors.FromFlatDataAndDimensions(must.M1(x.Int32s()), x.Shape...)
	}
	return []*tensors.Tensor{ints("input_ids"), ints("token_type_ids"), tensors.FromFlatDataAndDimensions(lengths, B), ints("masked_positions"),
		tensors.FromFlatDataAndDimensions(inputs, B, K), tensors.FromFlatDataAndDimensions(floats(kase, "masked_weights"), B, K), ints("sampled_ids")}
}

func floats(file *safetensors.File, name string) []float32 {
	return must.M1(file.Tensor(name).Float32s())
}

// usedSlots keeps the logits of slots with weight; what stands in the others is of no account.
func usedSlots(kase *safetensors.File, logits []float32) []float32 {
	weights := floats(kase, "masked_weights")
	V, used := len(logits)/len(weights), []float32(nil)
	for i, w := range weights {
		if w > 0 {
			used = append(used, logits[i*V:(i+1)*V]...)
		}
	}
	return used
}

// goldenGradient finds a gradient under its own side's name or, for shared ones, either.
func goldenGradient(t *testing.T, kase *safetensors.File, name string) []float32 {
	t.Helper()
	for _, candidate := range []string{name, strings.Replace(name, "discriminator.", "generator.", 1)} {
		if g := kase.Tensor("grad." + candidate); g != nil {
			return must.M1(g.Float32s())
		}
	}
	t.Fatalf("no golden gradient of %s", name)
	return nil
}

func compareAbsolute(t *testing.T, name string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", name, len(got), len(want))
		return
	}
	worst := 0.0
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i]-want[i])))
	}
	if !(worst <= tolerance) {
		t.Errorf("%s: differs by %g, allowed %g", name, worst, tolerance)
	}
}

// compareGradient allows 1e-3 of the largest element; gradients of key biases are rounding noise around
// zero and compared absolutely.
func compareGradient(t *testing.T, name string, got, want []float32) {
	t.Helper()
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	compareAbsolute(t, "gradient of "+name, got, want, max(1e-3*largest, 1e-6))
}
