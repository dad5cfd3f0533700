package safetensors

import (
	"context"
	"encoding/binary"
	"encoding/json"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// Write stores a file: whole or not at all, tensors in the given order, the header padded so that numbers
// are aligned. A tensor whose bytes do not fit its type and shape is an error of kind fault.Internal.
func Write(path string, f *File) error {
	header, err := f.header()
	if err != nil {
		return err
	}
	out, err := blob.Create(context.Background(), path)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "safetensors: writing %s", path)
	}
	defer out.Abort()
	if _, err := out.Write(header); err != nil {
		return fault.Wrap(fault.Storage, err, "safetensors: writing %s", path)
	}
	for _, t := range f.Tensors {
		if _, err := out.Write(t.Data); err != nil {
			return fault.Wrap(fault.Storage, err, "safetensors: writing %s", path)
		}
	}
	return fault.Wrap(fault.Storage, out.Close(), "safetensors: writing %s", path)
}

// header is everything before the numbers.
func (f *File) header() ([]byte, error) {
	entries := map[string]any{}
	if len(f.Metadata) > 0 {
		entries["__metadata__"] = f.Metadata
	}
	at := uint64(0)
	for _, t := range f.Tensors {
		if _, twice := entries[t.Name]; twice {
			return nil, fault.New(fault.Internal, "safetensors: tensor %q is given twice", t.Name)
		}
		e := entry{dtype: t.DType, shape: make([]uint64, len(t.Shape)), offsets: []uint64{at, at + uint64(len(t.Data))}}
		for i, dim := range t.Shape {
			e.shape[i] = uint64(dim)
		}
		if _, _, err := e.tensor(t.Name); err != nil {
			return nil, fault.New(fault.Internal, "safetensors: %w", err)
		}
		entries[t.Name] = map[string]any{"dtype": e.dtype, "shape": e.shape, "data_offsets": e.offsets}
		at = e.offsets[1]
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "safetensors")
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}
