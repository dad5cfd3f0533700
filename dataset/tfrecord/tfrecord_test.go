package tfrecord

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// all reads every record of a file.
func all(file []byte) (records [][]byte, err error) {
	r := NewReader(bytes.NewReader(file))
	for {
		data, err := r.Next()
		if err == io.EOF {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		records = append(records, bytes.Clone(data))
	}
}

func TestRecords(t *testing.T) {
	want := [][]byte{[]byte("amber"), {}, bytes.Repeat([]byte{0xA7}, 300<<10), []byte("gold")}
	var file []byte
	for _, data := range want {
		file = Append(file, data)
	}
	got, err := all(file)
	if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("%d records, error %v; want %d as written", len(got), err, len(want))
	}
}

// The checksum is CRC32C (its published check value of "123456789" is E3069283), rotated right by 15 and
// moved by a282ead8.
func TestMaskedChecksum(t *testing.T) {
	crc := uint32(0xE3069283)
	if got, want := masked([]byte("123456789")), (crc>>15|crc<<17)+0xa282ead8; got != want {
		t.Errorf("%08x, want %08x", got, want)
	}
}

// No damage goes unnoticed: each flipped bit and each cut is a DamageError that names the record.
func TestDamage(t *testing.T) {
	first := Append(nil, []byte("amber"))
	file := Append(bytes.Clone(first), []byte("gold"))
	check := func(what string, damaged []byte, at int) {
		t.Helper()
		records, err := all(damaged)
		var damage *DamageError
		record, start := int64(1), int64(0)
		if at >= len(first) {
			record, start = 2, int64(len(first))
		}
		if !errors.As(err, &damage) || damage.Record != record || damage.Byte != start || len(records) != int(record)-1 {
			t.Errorf("%s: error %v after %d records; want one about record %d at byte %d", what, err, len(records), record, start)
		}
	}
	for i := range file {
		damaged := bytes.Clone(file)
		damaged[i] ^= 1 << (i % 8)
		check("flipped byte", damaged, i)
		if i > 0 && i != len(first) {
			check("cut", file[:i], i)
		}
	}
	long := protowire.AppendFixed64(nil, MaxRecord+1)
	long = protowire.AppendFixed32(long, masked(long))
	check("too long", long, 0)
	failing := errors.New("disk")
	if _, err := NewReader(io.MultiReader(bytes.NewReader(file[:20]), errorReader{failing})).Next(); err != failing {
		t.Errorf("error %v, want the stream's own", err)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestExamples(t *testing.T) {
	cases := []struct {
		example Example
		length  int
	}{
		{Example{[]int32{2, 7, 8, 3}, 4}, 8},
		{Example{[]int32{2, 7, 3, 9, 30000, 3}, 3}, 6},
		{Example{[]int32{2, 1<<31 - 1, 3}, 3}, 512},
	}
	for _, c := range cases {
		got, err := Parse(c.example.AppendData(nil, c.length, 0))
		if err != nil || !slices.Equal(got.IDs, c.example.IDs) || got.Second != c.example.Second {
			t.Errorf("%v, error %v; want %v", got, err, c.example)
		}
	}
}

// A file as another implementation has written it (the Python package tfrecord 1.14), whose features stand in another
// order.
func TestGoldenFile(t *testing.T) {
	file, err := hex.DecodeString("520000000000000025eb07b70a500a180a0a696e7075745f6d61736b120a1a080a060101010101000a190a0b7365676d656e745f696473120a1a080a060000000101000a190a09696e7075745f696473120c1a0a0a0865d01166b8176600421dcc61" +
		"4a00000000000000af77dbb00a480a160a0a696e7075745f6d61736b12081a060a04010101000a170a0b7365676d656e745f69647312081a060a04000000000a150a09696e7075745f69647312081a060a04650766007d270f1d")
	if err != nil {
		t.Fatal(err)
	}
	want := []Example{{[]int32{101, 2256, 102, 3000, 102}, 3}, {[]int32{101, 7, 102}, 3}}
	records, err := all(file)
	if err != nil || len(records) != len(want) {
		t.Fatalf("%d records, error %v; want %d", len(records), err, len(want))
	}
	for i, data := range records {
		if got, err := Parse(data); err != nil || !slices.Equal(got.IDs, want[i].IDs) || got.Second != want[i].Second {
			t.Errorf("%v, error %v; want %v", got, err, want[i])
		}
	}
}

// list is a feature as it stands in a file.
func list(name string, values ...int64) []byte {
	var packed []byte
	for _, v := range values {
		packed = protowire.AppendVarint(packed, uint64(v))
	}
	return named(name, appendMessage(nil, int64sValue, packed))
}

func named(name string, list []byte) []byte {
	entry := appendMessage(appendMessage(nil, entryKey, []byte(name)), entryValue, appendMessage(nil, featureInt64s, list))
	return appendMessage(nil, featuresEntry, entry)
}

func TestBadExamples(t *testing.T) {
	ids, mask, segments := list(inputIDs, 2, 7, 3, 0), list(inputMask, 1, 1, 1, 0), list(segmentIDs, 0, 0, 0, 0)
	cases := []struct {
		name     string
		features [][]byte
		says     string
	}{
		{"sound", [][]byte{mask, segments, ids}, ""},
		{"nothing", nil, "none of integers"},
		{"another data set", [][]byte{list("image", 1)}, "it has image"},
		{"no mask", [][]byte{ids, segments}, inputMask},
		{"shorter segments", [][]byte{ids, mask, list(segmentIDs, 0)}, "1 values"},
		{"hole in the mask", [][]byte{ids, list(inputMask, 1, 0, 1, 0), segments}, "place 2"},
		{"mask of 2", [][]byte{ids, list(inputMask, 1, 2, 0, 0), segments}, "is 2 at place 1"},
		{"A after B", [][]byte{ids, mask, list(segmentIDs, 0, 1, 0, 0)}, "place 2"},
		{"third segment", [][]byte{ids, mask, list(segmentIDs, 0, 1, 2, 0)}, "place 2"},
		{"negative id", [][]byte{list(inputIDs, 2, -7, 3, 0), mask, segments}, "-7"},
		{"huge id", [][]byte{list(inputIDs, 2, 1<<31, 3, 0), mask, segments}, "2147483648"},
		{"broken list", [][]byte{named(inputIDs, []byte{0x0a, 0x7f}), mask, segments}, "tf.train.Example"},
	}
	for _, c := range cases {
		_, err := Parse(appendMessage(nil, exampleFeatures, bytes.Join(c.features, nil)))
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.says)
		}
	}
	if _, err := Parse([]byte("no protocol buffer")); err == nil {
		t.Error("text is taken as an example")
	}
}

