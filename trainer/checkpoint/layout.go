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
	// maxFileSize keeps sums of offsets and sizes far from overflowing.
	maxFileSize = 1 << 60 // bytes
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
		if high != 0 || size > maxFileSize {
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

// plan lays the tensors out one after the other; their checksums are filled in while they are written.
func plan(tensors []Tensor) ([]TensorEntry, error) {
	entries := make([]TensorEntry, len(tensors))
	var end int64
	for i, t := range tensors {
		size, err := tensorSize(t.Name, t.DType, t.Shape)
		if err != nil {
			return nil, err
		}
		if size != int64(len(t.Data)) {
			return nil, fault.New(fault.Data, "tensor %q: %s%v takes %d bytes, its data has %d", t.Name, t.DType, t.Shape, size, len(t.Data))
		}
		shape := append([]int{}, t.Shape...)
		entries[i] = TensorEntry{Name: t.Name, DType: t.DType, Shape: shape, Offset: align(end), Size: size}
		end = entries[i].Offset + size
	}
	_, err := checkLayout(entries)
	return entries, err
}

// checkLayout makes sure that every tensor lies exactly where plan puts it, which leaves no room for overlaps and holes,
// and returns where the last one ends.
func checkLayout(entries []TensorEntry) (end int64, err error) {
	names := make(map[string]bool, len(entries))
	for _, t := range entries {
		if err := checkName(t.Name); err != nil {
			return 0, err
		}
		if names[t.Name] {
			return 0, fault.New(fault.Data, "tensor %q at offset %d: the name is there twice", t.Name, t.Offset)
		}
		names[t.Name] = true
		size, err := tensorSize(t.Name, t.DType, t.Shape)
		if err != nil {
			return 0, err
		}
		if t.Size != size {
			return 0, fault.New(fault.Data, "tensor %q at offset %d: size %d, but %s%v takes %d", t.Name, t.Offset, t.Size, t.DType, t.Shape, size)
		}
		if t.Offset != align(end) {
			return 0, fault.New(fault.Data, "tensor %q at offset %d: it must begin at %d, right after the one before it", t.Name, t.Offset, align(end))
		}
		end = t.Offset + size
		if end > maxFileSize {
			return 0, fault.New(fault.Data, "tensor %q at offset %d: it ends past the largest possible file", t.Name, t.Offset)
		}
	}
	return end, nil
}
