package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"elektron/internal/fault"
)

const (
	formatVersion   = 1
	manifestName    = "manifest.json"
	dataName        = "state-00000-of-00001.bin"
	maxManifestSize = 4 << 20 // bytes; a large model's takes half of one
)

// Manifest is what a checkpoint says about itself.
type Manifest struct {
	Format  int             `json:"format"`
	Step    int64           `json:"step"`
	Meta    json.RawMessage `json:"meta"`
	File    FileEntry       `json:"file"`
	Tensors []TensorEntry   `json:"tensors"`
}

// FileEntry describes the data file.
type FileEntry struct {
	Name   string   `json:"name"`
	Size   int64    `json:"size"` // bytes
	CRC32C checksum `json:"crc32c"`
}

// TensorEntry says where a tensor lies in the data file.
type TensorEntry struct {
	Name   string   `json:"name"`
	DType  string   `json:"dtype"`
	Shape  []int    `json:"shape"`
	Offset int64    `json:"offset"` // bytes from the file's beginning
	Size   int64    `json:"size"`   // bytes
	CRC32C checksum `json:"crc32c"`
}

// A manifest file is sealPrefix, the CRC32C of the body, sealMiddle, the body, sealSuffix: one JSON object in which
// every byte is either fixed or covered by the sum.
const (
	sealPrefix = `{"crc32c":"`
	sealMiddle = `","manifest":`
	sealSuffix = "}\n"
)

// encode writes the manifest in its only accepted form, one tensor a line.
func (m *Manifest) encode() ([]byte, error) {
	var body bytes.Buffer
	fmt.Fprintf(&body, "{\n\"format\":%d,\n\"step\":%d,\n\"meta\":", m.Format, m.Step)
	meta := m.Meta
	if len(meta) == 0 {
		meta = json.RawMessage("null")
	}
	if err := json.Compact(&body, meta); err != nil {
		return nil, fmt.Errorf("meta is not JSON: %w", err)
	}
	file, err := json.Marshal(m.File)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&body, ",\n\"file\":%s,\n\"tensors\":[", file)
	separator := "\n"
	for _, t := range m.Tensors {
		line, err := json.Marshal(t)
		if err != nil {
			return nil, err
		}
		body.WriteString(separator)
		body.Write(line)
		separator = ",\n"
	}
	body.WriteString("\n]}")
	if body.Len() > maxManifestSize-100 {
		return nil, fmt.Errorf("meta and %d tensors take %d bytes of manifest, more than fit", len(m.Tensors), body.Len())
	}
	sum := checksum(0).extend(body.Bytes())
	return []byte(sealPrefix + sum.String() + sealMiddle + body.String() + sealSuffix), nil
}

// parseManifest reads and checks a manifest. It accepts exactly the bytes that encode gives, so that unknown, double
// or differently spelled keys are errors without a rule for each.
func parseManifest(text []byte) (*Manifest, error) {
	body, err := unseal(text)
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fault.New(fault.Data, "not a manifest: %w", err)
	}
	if m.Format != formatVersion {
		return nil, fault.New(fault.Data, "format %d, this program reads format %d; use the version of elektron that wrote it", m.Format, formatVersion)
	}
	if again, err := m.encode(); err != nil || !bytes.Equal(again, text) {
		return nil, fault.New(fault.Data, "not in the form that elektron writes (unknown, repeated or reordered keys)")
	}
	if string(m.Meta) == "null" {
		m.Meta = nil
	}
	return &m, m.check()
}

func unseal(text []byte) ([]byte, error) {
	start := len(sealPrefix) + 8 + len(sealMiddle)
	if len(text) < start+len(sealSuffix) {
		return nil, fault.New(fault.Data, "only %d bytes long; it is cut off", len(text))
	}
	body := text[start : len(text)-len(sealSuffix)]
	sum := checksum(0).extend(body).String()
	want := sealPrefix + sum + sealMiddle
	if !bytes.HasSuffix(text, []byte(sealSuffix)) || !bytes.Equal(text[:start], []byte(want)) {
		return nil, fault.New(fault.Data, "its CRC32C is not %s, or it is cut off", sum)
	}
	return body, nil
}

// check tests what the form alone does not show.
func (m *Manifest) check() error {
	if m.Step < 0 {
		return fault.New(fault.Data, "step %d is negative", m.Step)
	}
	if m.File.Name != dataName {
		return fault.New(fault.Data, "the data file is named %.80q, not %s", m.File.Name, dataName)
	}
	end, err := checkLayout(m.Tensors)
	if err != nil {
		return err
	}
	if m.File.Size != end {
		return fault.New(fault.Data, "file size %d, but the tensors end at %d", m.File.Size, end)
	}
	if sum := fileChecksum(m.Tensors); sum != m.File.CRC32C {
		return fault.New(fault.Data, "the file's CRC32C %s does not follow from the tensors' (%s)", m.File.CRC32C, sum)
	}
	return nil
}

// ReadManifest reads and checks the manifest of the checkpoint at path, and the size of its data file, but
// not the data.
func ReadManifest(path string) (*Manifest, error) {
	name := filepath.Join(path, manifestName)
	file, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxManifestSize+1))
	if err != nil {
		return nil, readFault(name, err)
	}
	if len(text) > maxManifestSize {
		return nil, fault.New(fault.Data, "checkpoint: %s: larger than %d bytes, so no manifest", name, maxManifestSize)
	}
	m, err := parseManifest(text)
	return m, fault.Wrap(fault.Data, err, "checkpoint: %s", name)
}

// openRegular opens a file of a checkpoint; anything but a plain file (a pipe would block for ever) is refused.
func openRegular(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, readFault(name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fault.New(fault.Data, "checkpoint: %s: not a regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, readFault(name, err)
	}
	return file, nil
}

// readFault tells a damaged checkpoint (missing file, unreadable sector) from storage that is out of reach
// (permissions, network), where taking an older checkpoint would throw work away.
func readFault(name string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fault.New(fault.Data, "checkpoint: %s: missing", name)
	case errors.Is(err, syscall.EIO), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fault.New(fault.Data, "checkpoint: %s: unreadable: %w", name, err)
	}
	return fault.Wrap(fault.Storage, err, "checkpoint: %s: cannot be read; check its permissions and the disk", name)
}
