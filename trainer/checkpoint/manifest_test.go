package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// seal gives any body a correct checksum, as a hostile writer would.
func seal(body string) []byte {
	return []byte(sealPrefix + checksum(0).extend([]byte(body)).String() + sealMiddle + body + sealSuffix)
}

// forged is a manifest whose own sums are right whatever its entries say.
func forged(size int64, entries ...TensorEntry) []byte {
	m := &Manifest{Format: formatVersion, Step: 1, Tensors: entries, File: FileEntry{Name: dataName, Size: size}}
	text, err := m.encode()
	if err != nil {
		panic(err)
	}
	return text
}

func entry(name string, offset, size int64, shape ...int) TensorEntry {
	return TensorEntry{Name: name, DType: "float32", Shape: shape, Offset: offset, Size: size}
}

func TestHostileManifests(t *testing.T) {
	unknown := entry("a", 0, 4, 1)
	unknown.DType = "float128"
	cases := []struct {
		name string
		text []byte
		want string // in the error
	}{
		{"overlap", forged(128, entry("a", 0, 64, 16), entry("b", 32, 64, 16)), `tensor "b" at offset 32`},
		{"hole", forged(260, entry("a", 0, 64, 16), entry("b", 256, 4, 1)), `tensor "b" at offset 256`},
		{"first not at zero", forged(68, entry("a", 64, 4, 1)), `tensor "a" at offset 64`},
		{"negative offset", forged(4, entry("a", -64, 4, 1)), `tensor "a" at offset -64`},
		{"out of range", forged(4, entry("a", 0, 64, 16)), "tensors end at 64"},
		{"trailing bytes", forged(128, entry("a", 0, 64, 16)), "file size 128"},
		{"wrong size", forged(64, entry("a", 0, 64, 15)), "takes 60"},
		{"product overflows", forged(0, entry("a", 0, 0, 1<<32, 1<<32)), "larger than any file"},
		{"product overflows to a small number", forged(4, entry("a", 0, 4, 1<<62, 1<<62, 1<<62, 5)), "larger than any file"},
		{"sum overflows", forged(1<<60, entry("a", 0, 1<<60, 1<<58), entry("b", 1<<60, 1<<60, 1<<58)), "largest possible file"},
		{"dimension 0", forged(0, entry("a", 0, 0, 0)), "dimension below 1"},
		{"negative dimensions", forged(4, entry("a", 0, 4, -1, -1)), "dimension below 1"},
		{"same name twice", forged(68, entry("a", 0, 4, 1), entry("a", 64, 4, 1)), "twice"},
		{"unknown type", forged(4, unknown), "float128"},
		{"path in a name", forged(4, entry("../a", 0, 4, 1)), "path separators"},
		{"path in a name, Windows", forged(4, entry(`a\b`, 0, 4, 1)), "path separators"},
		{"escape in a name", forged(4, entry("a\x1b[31m", 0, 4, 1)), "printable"},
		{"empty name", forged(4, entry("", 0, 4, 1)), "a name has"},
		{"long name", forged(4, entry(strings.Repeat("a", 513), 0, 4, 1)), "a name has"},
		{"another file", seal(`{` + "\n" + `"format":1,` + "\n" + `"step":1,` + "\n" + `"meta":null,` + "\n" + `"file":{"name":"/etc/passwd","size":0,"crc32c":"00000000"},` + "\n" + `"tensors":[` + "\n]}"), "/etc/passwd"},
		{"negative step", seal(`{` + "\n" + `"format":1,` + "\n" + `"step":-1,` + "\n" + `"meta":null,` + "\n" + `"file":{"name":"` + dataName + `","size":0,"crc32c":"00000000"},` + "\n" + `"tensors":[` + "\n]}"), "negative"},
		{"another format", seal(`{"format":2}`), "format 2"},
		{"repeated key", seal(`{"format":1,"format":1,"step":1,"meta":null,"file":{},"tensors":[]}`), "form that elektron writes"},
		{"unknown key", seal(`{"format":1,"extra":1}`), "form that elektron writes"},
		{"upper-case key", seal(`{"FORMAT":1}`), "form that elektron writes"},
		{"no JSON", seal(`hello`), "not a manifest"},
		{"deep", seal(strings.Repeat("[", 100000)), "not a manifest"},
		{"step is text", seal(`{"format":1,"step":"1"}`), "not a manifest"},
		{"CRC with a sign", seal(`{"format":1,"file":{"crc32c":"+0000000"}}`), "eight"},
		{"empty", nil, "cut off"},
		{"wrong sum", []byte(sealPrefix + "00000000" + sealMiddle + "{}" + sealSuffix), "CRC32C"},
	}
	for _, c := range cases {
		path := filepath.Join(t.TempDir(), stepName(1))
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(path, manifestName), c.text, 0o644)
		os.WriteFile(filepath.Join(path, dataName), make([]byte, 260), 0o644)
		_, err := Load(path)
		if fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), manifestName) {
			t.Errorf("%s: error %v, want bad data with %q", c.name, err, c.want)
		}
	}
}

func TestManifestLargerThanItsData(t *testing.T) {
	path := mustSave(t, t.TempDir(), testState(1))
	m := &Manifest{Format: formatVersion, Step: 1, Tensors: []TensorEntry{entry("a", 0, 1<<50, 1<<48)}, File: FileEntry{Name: dataName, Size: 1 << 50}}
	m.File.CRC32C = fileChecksum(m.Tensors)
	text, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(path, manifestName), text, 0o644)
	if _, err := Load(path); fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), "bytes long") {
		t.Errorf("Load gives %v", err)
	}
	file, err := os.OpenFile(filepath.Join(path, manifestName), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(1 << 40); err != nil {
		t.Skip("no sparse files here")
	}
	if _, err := Load(path); fault.KindOf(err) != fault.Data {
		t.Errorf("a manifest of 1 TiB: %v", err)
	}
}

func FuzzParseManifest(f *testing.F) {
	path, err := Save(f.Context(), f.TempDir(), testState(1))
	if err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(path, manifestName))
	if err != nil {
		f.Fatal(err)
	}
	body, err := unseal(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"format":1,"tensors":[{"shape":[4294967296,4294967296]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		parseManifest(body) // must not panic
		m, err := parseManifest(seal(string(body)))
		if err != nil {
			if fault.KindOf(err) != fault.Data {
				t.Errorf("not a data error: %v", err)
			}
			return
		}
		end := int64(0)
		for _, e := range m.Tensors {
			if e.Offset < end || e.Size < 2 || e.Offset+e.Size > m.File.Size {
				t.Errorf("accepted %+v after %d in a file of %d", e, end, m.File.Size)
			}
			end = e.Offset + e.Size
		}
	})
}
