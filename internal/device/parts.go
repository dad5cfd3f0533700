package device

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/stablehlo"
)

// elementTypes are the types of arrays that programs take and give.
var elementTypes = map[dtypes.DType]pjrt.ElementType{
	dtypes.Bool: pjrt.Pred, dtypes.Int32: pjrt.S32, dtypes.Int64: pjrt.S64, dtypes.Uint8: pjrt.U8, dtypes.Uint32: pjrt.U32, dtypes.Uint64: pjrt.U64,
	dtypes.Float32: pjrt.F32, dtypes.Float64: pjrt.F64, dtypes.BFloat16: pjrt.BF16, dtypes.Float16: pjrt.F16,
}

func elementType(t dtypes.DType) (pjrt.ElementType, error) {
	if e, ok := elementTypes[t]; ok {
		return e, nil
	}
	return pjrt.Invalid, fault.New(fault.Internal, "arrays of %s cannot be copied to a device", t)
}

func newTensor(shape stablehlo.Output) *tensors.Tensor {
	return tensors.FromShape(shapes.Make(shape.DType, shape.Dims...))
}

// strides are how a row-major array of elements lies in memory around an axis: blocks of the given number of bytes,
// which together make up the axis, times over.
func strides(size int, dims []int, axis int) (times, block int) {
	times, block = 1, size
	for i, d := range dims {
		if i < axis {
			times *= d
		} else {
			block *= d
		}
	}
	return times, block
}

// slicePart is part i of n equal ones of an array along an axis, and its dimensions. Along the first axis it shares the
// array's memory.
func slicePart(data []byte, size int, dims []int, axis, i, n int) ([]byte, []int) {
	times, block := strides(size, dims, axis)
	partDims := append([]int(nil), dims...)
	partDims[axis] /= n
	length := block / n
	if times == 1 {
		return data[i*length : (i+1)*length], partDims
	}
	part := make([]byte, 0, times*length)
	for t := range times {
		at := t*block + i*length
		part = append(part, data[at:at+length]...)
	}
	return part, partDims
}

// joinPart is slicePart's inverse: it writes part i of n into the array.
func joinPart(data, part []byte, size int, dims []int, axis, i, n int) {
	times, block := strides(size, dims, axis)
	length := block / n
	for t := range times {
		copy(data[t*block+i*length:], part[t*length:(t+1)*length])
	}
}
