//go:build cgo

package platform_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"elektron/internal/platform"
	"elektron/internal/platform/platformtest"

	"github.com/gomlx/go-xla/pjrt"
	"github.com/gomlx/gomlx/core/graph"
)

// squares computes 1 + 4 + 9 on a device.
func squares(t *testing.T, device *platform.Device) {
	t.Helper()
	sum := graph.MustExecOnce(device.Backend, func(x *graph.Node) *graph.Node {
		return graph.ReduceAllSum(graph.Mul(x, x))
	}, []float32{1, 2, 3})
	if got := sum.Value().(float32); got != 14 {
		t.Errorf("1 + 4 + 9 = %v on %s", got, device.Description)
	}
}

// T4: the real CPU plugin is installed, checked and runs a small graph.
func TestRealPlugin(t *testing.T) {
	device := platformtest.Open(t, platform.CPU)
	if device.Platform != platform.CPU || device.NumDevices != 1 || device.PluginHash == "" {
		t.Errorf("opened %+v, want one CPU device with a plugin hash", device)
	}
	if !device.Backend.HasSharedBuffers() {
		t.Error("the CPU plugin does not share buffers with the host")
	}
	squares(t, device)
	t.Log(device.Description, device.PluginPath)
}

func TestSeveralDevices(t *testing.T) {
	platformtest.Open(t, platform.CPU) // installs the plugin, or skips
	device, err := platform.Open(context.Background(), platform.Options{Platform: platform.CPU, Offline: true, Devices: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if device.NumDevices != 4 {
		t.Errorf("%d devices, want 4", device.NumDevices)
	}
	squares(t, device)
}

// go-xla takes any path with "cpu" in it for a CPU's plugin and would share the host's memory with a TPU.
func TestFolderNameDoesNotDecide(t *testing.T) {
	real := platformtest.Open(t, platform.CPU).PluginPath
	plugin := filepath.Join(t.TempDir(), "cpu-lab", "plugin.so")
	if err := os.MkdirAll(filepath.Dir(plugin), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, plugin); err != nil {
		t.Fatal(err)
	}
	device, err := platform.Open(context.Background(), platform.Options{Platform: platform.TPU, Plugin: plugin})
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if device.Backend.HasSharedBuffers() || device.PluginPath != plugin {
		t.Errorf("a TPU's plugin in the folder cpu-lab shares buffers with the host: %+v", device)
	}
	squares(t, device)
}

// The CPU plugin for other systems is pinned to the release that go-xla was tested with.
func TestReleasePinFollowsGoXLA(t *testing.T) {
	if platform.ReleaseVersion != pjrt.DefaultCPUVersion {
		t.Errorf("pinned %s, go-xla was tested with %s", platform.ReleaseVersion, pjrt.DefaultCPUVersion)
	}
}

// BenchmarkOpen measures a start with an installed plugin.
func BenchmarkOpen(b *testing.B) {
	platformtest.Open(b, platform.CPU)
	for b.Loop() {
		device, err := platform.Open(context.Background(), platform.Options{Platform: platform.CPU, Offline: true})
		if err != nil {
			b.Fatal(err)
		}
		device.Close()
	}
}