// Values may stand one by one, beside fields that nobody knows.
func TestUnpackedValues(t *testing.T) {
	var values []byte
	for _, id := range []uint64{2, 300, 3} {
		values = protowire.AppendVarint(protowire.AppendTag(values, int64sValue, protowire.VarintType), id)
	}
	values = protowire.AppendVarint(protowire.AppendTag(values, 9, protowire.VarintType), 77)
	data := protowire.AppendFixed32(protowire.AppendTag(nil, 5, protowire.Fixed32Type), 1)
	data = appendMessage(data, exampleFeatures, bytes.Join([][]byte{named(inputIDs, values), list(inputMask, 1, 1, 1), list(segmentIDs, 0, 0, 0)}, nil))
	got, err := Parse(data)
	if err != nil || !slices.Equal(got.IDs, []int32{2, 300, 3}) {
		t.Errorf("%v, error %v", got, err)
	}
}

// Whatever the bytes: no panic, and what is read as a record or an example can be written and read again.
func FuzzReader(f *testing.F) {
	example := Example{[]int32{2, 7, 3, 9, 3}, 3}.AppendData(nil, 8, 0)
	f.Add(Append(Append(nil, example), []byte("gold")))
	f.Add([]byte{})
	f.Add(Append(nil, example)[:30])
	f.Fuzz(func(t *testing.T, file []byte) {
		records, err := all(file)
		var again []byte
		for _, data := range records {
			again = Append(again, data)
		}
		if !bytes.HasPrefix(file, again) || err == nil && len(again) != len(file) {
			t.Fatalf("records of %d bytes read from %d, error %v", len(again), len(file), err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(Example{[]int32{2, 7, 3, 9, 3}, 3}.AppendData(nil, 8, 0))
	f.Add(appendMessage(nil, exampleFeatures, list("image", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			return
		}
		again, err := Parse(e.AppendData(nil, len(e.IDs), 0))
		if err != nil || !slices.Equal(again.IDs, e.IDs) || again.Second != e.Second {
			t.Fatalf("%v is read again as %v, error %v", e, again, err)
		}
	})
}
