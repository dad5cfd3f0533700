package trainer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/platform"
)

// gpu is what is published of a kind of GPU: NVIDIA's data sheets and architecture white papers, and of a
// multiprocessor the table of technical specifications in the CUDA C++ programming guide.
type gpu struct {
	name            string
	capability      int // compute capability, times ten
	multiprocessors int
	cores           int     // float32 units of a multiprocessor
	threads         int     // that a multiprocessor keeps at most
	shared          int     // KiB of shared memory of a multiprocessor, of which a block may have all but one
	memory          int64   // bytes
	bandwidth       int64   // bytes a second
	cache           int     // MiB of level 2
	clock           float64 // GHz, at most
	peak            float64 // FLOPs a second in bfloat16, dense
}

var gpus = map[string]gpu{
	"a100-40": {"NVIDIA A100 40GB", 80, 108, 64, 2048, 164, 40 << 30, 1555e9, 40, 1.41, 312e12},
	"a100":    {"NVIDIA A100 80GB", 80, 108, 64, 2048, 164, 80 << 30, 2039e9, 40, 1.41, 312e12},
	"h100":    {"NVIDIA H100 80GB", 90, 132, 128, 2048, 228, 80 << 30, 3350e9, 50, 1.98, 989e12},
	"h200":    {"NVIDIA H200", 90, 132, 128, 2048, 228, 141e9, 4800e9, 50, 1.98, 989e12},
	"l4":      {"NVIDIA L4", 89, 58, 128, 1536, 100, 24 << 30, 300e9, 48, 2.04, 121e12},
	"rtx4090": {"NVIDIA GeForce RTX 4090", 89, 128, 128, 1536, 100, 24 << 30, 1008e9, 72, 2.52, 165e12},
}

// knownGPUs are the names of gpus.
var knownGPUs = strings.Join(slices.Sorted(maps.Keys(gpus)), ", ")

// target describes a GPU to XLA, as the text of a stream_executor.GpuTargetConfigProto. What is the same for all of them
// are the limits of CUDA's threads, blocks and registers.
func (g gpu) target() string {
	return fmt.Sprintf(`platform_name: "CUDA" device_description_str: %q dnn_version_info { major: 9 minor: 8 } runtime_version { major: 12 minor: 9 }
gpu_device_info {
  cuda_compute_capability { major: %d minor: %d } core_count: %d fpus_per_core: %d clock_rate_ghz: %g
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: %d
  shared_memory_per_core: %d shared_memory_per_block: 49152 shared_memory_per_block_optin: %d
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  device_memory_size: %d memory_bandwidth: %d l2_cache_size: %d
}`, g.name, g.capability/10, g.capability%10, g.multiprocessors, g.cores, g.clock, g.threads,
		g.shared<<10, (g.shared-1)<<10, g.memory, g.bandwidth, g.cache<<20)
}

// gpuOf is the kind of GPU that a topology's name begins with, if it does, and how many are said to be there: h100, h100:8.
func gpuOf(topology string) (kind gpu, count string, known bool) {
	name, count, several := strings.Cut(topology, ":")
	if !several {
		count = "1"
	}
	kind, known = gpus[name]
	return kind, count, known
}

// defaultMemoryFraction is the share of a GPU's memory that the plugin takes.
const defaultMemoryFraction = 0.75

// newGPUCompiler makes a compiler for GPUs, which are described to XLA and need not be there. The plugin is 5 GB that
// only `platform install gpu` fetches.
func newGPUCompiler(ctx context.Context, c *Config, o TopologyOptions, kind gpu, number string) (*topologyCompiler, error) {
	count, err := strconv.Atoi(number)
	if err != nil || count < 1 || count > 64 {
		return nil, fault.New(fault.Usage, "plan: --topology %s: %q is no number of GPUs of one host; give such as h100:8", o.Name, number)
	}
	found, err := platform.Obtain(ctx, platform.Options{Platform: platform.GPU, Plugin: c.Run.Plugin, Offline: true, Progress: o.Progress})
	if err != nil {
		return nil, fault.Wrap(fault.Device, err, "plan: --topology %s needs the GPU's compiler", o.Name)
	}
	plugin, err := device.LoadGPUCompiler(found.Path, o.Progress)
	if err != nil {
		return nil, fault.Wrap(fault.Device, err, "plan: --topology %s", o.Name)
	}
	topology, err := plugin.Topology(o.Name, pjrt.Options{"target_config": kind.target(), "topology": fmt.Sprintf("1x1x%d", count)})
	if err != nil {
		return nil, fault.Wrap(fault.Device, err, "plan")
	}
	fraction := c.Run.GPU.MemoryFraction
	if fraction == 0 {
		fraction = defaultMemoryFraction
	}
	return &topologyCompiler{topology: topology, peak: kind.peak, limit: int64(fraction * float64(kind.memory)), options: c.stepOptions(platform.GPU),
		traced: c.tracedFor(platform.GPU, count), progress: o.Progress}, nil
}

// tooMuch is said of a program that was compiled and does not fit: a GPU's compiler refuses none.
type tooMuch struct{ peak, temporaries, limit int64 }

func (e tooMuch) Error() string {
	return fmt.Sprintf("the step takes %.3f GB of a device's %.3f", float64(e.peak)/1e9, float64(e.limit)/1e9)
}
