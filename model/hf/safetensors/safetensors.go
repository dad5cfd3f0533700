// Package safetensors reads and writes Hugging Face's safetensors files: eight bytes of header length, a
// JSON header that names every tensor's type, shape and byte range, then the numbers, little-endian. The
// reader is strict: ranges must lie in order, without holes or overlap, and end with the file.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"sort"
	"unicode/utf8"

	"github.com/google/renameio/v2"

	"elektron/internal/fault"
)

// maxHeader is the largest header that the format's own reader takes, 100 MB.
const maxHeader = 100_000_000

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

// Read loads and checks a file. Errors have kind fault.Data (or fault.Storage where the file cannot be read)
// and name file and tensor.
func Read(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "safetensors")
	}
	file, err := Parse(data)
	if err != nil {
		return nil, fault.Wrap(fault.Data, err, "safetensors: %s", path)
	}
	return file, nil
}

// Parse checks a file's bytes; tensors point into them.
func Parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a header; the file is truncated or no safetensors file", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		return nil, fmt.Errorf("the header would have %d bytes and the file has %d; it is truncated or no safetensors file", n, len(data))
	}
	header, body := data[8:8+n], data[8+n:]
	if !utf8.Valid(header) {
		return nil, fmt.Errorf("the header is not UTF-8")
	}
	file, ranges, err := parseHeader(header)
	if err != nil {
		return nil, err
	}
	return file, file.attach(ranges, body)
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

// Float32s decodes a tensor of type F32.
func (t *Tensor) Float32s() ([]float32, error) {
	if t.DType != "F32" {
		return nil, fault.New(fault.Data, "safetensors: %s has type %s; expected F32", t.Name, t.DType)
	}
	values := make([]float32, len(t.Data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return values, nil
}

// Int32s decodes a tensor of type I32.
func (t *Tensor) Int32s() ([]int32, error) {
	if t.DType != "I32" {
		return nil, fault.New(fault.Data, "safetensors: %s has type %s; expected I32", t.Name, t.DType)
	}
	values := make([]int32, len(t.Data)/4)
	for i := range values {
		values[i] = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return values, nil
}

type byteRange struct{ begin, end uint64 }

// parseHeader reads token by token: encoding/json alone would keep the last of two equal keys.
func parseHeader(header []byte) (*File, []byteRange, error) {
	file, seen := &File{}, map[string]bool{}
	var ranges []byteRange
	d := json.NewDecoder(bytes.NewReader(header))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, fmt.Errorf("the header is not a JSON object")
	}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, nil, fmt.Errorf("broken JSON header: %v", err)
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("tensor %q is listed twice", name)
		}
		seen[name] = true
		if name == "__metadata__" {
			if err := d.Decode(&file.Metadata); err != nil {
				return nil, nil, fmt.Errorf("__metadata__ is not an object of strings: %v", err)
			}
			continue
		}
		tensor, r, err := parseEntry(d, name)
		if err != nil {
			return nil, nil, err
		}
		file.Tensors, ranges = append(file.Tensors, tensor), append(ranges, r)
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, fmt.Errorf("broken JSON header: %v", err)
	}
	if rest, _ := io.ReadAll(d.Buffered()); len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil, fmt.Errorf("text after the JSON header")
	}
	return file, ranges, nil
}

func parseEntry(d *json.Decoder, name string) (Tensor, byteRange, error) {
	var entry struct {
		DType   string   `json:"dtype"`
		Shape   []uint64 `json:"shape"`
		Offsets []uint64 `json:"data_offsets"`
	}
	if err := d.Decode(&entry); err != nil {
		return Tensor{}, byteRange{}, fmt.Errorf("tensor %q: %v", name, err)
	}
	width, ok := widths[entry.DType]
	if !ok {
		return Tensor{}, byteRange{}, fmt.Errorf("tensor %q has unknown type %q", name, entry.DType)
	}
	if len(entry.Offsets) != 2 || entry.Offsets[0] > entry.Offsets[1] {
		return Tensor{}, byteRange{}, fmt.Errorf("tensor %q has no valid data_offsets", name)
	}
	size, tensor := uint64(width), Tensor{Name: name, DType: entry.DType, Shape: []int{}}
	for _, dim := range entry.Shape {
		high, low := bits.Mul64(size, dim)
		if high != 0 || dim > math.MaxInt {
			return Tensor{}, byteRange{}, fmt.Errorf("tensor %q: shape %v is too large", name, entry.Shape)
		}
		size, tensor.Shape = low, append(tensor.Shape, int(dim))
	}
	r := byteRange{entry.Offsets[0], entry.Offsets[1]}
	if r.end-r.begin != size {
		return Tensor{}, byteRange{}, fmt.Errorf("tensor %q: %s of shape %v has %d bytes, its range %d", name, entry.DType, entry.Shape, size, r.end-r.begin)
	}
	return tensor, r, nil
}

// attach orders the tensors by their ranges and cuts the body.
func (f *File) attach(ranges []byteRange, body []byte) error {
	order := make([]int, len(ranges))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return ranges[order[a]].end < ranges[order[b]].end })
	sorted, at := make([]Tensor, 0, len(order)), uint64(0)
	for _, i := range order {
		tensor, r := f.Tensors[i], ranges[i]
		if r.begin != at || r.end > uint64(len(body)) {
			return fmt.Errorf("tensor %q lies at bytes %d to %d of %d, where %d was expected: ranges overlap, leave a hole, or the file is truncated",
				tensor.Name, r.begin, r.end, len(body), at)
		}
		tensor.Data, at = body[r.begin:r.end], r.end
		sorted = append(sorted, tensor)
	}
	if at != uint64(len(body)) {
		return fmt.Errorf("%d bytes follow the last tensor", uint64(len(body))-at)
	}
	f.Tensors = sorted
	return nil
}

// Write stores a file atomically: tensors in the given order, the header padded so that numbers are aligned.
func Write(path string, f *File) error {
	header, err := f.header()
	if err != nil {
		return err
	}
	out, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return fault.Wrap(fault.Storage, err, "safetensors: writing %s", path)
	}
	defer out.Cleanup()
	if _, err := out.Write(header); err != nil {
		return fault.Wrap(fault.Storage, err, "safetensors: writing %s", path)
	}
	for _, t := range f.Tensors {
		if _, err := out.Write(t.Data); err != nil {
			return fault.Wrap(fault.Storage, err, "safetensors: writing %s", path)
		}
	}
	return fault.Wrap(fault.Storage, out.CloseAtomicallyReplace(), "safetensors: writing %s", path)
}

func (f *File) header() ([]byte, error) {
	entries := map[string]any{}
	if len(f.Metadata) > 0 {
		entries["__metadata__"] = f.Metadata
	}
	at := 0
	for _, t := range f.Tensors {
		if _, twice := entries[t.Name]; twice {
			return nil, fault.New(fault.Internal, "safetensors: tensor %q is given twice", t.Name)
		}
		entries[t.Name] = map[string]any{"dtype": t.DType, "shape": t.Shape, "data_offsets": []int{at, at + len(t.Data)}}
		at += len(t.Data)
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
