package platform

import (
	"path"
	"runtime"

	"elektron/internal/fault"
)

// pin names one plugin exactly: a wheel in the Python package index and the one file of it that is used,
// each by its SHA-256. To move to another version, change all of it together.
type pin struct {
	platform  string
	project   string
	version   string
	pip       []string // arguments that make pip choose this wheel whatever Python runs it
	wheelHash string
	wheelSize int64  // bytes
	entry     string // the plugin's path in the wheel
	hash      string // of the plugin file
	size      int64  // of the plugin file, bytes
}

func (p pin) String() string { return p.project + " " + p.version }

// folder is the plugin's folder in the cache. Its name carries the platform because go-xla decides by
// the path whether a plugin is a CPU's or a GPU's.
func (p pin) folder() string { return p.platform + "-" + p.version }

func (p pin) file() string { return path.Base(p.entry) }

// linuxPins are the plugins for Linux on x86-64.
var linuxPins = []pin{
	{
		platform: CPU, project: "lammps-jax-pjrt-cpu", version: "0.11.2",
		pip:       []string{"--platform=manylinux_2_27_x86_64"},
		wheelHash: "1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1", wheelSize: 62711338,
		entry: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
		hash:  "ad1309ac822b1b24d51b7f9947c7c9fa9ef5d67f390584cbc3d1fa2428fed9c2", size: 201600336,
	},
}

// pinsFor are the plugins that a machine of this system and processor can use.
func pinsFor(goos, goarch string) []pin {
	if goos == "linux" && goarch == "amd64" {
		return linuxPins
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
