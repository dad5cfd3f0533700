package pjrt

import "fmt"

// ElementType is the type of a buffer's elements. Its text is StableHLO's, such as f32 or i1.
type ElementType int32

// The types, in the ABI's numbers. There are more, of less than a byte or of eight bits, which only have a size here.
const (
	Invalid ElementType = iota
	Pred                // a byte, 0 or 1
	S8
	S16
	S32
	S64
	U8
	U16
	U32
	U64
	F16
	F32
	F64
	BF16
	C64  // two f32
	C128 // two f64
)

// elementTypes gives names and sizes in bytes; size 0 is less than a byte or no array.
var elementTypes = [...]struct {
	name string
	size int
}{
	{"invalid", 0}, {"i1", 1}, {"i8", 1}, {"i16", 2}, {"i32", 4}, {"i64", 8}, {"ui8", 1}, {"ui16", 2}, {"ui32", 4}, {"ui64", 8},
	{"f16", 2}, {"f32", 4}, {"f64", 8}, {"bf16", 2}, {"complex<f32>", 8}, {"complex<f64>", 16},
	{"f8E5M2", 1}, {"f8E4M3FN", 1}, {"f8E4M3B11FNUZ", 1}, {"f8E5M2FNUZ", 1}, {"f8E4M3FNUZ", 1},
	{"i4", 0}, {"ui4", 0}, {"token", 0}, {"i2", 0}, {"ui2", 0}, {"f8E4M3", 1}, {"f8E3M4", 1}, {"f8E8M0FNU", 1}, {"f4E2M1FN", 0},
	{"i1", 0}, {"ui1", 0},
}

func (t ElementType) String() string {
	if t < 0 || int(t) >= len(elementTypes) {
		return fmt.Sprintf("element type %d", int(t))
	}
	return elementTypes[t].name
}

// Size is the number of bytes of one element on the host, or 0 where that is less than a byte or not known.
func (t ElementType) Size() int {
	if t < 0 || int(t) >= len(elementTypes) {
		return 0
	}
	return elementTypes[t].size
}

// byteSize is the number of bytes of a dense array on the host, or -1 where it has none.
func byteSize[T int | int64](t ElementType, dims []T) int {
	size := t.Size()
	if size == 0 {
		return -1
	}
	for _, d := range dims {
		if d < 0 {
			return -1
		}
		size *= int(d)
	}
	return size
}
