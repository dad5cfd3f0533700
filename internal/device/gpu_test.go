//go:build cgo

package device

import (
	"maps"
	"os"
	"strings"
	"testing"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
)

func TestGPUOptions(t *testing.T) {
	for _, c := range []struct {
		options GPUOptions
		want    pjrt.Options
		wrong   string
	}{
		{GPUOptions{}, pjrt.Options{}, ""},
		{GPUOptions{MemoryFraction: 0.5, OnDemand: true, Allocator: "cuda_async"},
			pjrt.Options{"memory_fraction": float32(0.5), "preallocate": false, "allocator": "cuda_async"}, ""},
		{GPUOptions{MemoryFraction: 1.5}, nil, "1.5"},
		{GPUOptions{MemoryFraction: -0.5}, nil, "-0.5"},
		{GPUOptions{Allocator: "malloc"}, nil, "bfc, cuda_async"},
	} {
		got, err := c.options.client(), c.options.Validate()
		if c.wrong == "" && (err != nil || !maps.Equal(got, c.want)) {
			t.Errorf("%+v: options %v, %v; want %v", c.options, got, err, c.want)
		}
		if c.wrong != "" && (fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%+v: error %v, want one with %q", c.options, err, c.wrong)
		}
	}
}

// A machine without a driver hears of the file that is missing and of what to do.
func TestNoDriver(t *testing.T) {
	err := loadDriver("libcuda-none.so.1")
	if fault.ExitCode(err) != 71 {
		t.Fatalf("error %v, want exit code 71", err)
	}
	for _, want := range []string{"libcuda-none.so.1", "install the driver", "525.60.13", "--gpus all"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestNameCUDA(t *testing.T) {
	for _, c := range []struct{ flags, folder, want string }{
		{"", "/x/cuda_nvcc", "--xla_gpu_cuda_data_dir=/x/cuda_nvcc"},
		{"--xla_dump_to=d", "/x", "--xla_dump_to=d --xla_gpu_cuda_data_dir=/x"},
		{"--xla_gpu_cuda_data_dir=/mine", "/x", "--xla_gpu_cuda_data_dir=/mine"},
		{"--xla_dump_to=d", "", "--xla_dump_to=d"},
		{"", "/a folder", ""},
	} {
		t.Setenv("XLA_FLAGS", c.flags)
		nameCUDA(c.folder)
		if got := os.Getenv("XLA_FLAGS"); got != c.want {
			t.Errorf("XLA_FLAGS is %q after %q and %q, want %q", got, c.flags, c.folder, c.want)
		}
	}
}

func TestExplainGPU(t *testing.T) {
	none := &pjrt.Error{Code: pjrt.FailedPrecondition, Function: "PJRT_Client_Create", Message: "No visible GPU devices."}
	err := explainGPU(fault.Wrap(fault.Device, none, "opening"))
	if fault.KindOf(err) != fault.Device || !strings.Contains(err.Error(), "nvidia-smi") || !strings.Contains(err.Error(), "No visible GPU") {
		t.Errorf("explained as %v", err)
	}
	full := fault.Wrap(fault.OutOfMemory, &pjrt.Error{Code: pjrt.ResourceExhausted}, "opening")
	if got := explainGPU(full); got != full {
		t.Errorf("a full memory is explained as %v", got)
	}
}
