//go:build cgo

package platform_test

import (
	"testing"

	"elektron/internal/platform"
	"elektron/internal/platform/platformtest"

	"github.com/gomlx/gomlx/core/graph"
)

// T4: the real CPU plugin is installed, checked and runs a small graph.
func TestXLACPU(t *testing.T) {
	device := platformtest.Open(t, platform.CPU)
	if device.Platform != platform.CPU || device.NumDevices != 1 || device.PluginHash == "" {
		t.Errorf("opened %+v, want one CPU device with a plugin hash", device)
	}
	sum := graph.MustExecOnce(device.Backend, func(x *graph.Node) *graph.Node {
		return graph.ReduceAllSum(graph.Mul(x, x))
	}, []float32{1, 2, 3})
	if got := sum.Value().(float32); got != 14 {
		t.Errorf("1 + 4 + 9 = %v on %s", got, device.Description)
	}
	t.Log(device.Description, device.PluginPath)
}
