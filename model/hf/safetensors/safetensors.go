// Package safetensors reads and writes Hugging Face's safetensors files: eight bytes of header length, a
// JSON header that names every tensor's type, shape and byte range, then the numbers, little-endian. The
// reader is strict: a file means one thing or it is refused. Ranges must lie in order, without holes or
// overlap, and end with the file; no key may be there twice; nothing is allocated for bytes that are not there.
package safetensors

import (
	"encoding/binary"
	"math"

	"elektron/internal/fault"
)

const (
	maxHeader = 100_000_000 // bytes; the largest header that the format's own reader takes
	maxRank   = 32          // axes of a tensor
)

// widths are the bytes an element takes, by type.
var widths = map[string]int{
	"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
	"I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
}

// Tensor is one named array: its type as the format spells it (F32, I32, BF16, …), its shape and its bytes.
type Tensor struct {
	Name  string
	DType string
	Shape []int
	Data  []byte // little-endian, row-major
}

// File is a file's content in the order of its bytes.
type File struct {
	Tensors  []Tensor
	Metadata map[string]string
}

// Tensor returns a tensor by name, or nil.
func (f *File) Tensor(name string) *Tensor {
	for i := range f.Tensors {
		if f.Tensors[i].Name == name {
			return &f.Tensors[i]
		}
	}
	return nil
}

// FromFloat32s makes a tensor of type F32.
func FromFloat32s(name string, shape []int, values []float32) Tensor {
	data := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	return Tensor{Name: name, DType: "F32", Shape: shape, Data: data}
}

// Float32s decodes a tensor of type F32, BF16 or F16, exactly. Another type is an error of kind fault.Data.
func (t *Tensor) Float32s() ([]float32, error) {
	decode, ok := map[string]func([]byte) float32{
		"F32":  func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) },
		"BF16": func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) },
		"F16":  func(b []byte) float32 { return halfToFloat(binary.LittleEndian.Uint16(b)) },
	}[t.DType]
	if !ok {
		return nil, fault.New(fault.Data, "safetensors: tensor %q has type %s; expected F32, BF16 or F16", t.Name, t.DType)
	}
	width := widths[t.DType]
	values := make([]float32, len(t.Data)/width)
	for i := range values {
		values[i] = decode(t.Data[width*i:])
	}
	return values, nil
}

// halfToFloat widens an IEEE 754 binary16 number: 1 sign bit, 5 of exponent, 10 of fraction.
func halfToFloat(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0: // zero and subnormals: fraction · 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	case 0x1f: // infinities and NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}

// Int32s decodes a tensor of type I32. Another type is an error of kind fault.Data.
func (t *Tensor) Int32s() ([]int32, error) {
	if t.DType != "I32" {
		return nil, fault.New(fault.Data, "safetensors: tensor %q has type %s; expected I32", t.Name, t.DType)
	}
	values := make([]int32, len(t.Data)/4)
	for i := range values {
		values[i] = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return values, nil
}
