package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
)

// raw puts a header before a body, as it stands.
func raw(header string, body int) []byte {
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(data, header...), make([]byte, body)...)
}

const good = `{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"I32","shape":[],"data_offsets":[8,12]}}`

// TestMalformed takes a good header and breaks one thing at a time.
func TestMalformed(t *testing.T) {
	if _, err := Parse(raw(good, 12)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, from, to, says string }{
		{"overlap", "[8,12]", "[4,8]", "inside the one before"},
		{"same range", `[2,1],"data_offsets":[0,8]`, `[3],"data_offsets":[0,12]`, "inside the one before"},
		{"hole", "[8,12]", "[9,13]", "belong to no tensor"},
		{"hole at the beginning", "[0,8]", "[1,9]", "belong to no tensor"},
		{"overlap and hole", `[2,1],"data_offsets":[0,8]`, `[1],"data_offsets":[4,8]`, "belong to no tensor"},
		{"past the end", `[],"data_offsets":[8,12]`, `[2],"data_offsets":[8,16]`, "truncated"},
		{"far past the end", `[],"data_offsets":[8,12]`, `[],"data_offsets":[18446744073709551608,18446744073709551612]`, "belong to no tensor"},
		{"bytes behind", `[],"data_offsets":[8,12]`, `[0],"data_offsets":[8,8]`, "4 bytes follow"},
		{"offset into the header", "[0,8]", "[-8,0]", "-8"},
		{"reversed range", "[8,12]", "[12,8]", "begin and an end"},
		{"one offset", "[8,12]", "[8]", "begin and an end"},
		{"three offsets", "[8,12]", "[8,12,12]", "begin and an end"},
		{"range of another size", `[2,1],"data`, `[3,1],"data`, "takes 12 bytes"},
		{"width of another type", `"I32"`, `"I64"`, "takes 8 bytes"},
		{"product overflow", "[2,1]", "[4294967296,4294967296,2]", "larger than any file"},
		{"product overflow to the right size", "[2,1]", "[9223372036854775809,2]", "larger than any file"},
		{"dimension overflow", "[2,1]", "[18446744073709551615,0]", "larger than any file"},
		{"number overflow", "[2,1]", "[18446744073709551616]", "no integer"},
		{"negative dimension", "[2,1]", "[-2,-1]", "no integer"},
		{"fraction", "[2,1]", "[2.0,1]", "no integer"},
		{"exponent", "[2,1]", "[2e0,1]", "no integer"},
		{"text as a number", "[2,1]", `["2",1]`, "no number"},
		{"null as a number", "[2,1]", `[null]`, "no number"},
		{"list in a list", "[2,1]", `[[2,1]]`, "no number"},
		{"too many axes", "[2,1]", "[2" + strings.Repeat(",1", maxRank) + "]", "more than 32"},
		{"shape is null", "[2,1]", "null", "not a list"},
		{"shape is an object", "[2,1]", "{}", "not a list"},
		{"offsets are null", "[8,12]", "null", "not a list"},
		{"unknown type", `"I32"`, `"I31"`, "I31"},
		{"type in another case", `"I32"`, `"i32"`, "i32"},
		{"type is a number", `"I32"`, `32`, "not a text"},
		{"key in another case", `"dtype":"I32"`, `"DType":"I32"`, "unknown key"},
		{"key twice", `"dtype":"I32"`, `"dtype":"I32","dtype":"F32"`, `"dtype" twice`},
		{"key missing", `"shape":[],`, ``, "2 of the keys"},
		{"tensor twice", `"b":{`, `"a":{`, `"a" twice`},
		{"tensor twice, escaped", `"b":{`, `"\u0061":{`, `"a" twice`},
		{"tensor is null", `{"dtype":"I32","shape":[],"data_offsets":[8,12]}`, `null`, "not a JSON object"},
		{"metadata twice", `"b":{`, `"__metadata__":{},"b":{`, "twice"},
		{"metadata key twice", `"format":"pt"`, `"format":"pt","format":"np"`, "twice"},
		{"metadata is null", `{"format":"pt"}`, `null`, "__metadata__ is not"},
		{"metadata holds a number", `"pt"`, `1`, "not a text"},
		{"metadata holds null", `"pt"`, `null`, "not a text"},
		{"missing comma", `,"b"`, `"b"`, "broken JSON"},
		{"unclosed", `[8,12]}}`, `[8,12]}`, "broken JSON"},
		{"text behind", `[8,12]}}`, `[8,12]}}{}`, "text follows"},
		{"newline behind", `[8,12]}}`, "[8,12]}}\n", "text follows"},
		{"space before", `{"__metadata__"`, ` {"__metadata__"`, "begin with {"},
		{"list", good, `[]`, "begin with {"},
		{"not UTF-8", `"a":`, "\"\xff\":", "UTF-8"},
	} {
		text := strings.Replace(good, c.from, c.to, 1)
		if text == good {
			t.Fatalf("%s: nothing was broken", c.name)
		}
		file, err := Parse(raw(text, 12))
		if file != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, %v; want an error with %q", c.name, file, err, c.says)
		}
	}
}

