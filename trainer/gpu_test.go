//go:build cgo

package trainer

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/pjrt"
	"elektron/internal/pjrt/hlo"
	"elektron/internal/platform"
	"elektron/internal/stablehlo"
)

// hopper describes an H100 to XLA (stream_executor.GpuTargetConfigProto, as text), after NVIDIA's data sheet and the CUDA C++
// programming guide's table of technical specifications for compute capability 9.0.
const hopper = `
platform_name: "CUDA" device_description_str: "NVIDIA H100" dnn_version_info { major: 9 minor: 8 } runtime_version { major: 12 minor: 9 }
gpu_device_info {
  cuda_compute_capability { major: 9 } core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  shared_memory_per_core: 233472 shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  device_memory_size: 85899345920 memory_bandwidth: 3352000000000 l2_cache_size: 52428800
}`

// gpuCompiler is the GPU's compiler, which needs no GPU, where `platform install gpu` has fetched it.
var gpuCompiler = sync.OnceValues(func() (*pjrt.Plugin, error) {
	found, err := platform.Obtain(context.Background(), platform.Options{Platform: platform.GPU, Offline: true})
	if err != nil {
		return nil, err
	}
	for _, library := range platform.FindCUDA(found.Path).Libraries {
		if err := pjrt.Preload(library); err != nil {
			return nil, err
		}
	}
	return pjrt.Load(found.Path)
})

// compileForGPUs compiles a small step for so many H100.
func compileForGPUs(t *testing.T, o StepOptions, n int) (*hlo.Module, pjrt.ProgramMemory, *stablehlo.Program) {
	t.Helper()
	plugin, err := gpuCompiler()
	if err != nil {
		t.Skip(err)
	}
	topology := must.M1(plugin.Topology("h100", pjrt.Options{"target_config": hopper, "topology": fmt.Sprintf("1x1x%d", n)}))
	defer topology.Close()
	program := must.M1(o.Programs(smallBatch, stablehlo.Options{Devices: n, CUDA: true, FusedAttention: true}))[0].Program
	compiled, err := topology.Compile(program.Text, pjrt.CompileOptions{NumPartitions: n, SPMD: n > 1, Shardy: n > 1})
	if err != nil {
		t.Fatal(err)
	}
	defer compiled.Close()
	code, _, err := compiled.OptimizedProgram()
	if err != nil {
		t.Fatal(err)
	}
	return must.M1(hlo.Parse(code)), must.M1(compiled.Memory()), program
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
		module, memory, program := compileForGPUs(t, o, c.devices)
		var state int64
		for _, in := range program.Inputs {
			if in.Aliased != nil {
				state += in.Bytes()
			}
		}
		if memory.Aliased < state {
			t.Errorf("%d GPUs: %d of %d bytes of state are aliased", c.devices, memory.Aliased, state)
		}
		calls, sums := map[string]int{}, 0
		for _, computation := range module.Computations { // what a GPU is given at once is a computation of its own
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
