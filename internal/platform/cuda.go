package platform

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"elektron/internal/fault"
)

// CUDA is what a CUDA plugin loads while it runs.
type CUDA struct {
	// Libraries are files to load ahead of the plugin, in this order: it asks for them by name, and its own search path
	// has only some of their folders.
	Libraries []string
	// Folder has ptxas in bin and libdevice in nvvm/libdevice, for XLA's flag xla_gpu_cuda_data_dir; empty if none was found.
	Folder string
}

// cudaLibraryNames are the libraries to load ahead, those first that others need.
var cudaLibraryNames = []string{"libcudart", "libnvrtc", "libnvJitLink", "libcublasLt", "libcublas", "libnccl", "libcupti",
	"libcusparse", "libcusolver", "libcufft", "libnvshmem_host", "libcudnn"}

// FindCUDA finds what a CUDA plugin loads. First the folder nvidia is looked for, beside the plugin's own or one further
// up, where `platform install gpu` and Python's packages put it. Where there is none, CUDA_HOME, CUDA_PATH and
// /usr/local/cuda name a CUDA installation. What is in neither is left to the system's search path.
func FindCUDA(plugin string) CUDA { return host{root: "/"}.findCUDA(plugin) }

func (h host) findCUDA(plugin string) CUDA {
	if real, err := filepath.EvalSymlinks(plugin); err == nil {
		plugin = real
	}
	for _, up := range []string{"..", "../.."} {
		nvidia := filepath.Join(filepath.Dir(plugin), up, "nvidia")
		if found := cudaIn(filepath.Join(nvidia, "*", "lib"), filepath.Join(nvidia, "*")); len(found.Libraries) > 0 {
			return found
		}
	}
	for _, folder := range []string{os.Getenv("CUDA_HOME"), os.Getenv("CUDA_PATH"), filepath.Join(h.root, "usr/local/cuda")} {
		if folder == "" {
			continue
		}
		if found := cudaIn(filepath.Join(folder, "lib64"), folder); found.Folder != "" {
			return found
		}
	}
	return CUDA{}
}

// cudaIn looks for libraries in the folders of one pattern and for libdevice below those of another.
func cudaIn(libraries, tools string) (found CUDA) {
	for _, name := range cudaLibraryNames {
		files, _ := filepath.Glob(filepath.Join(libraries, name+".so.*"))
		found.Libraries = append(found.Libraries, slices.DeleteFunc(files, func(file string) bool {
			return strings.Contains(strings.SplitN(filepath.Base(file), ".so.", 2)[1], ".") // libcufft.so.11.4 beside libcufft.so.11
		})...)
	}
	devices, _ := filepath.Glob(filepath.Join(tools, "nvvm/libdevice/libdevice.10.bc"))
	if len(devices) > 0 {
		found.Folder = filepath.Join(devices[0], "../../..")
	}
	return found
}

// minimumDrivers are the oldest of NVIDIA's drivers for Linux that a major version of CUDA runs with, minor versions of
// it included (NVIDIA's guide CUDA Compatibility, table of minor version compatibility).
var minimumDrivers = map[int]string{12: "525.60.13", 13: "580.65.06"}

// CheckDriver says whether this machine's NVIDIA driver is too old for a plugin that was built with a major version of
// CUDA. The error is of kind Device. Where the driver's version cannot be seen, as under WSL, nothing is wrong with it.
func CheckDriver(cuda int) error { return host{root: "/"}.checkDriver(cuda) }

func (h host) checkDriver(cuda int) error {
	have, need := h.driver(), minimumDrivers[cuda]
	if have == "" || need == "" || !older(have, need) {
		return nil
	}
	return fault.New(fault.Device,
		"--platform=gpu: this machine's NVIDIA driver %s is too old for CUDA %d, which needs %s or later; update the driver, or use --platform=cpu", have, cuda, need)
}

// driver is the version of NVIDIA's kernel driver, such as 550.54.15; empty where there is none or it does not say.
func (h host) driver() string {
	first, _, _ := strings.Cut(read(filepath.Join(h.root, "proc/driver/nvidia/version")), "\n")
	for word := range strings.FieldsSeq(first) {
		if numbers(word) != nil {
			return word
		}
	}
	return ""
}

// older compares versions number by number.
func older(a, b string) bool { return slices.Compare(numbers(a), numbers(b)) < 0 }

// numbers splits a version of at least two numbers; nil if it is none.
func numbers(version string) (parts []int) {
	words := strings.Split(version, ".")
	for _, word := range words {
		n, err := strconv.Atoi(word)
		if err != nil || len(words) < 2 {
			return nil
		}
		parts = append(parts, n)
	}
	return parts
}
