package checkpoint

import (
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"

	"elektron/internal/fault"
)

const (
	alignment  = 64  // bytes; where each tensor begins, so that a mapped file suits any vector unit
	maxNameLen = 512 // bytes
)

// widths are the bytes an element takes.
var widths = map[string]uint64{
	"float64": 8, "int64": 8, "uint64": 8,
	"float32": 4, "int32": 4, "uint32": 4,
	"float16": 2, "bfloat16": 2,
}

// tensorSize is the bytes that a tensor's shape and type ask for, computed without overflow.
func tensorSize(name, dtype string, shape []int) (int64, error) {
	width, ok := widths[dtype]
	if !ok {
		return 0, fault.New(fault.Data, "tensor %q: unknown type %q", name, dtype)
	}
	size := width
	for _, dim := range shape {
		if dim < 1 {
			return 0, fault.New(fault.Data, "tensor %q: shape %v has a dimension below 1", name, shape)
		}
		var high uint64
		high, size = bits.Mul64(size, uint64(dim))
		if high != 0 || size > 1<<62 {
			return 0, fault.New(fault.Data, "tensor %q: shape %v is larger than any file", name, shape)
		}
	}
	return int64(size), nil
}

// checkName refuses what could escape from a folder, a log line or a table of tensors.
func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxNameLen || !utf8.ValidString(name):
		return fault.New(fault.Data, "tensor %.80q: a name has 1 to %d bytes of UTF-8", name, maxNameLen)
	case strings.ContainsAny(name, `/\`):
		return fault.New(fault.Data, "tensor %q: a name has no path separators", name)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fault.New(fault.Data, "tensor %q: a name has printable characters only", name)
	}
	return nil
}

// align rounds an offset up to the next tensor's beginning.
func align(offset int64) int64 { return (offset + alignment - 1) &^ (alignment - 1) }

// planTensors lays the tensors out one after the other and checks them; the CRCs are filled in later.
func planTensors(tensors []Tensor) ([]TensorEntry, error) {
	entries := make([]TensorEntry, len(tensors))
	names := make(map[string]bool, len(tensors))
	var end int64
	for i, t := range tensors {
		size, err := tensorSize(t.Name, t.DType, t.Shape)
		if err != nil {
			return nil, err
		}
		if err := checkName(t.Name); err != nil {
			return nil, err
		}
		if names[t.Name] {
			return nil, fault.New(fault.Data, "tensor %q is there twice", t.Name)
		}
		if size != int64(len(t.Data)) {
			return nil, fault.New(fault.Data, "tensor %q: %s%v takes %d bytes, its data has %d", t.Name, t.DType, t.Shape, size, len(t.Data))
		}
		names[t.Name] = true
		shape := append([]int{}, t.Shape...)
		entries[i] = TensorEntry{Name: t.Name, DType: t.DType, Shape: shape, Offset: align(end), Size: size}
		end = entries[i].Offset + size
	}
	return entries, nil
}
