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

	subfolder string    // where in the pin's folder the plugin lies
	libraries libraries // that the plugin loads, from wheels of their own
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

// download is how many bytes are fetched to install a pin, 0 where nobody says.
func (p pin) download() int64 {
	if p.unpinned() {
		return 0
	}
	total := p.archiveSize
	for _, w := range p.libraries.wheels {
		total += w.archiveSize
	}
	return total
}

// disk is how many bytes an installed pin takes, 0 where nobody says.
func (p pin) disk() int64 {
	if p.unpinned() {
		return 0
	}
	return p.size + p.libraries.size
}

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
