package platform

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"elektron/internal/fault"
)

// touch makes empty files below a folder.
func touch(t *testing.T, folder string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindCUDA(t *testing.T) {
	const device = "nvvm/libdevice/libdevice.10.bc"
	cases := []struct {
		name, plugin string // and what lies beside it, relative to the root of the file system
		files        []string
		home         string // CUDA_HOME
		libraries    []string
		folder       string
	}{
		{name: "as installed", plugin: "gpu-1/cuda/plugin.so",
			files:     []string{"gpu-1/nvidia/cudnn/lib/libcudnn.so.9", "gpu-1/nvidia/cublas/lib/libcublas.so.12", "gpu-1/nvidia/cublas/lib/libcublasLt.so.12", "gpu-1/nvidia/cublas/lib/libnvblas.so.12", "gpu-1/nvidia/cuda_nvcc/" + device},
			libraries: []string{"gpu-1/nvidia/cublas/lib/libcublasLt.so.12", "gpu-1/nvidia/cublas/lib/libcublas.so.12", "gpu-1/nvidia/cudnn/lib/libcudnn.so.9"},
			folder:    "gpu-1/nvidia/cuda_nvcc"},
		{name: "Python's packages", plugin: "site-packages/jax_plugins/xla_cuda13/plugin.so", home: "opt/cuda",
			files:     []string{"site-packages/nvidia/cu13/lib/libcudart.so.13", "site-packages/nvidia/cu13/" + device, "opt/cuda/lib64/libcudart.so.12", "opt/cuda/" + device},
			libraries: []string{"site-packages/nvidia/cu13/lib/libcudart.so.13"}, folder: "site-packages/nvidia/cu13"},
		{name: "CUDA of the system", plugin: "opt/plugin.so",
			files:     []string{"usr/local/cuda/lib64/libcufft.so", "usr/local/cuda/lib64/libcufft.so.11", "usr/local/cuda/lib64/libcufft.so.11.4.1", "usr/local/cuda/" + device},
			libraries: []string{"usr/local/cuda/lib64/libcufft.so.11"}, folder: "usr/local/cuda"},
		{name: "CUDA elsewhere", plugin: "opt/plugin.so", home: "opt/cuda-12",
			files:     []string{"opt/cuda-12/lib64/libcudart.so.12", "opt/cuda-12/" + device, "usr/local/cuda/lib64/libcudart.so.11", "usr/local/cuda/" + device},
			libraries: []string{"opt/cuda-12/lib64/libcudart.so.12"}, folder: "opt/cuda-12"},
		{name: "nothing", plugin: "opt/plugin.so", files: []string{"usr/local/cuda/lib64/libcudart.so.12"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := host{root: t.TempDir()}
			touch(t, h.root, append(c.files, c.plugin)...)
			t.Setenv("CUDA_PATH", "")
			t.Setenv("CUDA_HOME", "")
			if c.home != "" {
				t.Setenv("CUDA_HOME", filepath.Join(h.root, c.home))
			}
			got := h.findCUDA(filepath.Join(h.root, c.plugin))
			var libraries []string
			for _, l := range got.Libraries {
				name, _ := filepath.Rel(h.root, l)
				libraries = append(libraries, name)
			}
			folder := ""
			if got.Folder != "" {
				folder, _ = filepath.Rel(h.root, got.Folder)
			}
			if !slices.Equal(libraries, c.libraries) || folder != c.folder {
				t.Errorf("found %v and %q, want %v and %q", libraries, folder, c.libraries, c.folder)
			}
		})
	}
}

func TestCheckDriver(t *testing.T) {
	cases := []struct {
		name, text, version string
		cuda                int
		tooOld              bool
	}{
		{"new enough", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc version 12.2.0\n", "550.54.15", 12, false},
		{"the oldest", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  525.60.13  Wed Nov 30\n", "525.60.13", 12, false},
		{"too old", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  515.105.01  Thu Mar 16\n", "515.105.01", 12, true},
		{"open kernel module", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build\n", "570.86.10", 13, true},
		{"a later CUDA", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82  Build\n", "470.82", 14, false},
		{"no driver", "", "", 12, false},
		{"unknown words", "something else\nGCC version: gcc 12.2.0\n", "", 12, false},
	}
	for _, c := range cases {
		h := host{root: t.TempDir()}
		touch(t, h.root, "proc/driver/nvidia/version")
		if err := os.WriteFile(filepath.Join(h.root, "proc/driver/nvidia/version"), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		err := h.checkDriver(c.cuda)
		if h.driver() != c.version || (err != nil) != c.tooOld {
			t.Errorf("%s: driver %q, error %v; want %q", c.name, h.driver(), err, c.version)
		}
		if c.tooOld {
			expect(t, err, fault.Device, c.version, minimumDrivers[c.cuda], "update the driver")
		}
	}
}
