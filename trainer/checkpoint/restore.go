package checkpoint

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"elektron/internal/fault"
)

// Restore loads the newest good checkpoint in dir. Each newer one that is damaged is skipped with a warning that
// says what is wrong. With no checkpoint at all it returns [ErrNone]; with checkpoints of which none is
// good it is an error, never a silent fresh start. A checkpoint that may be good but cannot be read (permissions) is an error too.
func Restore(dir string) (state *State, path string, warnings []string, err error) {
	entries, err := List(dir)
	if err != nil {
		return nil, "", nil, err
	}
	if len(entries) == 0 {
		return nil, "", nil, ErrNone
	}
	for _, entry := range slices.Backward(entries) {
		state, err := loadEntry(entry)
		if err == nil {
			return state, entry.Path, warnings, nil
		}
		if fault.KindOf(err) != fault.Data {
			return nil, "", warnings, err
		}
		warnings = append(warnings, err.Error())
	}
	return nil, "", warnings, fault.New(fault.Data, "checkpoint: none of the %d checkpoints in %s is good:\n  %s\nput back a good one, or start afresh in another --out",
		len(entries), dir, strings.Join(warnings, "\n  "))
}

func loadEntry(entry Entry) (*State, error) {
	state, err := Load(entry.Path)
	if err == nil && state.Step != entry.Step {
		return nil, fault.New(fault.Data, "checkpoint: %s: holds step %d", entry.Path, state.Step)
	}
	return state, err
}

// Load reads the checkpoint folder at path, whatever its name, and verifies every byte of it. A damaged checkpoint is a
// [fault.Data] error that names the file, the tensor and its offset. It never allocates more than the file's size.
func Load(path string) (*State, error) {
	manifest, file, err := openData(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	state := &State{Step: manifest.Step, Meta: manifest.Meta, Tensors: make([]Tensor, len(manifest.Tensors))}
	err = parallel(len(manifest.Tensors), func(i int) error {
		entry := manifest.Tensors[i]
		data := make([]byte, entry.Size)
		state.Tensors[i] = Tensor{Name: entry.Name, DType: entry.DType, Shape: entry.Shape, Data: data}
		return readTensor(file, manifest.Tensors, i, func(at, n int64) []byte { return data[at : at+n] })
	})
	if err != nil {
		return nil, err
	}
	return state, nil
}

// Verify reads the checkpoint folder at path and checks every byte, in a few MiB of memory.
func Verify(path string) (*Manifest, error) {
	manifest, file, err := openData(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	err = parallel(len(manifest.Tensors), func(i int) error {
		buffer := make([]byte, min(chunkSize, manifest.Tensors[i].Size))
		return readTensor(file, manifest.Tensors, i, func(_, n int64) []byte { return buffer[:n] })
	})
	if err != nil {
		return nil, err
	}
	return manifest, nil
}

// openData reads the manifest and opens the data file, which must have exactly the size that the manifest says:
// after that, nothing is allocated for bytes that are not there.
func openData(path string) (*Manifest, *os.File, error) {
	manifest, err := ReadManifest(path)
	if err != nil {
		return nil, nil, err
	}
	name := filepath.Join(path, manifest.File.Name)
	file, err := openRegular(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() != manifest.File.Size {
		err = fault.New(fault.Data, "checkpoint: %s: %d bytes long, the manifest says %d", name, info.Size(), manifest.File.Size)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return manifest, file, nil
}

// readTensor reads tensor i and the padding before it piece by piece into what room gives, and checks them.
func readTensor(file *os.File, entries []TensorEntry, i int, room func(at, n int64) []byte) error {
	entry := entries[i]
	if err := checkPadding(file, entries, i); err != nil {
		return err
	}
	var sum checksum
	for at := int64(0); at < entry.Size; at += chunkSize {
		chunk := room(at, min(chunkSize, entry.Size-at))
		if _, err := file.ReadAt(chunk, entry.Offset+at); err != nil {
			return readFault(file.Name(), err)
		}
		sum = sum.extend(chunk)
	}
	if sum != entry.CRC32C {
		return fault.New(fault.Data, "checkpoint: %s: tensor %q at offset %d: CRC32C is %s, the manifest says %s", file.Name(), entry.Name, entry.Offset, sum, entry.CRC32C)
	}
	return nil
}

func checkPadding(file io.ReaderAt, entries []TensorEntry, i int) error {
	if i == 0 {
		return nil
	}
	end := entries[i-1].Offset + entries[i-1].Size
	var padding [alignment]byte
	gap := padding[:entries[i].Offset-end]
	name := file.(*os.File).Name()
	if _, err := file.ReadAt(gap, end); err != nil {
		return readFault(name, err)
	}
	if padding != zeros {
		return fault.New(fault.Data, "checkpoint: %s: the padding at offset %d before tensor %q is not zero", name, end, entries[i].Name)
	}
	return nil
}
