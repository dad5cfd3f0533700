package safetensors

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"os"
	"slices"
	"unicode/utf8"

	"elektron/internal/fault"
)

// Read loads and checks a file. Errors have kind fault.Data (fault.Storage where the file cannot be read)
// and name file and tensor.
func Read(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "safetensors")
	}
	if !info.Mode().IsRegular() { // a pipe would block for ever
		return nil, fault.New(fault.Data, "safetensors: %s: not a regular file", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "safetensors")
	}
	file, err := Parse(data)
	return file, fault.Wrap(fault.Data, err, "safetensors: %s", path)
}

// Parse checks a file's bytes; tensors point into them. It allocates in proportion to the header's length.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a header; the file is truncated or no safetensors file", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		return nil, fmt.Errorf("the header would have %d bytes and the file has %d; it is truncated or no safetensors file", n, len(data))
	}
	header, body := data[8:8+n], data[8+n:]
	if len(header) == 0 || header[0] != '{' {
		return nil, fmt.Errorf("the header does not begin with {; this is no safetensors file")
	}
	if !utf8.Valid(header) {
		return nil, fmt.Errorf("the header is not UTF-8")
	}
	file, ranges, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	if err := file.attach(ranges, body); err != nil {
		return nil, err
	}
	return file, nil
}

// byteRange is where a tensor's bytes lie in the body.
type byteRange struct{ begin, end uint64 }

// entry is what the header says of a tensor.
type entry struct {
	dtype   string
	shape   []uint64
	offsets []uint64
}

// tensor checks an entry: the range must hold exactly what type and shape ask for.
func (e *entry) tensor(name string) (Tensor, byteRange, error) {
	width, ok := widths[e.dtype]
	if !ok {
		return Tensor{}, byteRange{}, fmt.Errorf("tensor %.200q has unknown type %.20q", name, e.dtype)
	}
	if len(e.offsets) != 2 || e.offsets[0] > e.offsets[1] {
		return Tensor{}, byteRange{}, fmt.Errorf("tensor %.200q: data_offsets %v are not a begin and an end", name, e.offsets)
	}
	size, t := uint64(width), Tensor{Name: name, DType: e.dtype, Shape: make([]int, len(e.shape))}
	for i, dim := range e.shape {
		high, low := bits.Mul64(size, dim)
		if high != 0 || dim > math.MaxInt {
			return Tensor{}, byteRange{}, fmt.Errorf("tensor %.200q: shape %v is larger than any file", name, e.shape)
		}
		size, t.Shape[i] = low, int(dim)
	}
	r := byteRange{e.offsets[0], e.offsets[1]}
	if r.end-r.begin != size {
		return Tensor{}, byteRange{}, fmt.Errorf("tensor %.200q: %s of shape %v takes %d bytes, its data_offsets span %d", name, e.dtype, e.shape, size, r.end-r.begin)
	}
	return t, r, nil
}

// attach orders the tensors by their ranges and gives each its bytes.
func (f *File) attach(ranges []byteRange, body []byte) error {
	order := make([]int, len(ranges))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(ranges[a].begin, ranges[b].begin), cmp.Compare(ranges[a].end, ranges[b].end))
	})
	sorted, at := make([]Tensor, 0, len(order)), uint64(0)
	for _, i := range order {
		t, r := f.Tensors[i], ranges[i]
		switch {
		case r.begin < at:
			return fmt.Errorf("tensor %.200q begins at byte %d, inside the one before it, which ends at %d", t.Name, r.begin, at)
		case r.begin > at:
			return fmt.Errorf("tensor %.200q begins at byte %d; bytes %d to %d belong to no tensor", t.Name, r.begin, at, r.begin)
		case r.end > uint64(len(body)):
			return fmt.Errorf("tensor %.200q lies at bytes %d to %d, but only %d follow the header; the file is truncated", t.Name, r.begin, r.end, len(body))
		}
		t.Data, at = body[r.begin:r.end:r.end], r.end
		sorted = append(sorted, t)
	}
	if at != uint64(len(body)) {
		return fmt.Errorf("%d bytes follow the last tensor", uint64(len(body))-at)
	}
	f.Tensors = sorted
	return nil
}