// TestTruncated cuts a good file at every byte, and forges the length of its header.
func TestTruncated(t *testing.T) {
	data := raw(good, 12)
	for n := range data {
		if _, err := Parse(data[:n]); err == nil {
			t.Errorf("cut at %d of %d bytes: no error", n, len(data))
		}
	}
	if _, err := Parse(append(data, 0)); err == nil {
		t.Error("a byte more: no error")
	}
	for _, n := range []uint64{0, 1, uint64(len(good)) - 1, uint64(len(good)) + 1, uint64(len(data)), maxHeader + 1, 1 << 63, math.MaxUint64} {
		forged := append(binary.LittleEndian.AppendUint64(nil, n), data[8:]...)
		if _, err := Parse(forged); err == nil {
			t.Errorf("header of %d bytes: no error", n)
		}
	}
}

// TestOrder accepts what the format allows: any order of the header, empty tensors at any border.
func TestOrder(t *testing.T) {
	header := `{"z":{"dtype":"U8","shape":[0,7],"data_offsets":[4,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},` +
		`"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"w":{"dtype":"I64","shape":[0],"data_offsets":[0,0]},"v":{"dtype":"F64","shape":[0],"data_offsets":[8,8]}}   `
	file, err := Parse(raw(header, 8))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tensor := range file.Tensors {
		names = append(names, tensor.Name)
	}
	if got := strings.Join(names, ""); got != "wxzyv" {
		t.Errorf("tensors in the order %s, want wxzyv", got)
	}
	if file, err := Parse(raw("{}", 0)); err != nil || len(file.Tensors) != 0 {
		t.Errorf("an empty file: %v, %v", file, err)
	}
}

func TestRoundTrip(t *testing.T) {
	want := &File{Metadata: map[string]string{"format": "pt", "quote": `"<&>` + "\n"}, Tensors: []Tensor{
		FromFloat32s("b", []int{2, 2}, []float32{1, float32(math.Inf(-1)), math.Float32frombits(0x7fc00001), math.Float32frombits(1)}),
		{Name: "a.ü\"", DType: "I32", Shape: []int{1}, Data: []byte{255, 255, 255, 255}},
		{Name: "none", DType: "F16", Shape: []int{3, 0}, Data: []byte{}},
		FromFloat32s("scalar", []int{}, []float32{-0.0}),
	}}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	must.M(Write(path, want))
	got := must.M1(Read(path))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if header := must.M1(os.ReadFile(path)); binary.LittleEndian.Uint64(header)%8 != 0 {
		t.Error("the numbers are not aligned to 8 bytes")
	}
	if n := must.M1(got.Tensor("a.ü\"").Int32s()); n[0] != -1 {
		t.Errorf("int32 %d, want -1", n[0])
	}
	if got.Tensor("c") != nil {
		t.Error("found a tensor that is not there")
	}
}

