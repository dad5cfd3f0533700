//go:build cgo

package platform

import (
	"os"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// go-xla would fetch plugins by itself, without a pinned hash. It reads the variable before this runs, so
// it is told directly as well; the variable is for the processes that this one starts.
func init() {
	xla.EnableAutoInstall(false)
	os.Setenv(xla.NoAutoInstallEnv, "1")
}

// requireXLA returns nil: this binary can load PJRT plugins.
func requireXLA(string) error { return nil }

// openXLA loads the plugin at an absolute path. The CPU plugin poses as the given number of devices;
// left alone it would choose four, and each would get a share of the threads.
func openXLA(platform, path string, devices int) (compute.Backend, error) {
	options := pjrt.NamedValuesMap{}
	if platform == CPU {
		keepFreedMemory()
		options["cpu_device_count"] = int64(devices)
	}
	backend, err := xla.NewWithOptions(path, options)
	if err != nil {
		return nil, err // not backend: a nil *xla.Backend is no nil interface
	}
	return backend, nil
}
