package device

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/platform"
)

// GPUOptions say how a GPU's memory is taken. The zero value leaves all of it to the plugin.
type GPUOptions struct {
	Allocator      string  `yaml:"allocator" doc:"of a GPU's memory: default, bfc, cuda_async, platform, vmm or address; empty is the plugin's default, bfc"`
	MemoryFraction float64 `yaml:"memory_fraction" doc:"share of a GPU's memory that may be taken; 0 is the plugin's default, 0.75"`
	OnDemand       bool    `yaml:"on_demand" doc:"take a GPU's memory when it is needed, not the whole share at the start"`
	// DecomposedAttention leaves cuDNN's fused attention unused.
	DecomposedAttention bool `yaml:"decomposed_attention" doc:"write attention out where cuDNN's fused one could compute it"`
}

// gpuAllocators are those that the CUDA plugin knows.
var gpuAllocators = []string{"default", "bfc", "cuda_async", "platform", "vmm", "address"}

// Validate refuses, with an error of kind Usage, what no plugin takes.
func (o GPUOptions) Validate() error {
	if !(o.MemoryFraction >= 0 && o.MemoryFraction <= 1) {
		return fault.New(fault.Usage, "run.gpu.memory_fraction is %g; it must lie between 0 and 1", o.MemoryFraction)
	}
	if o.Allocator != "" && !slices.Contains(gpuAllocators, o.Allocator) {
		return fault.New(fault.Usage, "run.gpu.allocator %q is none of %s", o.Allocator, strings.Join(gpuAllocators, ", "))
	}
	return nil
}

// client is the options in the plugin's words, without those that are left to it.
func (o GPUOptions) client() pjrt.Options {
	options := pjrt.Options{}
	if o.MemoryFraction != 0 {
		options["memory_fraction"] = float32(o.MemoryFraction)
	}
	if o.OnDemand {
		options["preallocate"] = false
	}
	if o.Allocator != "" {
		options["allocator"] = o.Allocator
	}
	return options
}

// hasFusedAttention tells whether cuDNN has fused attention for a GPU: from compute capability 8.0 (Ampere) on.
func hasFusedAttention(d *pjrt.Device) bool {
	capability, _ := d.Attributes["compute_capability"].(string)
	major, _, _ := strings.Cut(capability, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 8
}

// newGPUClient loads a CUDA plugin and opens its GPUs.
func newGPUClient(path string, o GPUOptions, say func(string)) (*pjrt.Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	plugin, err := loadGPU(path, say)
	if err != nil {
		return nil, err
	}
	client, err := plugin.NewClient(pjrt.ClientOptions{Options: o.client()})
	if err != nil {
		return nil, explainGPU(err)
	}
	return client, nil
}

// driverLibrary is the part of NVIDIA's driver that programs load. It comes with the driver and with nothing else.
const driverLibrary = "libcuda.so.1"

// loadGPU loads a CUDA plugin to run on GPUs, after the driver's library.
func loadGPU(path string, say func(string)) (*pjrt.Plugin, error) {
	if err := loadDriver(driverLibrary); err != nil {
		return nil, err
	}
	plugin, err := LoadGPUCompiler(path, say)
	if err != nil {
		return nil, err
	}
	attributes, err := plugin.Attributes()
	if err != nil {
		return nil, err
	}
	if version, ok := attributes["cuda_version"].(int64); ok { // such as 12090 for 12.9
		return plugin, platform.CheckDriver(int(version / 1000))
	}
	return plugin, nil
}

// LoadGPUCompiler loads a CUDA plugin that may only compile, for GPUs that need not be there (pjrt.Plugin.Topology). CUDA's
// libraries are loaded before, of which its own search path has only some. The folder with ptxas and libdevice is named to XLA in the
// environment variable XLA_FLAGS, unless it says something of it already.
func LoadGPUCompiler(path string, say func(string)) (*pjrt.Plugin, error) {
	cuda := platform.FindCUDA(path)
	nameCUDA(cuda.Folder)
	for _, library := range cuda.Libraries {
		if err := pjrt.Preload(library); err != nil {
			say("warning: a library of CUDA's is left out, and what needs it will fail: " + err.Error())
		}
	}
	return pjrt.Load(path)
}

func loadDriver(library string) error {
	if err := pjrt.Preload(library); err != nil {
		return fault.New(fault.Device,
			"--platform=gpu: NVIDIA's driver is not here: %w; install the driver (525.60.13 or later for CUDA 12), start a container with NVIDIA's container toolkit (--gpus all), or use --platform=cpu", err)
	}
	return nil
}

// nameCUDA tells XLA where ptxas and libdevice are.
func nameCUDA(folder string) {
	const flag = "--xla_gpu_cuda_data_dir"
	flags := os.Getenv("XLA_FLAGS")
	if folder == "" || strings.ContainsAny(folder, " \t\"'") || strings.Contains(flags, flag) {
		return
	}
	os.Setenv("XLA_FLAGS", strings.TrimSpace(flags+" "+flag+"="+folder))
}

// explainGPU says what to look at where the plugin finds no GPU that it can use.
func explainGPU(err error) error {
	if code := pjrt.CodeOf(err); code != pjrt.FailedPrecondition && code != pjrt.Internal && code != pjrt.NotFound {
		return err
	}
	return fault.New(fault.KindOf(err), "%w (see whether nvidia-smi shows the GPU, what CUDA_VISIBLE_DEVICES says, and whether another process has taken its memory)", err)
}
