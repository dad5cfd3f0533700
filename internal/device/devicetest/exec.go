package devicetest

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/device"
)

// Exec returns a function that runs a graph on a device, compiled for the types and shapes of its first arguments. An
// error ends the test.
func Exec(t testing.TB, d *device.Device, build func([]*graph.Node) []*graph.Node) func(...*tensors.Tensor) []*tensors.Tensor {
	t.Helper()
	var program device.Program
	return func(values ...*tensors.Tensor) []*tensors.Tensor {
		t.Helper()
		if program == nil {
			var err error
			if program, err = d.Compile(device.Spec{Name: "test", Inputs: device.Signature(values...), Build: build}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(program.Close)
		}
		outputs, err := program.Run(nil, values...)
		if err != nil {
			t.Fatal(err)
		}
		defer device.CloseAll(outputs)
		fetched := make([]*tensors.Tensor, len(outputs))
		for i, out := range outputs {
			if fetched[i], err = out.Fetch(); err != nil {
				t.Fatal(err)
			}
		}
		return fetched
	}
}