func TestWriteRefuses(t *testing.T) {
	one := FromFloat32s("a", []int{1}, []float32{1})
	for name, tensors := range map[string][]Tensor{
		"name twice":     {one, one},
		"wrong size":     {{Name: "a", DType: "F32", Shape: []int{2}, Data: one.Data}},
		"unknown type":   {{Name: "a", DType: "float32", Shape: []int{1}, Data: one.Data}},
		"negative shape": {{Name: "a", DType: "F32", Shape: []int{-1}, Data: one.Data}},
		"metadata":       {{Name: "__metadata__", DType: "F32", Shape: []int{1}, Data: one.Data}},
	} {
		path := filepath.Join(t.TempDir(), "x")
		err := Write(path, &File{Metadata: map[string]string{"a": "b"}, Tensors: tensors})
		if _, statErr := os.Stat(path); fault.KindOf(err) != fault.Internal || err == nil || statErr == nil {
			t.Errorf("%s: %v, file there: %t", name, err, statErr == nil)
		}
	}
}

func TestReadErrors(t *testing.T) {
	folder := t.TempDir()
	cut := filepath.Join(folder, "cut")
	must.M(os.WriteFile(cut, raw(good, 11), 0o644))
	for path, kind := range map[string]fault.Kind{cut: fault.Data, folder: fault.Data, filepath.Join(folder, "none"): fault.Storage} {
		if file, err := Read(path); file != nil || err == nil || fault.KindOf(err) != kind || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestWiden holds the 16-bit types against values known from their definitions.
func TestWiden(t *testing.T) {
	for _, c := range []struct {
		dtype string
		bits  uint16
		want  float64
	}{
		{"F16", 0x3c00, 1}, {"F16", 0xc000, -2}, {"F16", 0x7bff, 65504}, {"F16", 0x0400, 0x1p-14}, {"F16", 0x0001, 0x1p-24},
		{"F16", 0x03ff, 0x1p-14 - 0x1p-24}, {"F16", 0x3555, 0.333251953125}, {"F16", 0x7c00, math.Inf(1)}, {"F16", 0xfc00, math.Inf(-1)},
		{"F16", 0x8000, math.Copysign(0, -1)}, {"F16", 0x7e00, math.NaN()},
		{"BF16", 0x3f80, 1}, {"BF16", 0xc049, -3.140625}, {"BF16", 0x7f80, math.Inf(1)}, {"BF16", 0x0001, 0x1p-133}, {"BF16", 0x7fc0, math.NaN()},
	} {
		tensor := Tensor{Name: "x", DType: c.dtype, Shape: []int{1}, Data: binary.LittleEndian.AppendUint16(nil, c.bits)}
		got := float64(must.M1(tensor.Float32s())[0])
		same := got == c.want && math.Signbit(got) == math.Signbit(c.want) || math.IsNaN(got) && math.IsNaN(c.want)
		if !same {
			t.Errorf("%s %#04x is %g, want %g", c.dtype, c.bits, got, c.want)
		}
	}
	integers := Tensor{Name: "n", DType: "I64", Shape: []int{0}}
	if _, err := integers.Float32s(); fault.KindOf(err) != fault.Data || !strings.Contains(fmt.Sprint(err), "I64") {
		t.Errorf("I64 as floats: %v", err)
	}
	if _, err := integers.Int32s(); fault.KindOf(err) != fault.Data {
		t.Errorf("I64 as int32: %v", err)
	}
}

// FuzzParse holds any bytes to this: no panic; what is accepted covers the body exactly, without overlap, and
// says the same when it is written and read again.
func FuzzParse(f *testing.F) {
	f.Add(raw(good, 12))
	f.Add(raw("{}", 0))
	f.Add(raw(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}  `, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		covered := 8 + int(binary.LittleEndian.Uint64(data))
		for _, tensor := range file.Tensors {
			n := widths[tensor.DType]
			for _, dim := range tensor.Shape {
				n *= dim
			}
			if n != len(tensor.Data) {
				t.Fatalf("%q: %s%v has %d bytes", tensor.Name, tensor.DType, tensor.Shape, len(tensor.Data))
			}
			covered += n
		}
		if covered != len(data) {
			t.Fatalf("header and tensors cover %d of %d bytes", covered, len(data))
		}
		header, err := file.header()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(append(header, data[8+binary.LittleEndian.Uint64(data):]...))
		if err != nil || len(again.Tensors) != len(file.Tensors) {
			t.Fatalf("written again: %v", err)
		}
	})
}
