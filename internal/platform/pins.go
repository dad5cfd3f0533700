package platform

import (
	"path"
	"path/filepath"
	"runtime"

	"elektron/internal/fault"
)

// pin names one plugin exactly: a wheel in the Python package index and the one file of it that is used,
// each by its SHA-256. To move to another version, change all of it together.
type pin struct {
	platform    string
	project     string
	version     string
	pip         []string // arguments that make pip choose this wheel whatever Python runs it
	archiveHash string
	archiveSize int64  // bytes
	entry       string // the plugin's path in the archive
	hash        string // of the plugin file; empty where nobody publishes one (see unpinned)
	size        int64  // of the plugin file, bytes; where hash is empty, the most that is accepted

	subfolder string   // where in the pin's folder the plugin lies
	libraries []string // further wheels that the plugin loads, as pip requirements with hashes
}

func (p pin) String() string { return p.project + " " + p.version }

// folder is the plugin's folder in the cache. Its name carries the platform because go-xla decides by
// the path whether a plugin is a CPU's or a GPU's.
func (p pin) folder() string { return p.platform + "-" + p.version }

// file is the plugin's path within its folder.
func (p pin) file() string { return filepath.Join(p.subfolder, path.Base(p.entry)) }

// unpinned reports that the publisher gives no hash. Then the hash of what was first installed is
// recorded beside it, and every later start holds the file to that.
func (p pin) unpinned() bool { return p.hash == "" }

// linuxPins are the plugins for Linux on x86-64.
var linuxPins = []pin{
	{
		platform: CPU, project: "lammps-jax-pjrt-cpu", version: "0.11.2",
		pip:         []string{"--platform=manylinux_2_27_x86_64"},
		archiveHash: "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1", archiveSize: 62711338,
		entry: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
		hash:  "ad1309ac822b1b24d51b7f9947c7c9fa9ef5d67f390584cbc3d1fa2428fed9c2", size: 201600336,
	},
	{
		// One wheel a Python version, all with the same library; so one of them is pinned.
		platform: TPU, project: "libtpu", version: "0.0.51",
		pip:         []string{"--platform=manylinux_2_31_x86_64", "--implementation=cp", "--python-version=3.12", "--abi=cp312"},
		archiveHash: "aeb662a3174a89fd9a94ac64c965a72f43c65436f5546abbcb8968c9d9552631", archiveSize: 204805132,
		entry: "libtpu/libtpu.so",
		hash:  "ad0b2a3bc5d4de96f653b3701aaed8769a691776ca0e14c791dcdca785d43e42", size: 574812664,
	},
	{
		// CUDA 12 rather than 13: it runs with drivers from 525 on and on older cards.
		platform: GPU, project: "jax-cuda12-pjrt", version: "0.11.2",
		pip:         []string{"--platform=manylinux_2_27_x86_64"},
		archiveHash: "2133b3afc63307c016ae4980f166b2b3de199759363ead74f7d550eaae953463", archiveSize: 188235313,
		entry: "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
		hash:  "ed4d60d77427548709ca0b5a8e04c1b24cc0091452bb564e4aea01e03ae7eac1", size: 497519016,
		subfolder: "cuda", libraries: cudaLibraries,
	},
}

// cudaLibraries are NVIDIA's libraries that the CUDA plugin loads, 3 GB together: those that JAX asks for
// beside the same plugin, newest at the time of pinning.
var cudaLibraries = []string{
	"nvidia-cublas-cu12==12.9.3.13 --hash=sha256:d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72",
	"nvidia-cuda-cupti-cu12==12.9.79 --hash=sha256:096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f",
	"nvidia-cuda-nvcc-cu12==12.9.86 --hash=sha256:5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0",
	"nvidia-cuda-nvrtc-cu12==12.9.86 --hash=sha256:210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4",
	"nvidia-cuda-runtime-cu12==12.9.79 --hash=sha256:25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3",
	"nvidia-cudnn-cu12==9.28.0.42 --hash=sha256:9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375",
	"nvidia-cufft-cu12==11.4.1.4 --hash=sha256:c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28",
	"nvidia-cusolver-cu12==11.7.5.82 --hash=sha256:15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88",
	"nvidia-cusparse-cu12==12.5.10.65 --hash=sha256:73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78",
	"nvidia-nccl-cu12==2.32.3 --hash=sha256:bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c",
	"nvidia-nvjitlink-cu12==12.9.86 --hash=sha256:e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9",
	"nvidia-nvshmem-cu12==3.8.0 --hash=sha256:b2e5760d6158aefe7bb74348d5128bb1b46a7dd1fd4b7b1e6fe55b4b07888f70",
}

// releasePin is the CPU plugin that go-xla's author builds for the systems for which the index has no
// wheel. Its publisher gives no hash.
var releasePin = pin{
	platform: CPU, project: "pjrt-cpu-binaries", version: "v0.114.0",
	archiveSize: 1 << 30,
	entry:       "pjrt_c_api_cpu_v0.114.0_plugin.so", size: 2 << 30,
}

// pinsFor are the plugins that a machine of this system and processor can use.
func pinsFor(goos, goarch string) []pin {
	switch goos + "/" + goarch {
	case "linux/amd64":
		return linuxPins
	case "linux/arm64", "darwin/arm64":
		return []pin{releasePin}
	}
	return nil
}

// pin finds the plugin pinned for a platform.
func (s *store) pin(platform string) (pin, error) {
	for _, p := range s.pins {
		if p.platform == platform {
			return p, nil
		}
	}
	return pin{}, fault.New(fault.Device,
		"platform: no %s plugin is known for %s/%s; name one with --plugin PATH, or use --platform=go", platform, runtime.GOOS, runtime.GOARCH)
}
