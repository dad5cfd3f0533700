package device

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/fault"
	"elektron/internal/stablehlo"
)

// Signature are inputs with the types and shapes of values, none donated and none split.
func Signature(values ...*tensors.Tensor) []stablehlo.Input {
	inputs := make([]stablehlo.Input, len(values))
	for i, v := range values {
		inputs[i] = stablehlo.Input{Name: fmt.Sprintf("input_%d", i), DType: v.DType(), Dims: v.Shape().Dimensions}
	}
	return inputs
}

// check refuses values that are not what the program was compiled for. arrays is how many inputs come before them.
func (s *Spec) check(arrays int, values []*tensors.Tensor) error {
	if len(s.Inputs) != arrays+len(values) {
		return fault.New(fault.Internal, "%s: %d arrays and %d values given, it has %d inputs", s.Name, arrays, len(values), len(s.Inputs))
	}
	for i, v := range values {
		in := s.Inputs[arrays+i]
		if v.DType() != in.DType || !slices.Equal(v.Shape().Dimensions, in.Dims) {
			return fault.New(fault.Internal, "%s: input %s is %s%v, given is %s%v", s.Name, in.Name, in.DType, in.Dims, v.DType(), v.Shape().Dimensions)
		}
	}
	return nil
}

// donated are the numbers of the inputs among the first n whose memory the program takes over.
func (s *Spec) donated(n int) (list []int) {
	for i, in := range s.Inputs[:n] {
		if in.Aliased != nil {
			list = append(list, i)
		}
	}
	return list
}
