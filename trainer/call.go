package trainer

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Call runs a program on kept arrays, then donated ones, whose memory it may use for its results and which are gone
// afterwards, then inputs, which are tensors and are freed.
func Call(backend compute.Backend, program *graph.Exec, kept, donated []*tensors.Tensor, inputs []any) ([]*tensors.Tensor, error) {
	defer finalize(inputs)
	args := make([]any, 0, len(donated)+len(kept)+len(inputs))
	for _, t := range kept {
		args = append(args, t)
	}
	for _, t := range donated {
		buffer, err := graph.DonateTensorBuffer(t, backend, 0)
		if err != nil {
			return nil, err
		}
		args = append(args, buffer)
	}
	return program.Exec(append(args, inputs...)...)
}

func finalize(inputs []any) {
	for _, in := range inputs {
		in.(*tensors.Tensor).FinalizeAll()
	}
}

// Take copies a float32 result to the host and frees it on the device.
func Take(t *tensors.Tensor) ([]float32, error) {
	defer t.FinalizeAll()
	return tensors.CopyFlatData[float32](t)
}
