package trainer

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
	"elektron/internal/testdata"
	"elektron/model/hf"
	"elektron/model/hf/safetensors"
	"elektron/trainer/optimizer"
)

// TestGoldenTrajectory takes the training step through the golden steps of parity/electra: losses, gradient
// norm and rate at each, and the parameters after the last.
func TestGoldenTrajectory(t *testing.T) {
	folder := filepath.Join(testdata.Parity(t), "electra")
	config, weights, err := hf.Read(filepath.Join(folder, "discriminator"), filepath.Join(folder, "generator"))
	if err != nil {
		t.Fatal(err)
	}
	config.HiddenDropout, config.AttentionDropout = 0, 0
	kase := must.M1(safetensors.Read(filepath.Join(folder, "trajectory.safetensors")))
	lamb := optimizer.Config{Name: "lamb", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-6, WeightDecay: 0.01, ClipNorm: 1, BiasCorrection: true}
	for _, name := range []string{platform.Go, platform.CPU, platform.GPU} {
		t.Run(name, func(t *testing.T) {
			step, err := NewStep(devicetest.Open(t, name), StepOptions{Model: config, Optimizer: lamb, Compute: dtypes.Float32})
			if err != nil {
				t.Fatal(err)
			}
			must.M(step.fill(step.device.Put, func(slot optimizer.Slot, i int) ([]float32, error) {
				if slot == optimizer.Values {
					return weights[step.weights[i].Name], nil
				}
				return make([]float32, step.weights[i].Size()), nil
			}))
			state := followTrajectory(t, step, kase)
			for i, w := range step.weights {
				for _, candidate := range []string{w.Name, strings.Replace(w.Name, "discriminator.", "generator.", 1)} {
					if want := kase.Tensor("final." + candidate); want != nil {
						compareRelative(t, candidate, tensors.MustCopyFlatData[float32](state[i]), must.M1(want.Float32s()), 2e-3)
						break
					}
				}
			}
		})
	}
}

// followTrajectory takes the golden steps and returns the state after them.
func followTrajectory(t *testing.T, step *Step, kase *safetensors.File) []*tensors.Tensor {
	t.Helper()
	exec := devicetest.Exec(t, step.device, func(in []*graph.Node) []*graph.Node {
		n := len(step.layout.Arrays)
		batch, control := batchOf(in[n:]), controlsOf(in[n+batchInputs+1:])
		batch.SampledIDs = in[n+batchInputs]
		gradients, out := step.gradients(in[:n], batch, control, nil)
		updated, norm, _ := step.update(in[:n], gradients, out.Statistics, control)
		return append(updated, out.MLMLoss, out.RTDLoss, out.Loss, norm)
	})
	var state []*tensors.Tensor
	for _, array := range step.state {
		state = append(state, must.M1(array.Fetch()))
	}
	values := func(name string) []float32 { return must.M1(kase.Tensor(name).Float32s()) }
	rates, T := values("learning_rate"), kase.Tensor("mlm_loss").Shape[0]
	schedule := Schedule{Peak: 0.02, Warmup: 3, Total: int64(T)}
	for at := range T {
		rate := schedule.At(int64(at))
		if math.Abs(rate-float64(rates[at])) > 1e-8 {
			t.Errorf("step %d: learning rate %g, want %g", at, rate, rates[at])
		}
		control := controlTensors(Control{Seed: 1, Step: int64(at), LearningRate: rate, DiscriminatorWeight: step.Model.DiscriminatorWeight})
		out := exec(slices.Concat(state, trajectoryBatch(kase, at), control)...)
		state = out[:len(out)-4]
		tolerance := 1e-4 + (2e-3-1e-4)*float64(at)/float64(max(1, T-1))
		for i, name := range []string{"mlm_loss", "rtd_loss", "total_loss", "grad_norm"} {
			got, want := float64(tensors.ToScalar[float32](out[len(out)-4+i])), float64(values(name)[at])
			if !(math.Abs(got-want) <= tolerance*math.Abs(want)) {
				t.Errorf("step %d: %s %g, want %g within %.2g", at, name, got, want, tolerance)
			}
		}
	}
	return state
}

// trajectoryBatch is the batch of one golden step: its arrays in the order of batchOf, then the sampled ids.
func trajectoryBatch(kase *safetensors.File, at int) []*tensors.Tensor {
	row := func(name string) ([]int32, []int) {
		x := kase.Tensor(name)
		size := 1
		for _, d := range x.Shape[1:] {
			size *= d
		}
		return must.M1(x.Int32s())[at*size : (at+1)*size], x.Shape[1:]
	}
	ints := func(name string) *tensors.Tensor {
		values, shape := row(name)
		return tensors.FromFlatDataAndDimensions(values, shape...)
	}
	positions, shape := row("masked_positions")
	generatorIDs, batchShape := row("generator_input_ids")
	B, K, S := shape[0], shape[1], batchShape[1]
	inputs := make([]int32, B*K)
	for i, p := range positions {
		inputs[i] = generatorIDs[i/K*S+int(p)]
	}
	weights := must.M1(kase.Tensor("masked_weights").Float32s())[at*B*K : (at+1)*B*K]
	return []*tensors.Tensor{ints("input_ids"), ints("token_type_ids"), ints("lengths"), ints("masked_positions"),
		tensors.FromFlatDataAndDimensions(inputs, B, K), tensors.FromFlatDataAndDimensions(weights, B, K), ints("sampled_ids")}
}

func compareRelative(t *testing.T, name string, got, want []float32, tolerance float64) {
	t.Helper()
	largest, worst := 0.0, 0.0
	for i := range want {
		largest = max(largest, math.Abs(float64(want[i])))
		worst = max(worst, math.Abs(float64(got[i]-want[i])))
	}
	if len(got) != len(want) || !(worst <= tolerance*largest) {
		t.Errorf("%s: differs by %g, its largest element is %g, allowed %g of that", name, worst, largest, tolerance)
	}
}
