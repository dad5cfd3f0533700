package checkpoint

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"elektron/internal/fault"
)

// chunkSize is how much is summed and written at a time: it fits the cache, so the sum costs next to nothing.
const chunkSize = 1 << 20

// Save writes state into the folder dir (made if need be) as step-XXXXXXXX and returns that path once everything is
// durable on disk. On any error, the context's end included, the older checkpoints are as they were and nothing half-written is left.
// A checkpoint of the same step is replaced. One process at a time may save into dir: see [LockDir].
func Save(ctx context.Context, dir string, state *State) (string, error) {
	return save(ctx, disk{}, dir, state)
}

func save(ctx context.Context, files fileSystem, dir string, state *State) (string, error) {
	manifest, err := newManifest(state)
	if err != nil {
		return "", fault.New(fault.Internal, "checkpoint: step %d cannot be saved: %s", state.Step, err)
	}
	temporary := filepath.Join(dir, temporaryPrefix+stepName(state.Step))
	path := filepath.Join(dir, stepName(state.Step))
	if err = makeTemporary(files, temporary); err == nil {
		err = writeFolder(ctx, files, temporary, manifest, state.Tensors)
	}
	if err == nil {
		err = publish(files, temporary, path)
	}
	if err != nil {
		return "", errors.Join(saveFault(err, path, manifest.File.Size), files.RemoveAll(temporary))
	}
	return path, nil
}

// newManifest describes the state, checksums excepted, and makes sure before the long write that it can be saved at all.
func newManifest(state *State) (*Manifest, error) {
	entries, err := plan(state.Tensors)
	if err != nil {
		return nil, err
	}
	if state.Step < 0 {
		return nil, errors.New("the step is negative")
	}
	m := &Manifest{Format: formatVersion, Step: state.Step, Meta: state.Meta, Tensors: entries, File: FileEntry{Name: dataName}}
	if n := len(entries); n > 0 {
		m.File.Size = entries[n-1].Offset + entries[n-1].Size
	}
	_, err = m.encode()
	return m, err
}

// saveFault says what the failed save means to the user.
func saveFault(err error, path string, size int64) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.Preempted, err, "checkpoint: saving %s was stopped; older checkpoints are intact", path)
	}
	if fault.KindOf(err) == fault.DiskFull {
		return fault.Wrap(fault.DiskFull, err, "checkpoint: saving %s needs %d MiB; older checkpoints are intact; free some space or keep fewer checkpoints", path, size>>20+1)
	}
	return fault.Wrap(fault.Storage, err, "checkpoint: saving %s failed; older checkpoints are intact; check that the folder is writable", path)
}

// makeTemporary makes an empty folder, whatever an earlier attempt has left there.
func makeTemporary(files fileSystem, temporary string) error {
	if err := makeFolder(files, filepath.Dir(temporary)); err != nil {
		return err
	}
	if err := files.RemoveAll(temporary); err != nil {
		return err
	}
	return files.Mkdir(temporary)
}

// makeFolder makes a folder and those above it, each durable.
func makeFolder(files fileSystem, path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeFolder(files, parent); err != nil {
			return err
		}
	}
	if err := files.Mkdir(path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return files.SyncDir(parent)
}

// writeFolder fills the temporary folder: tensors, then the manifest with their sums, then the folder's own names.
func writeFolder(ctx context.Context, files fileSystem, folder string, m *Manifest, tensors []Tensor) error {
	err := writeFile(files, filepath.Join(folder, dataName), func(out outputFile) error {
		if err := out.Reserve(m.File.Size); err != nil {
			return err
		}
		return parallel(len(tensors), func(i int) error {
			return writeTensor(ctx, out, tensors[i].Data, &m.Tensors[i])
		})
	})
	if err != nil {
		return err
	}
	m.File.CRC32C = fileChecksum(m.Tensors)
	text, err := m.encode()
	if err != nil {
		return fault.New(fault.Internal, "%w", err)
	}
	err = writeFile(files, filepath.Join(folder, manifestName), func(out outputFile) error {
		_, err := out.WriteAt(text, 0)
		return err
	})
	if err != nil {
		return err
	}
	return files.SyncDir(folder)
}

func writeFile(files fileSystem, path string, write func(outputFile) error) error {
	out, err := files.Create(path)
	if err != nil {
		return err
	}
	if err = write(out); err == nil {
		err = out.Sync()
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}

func writeTensor(ctx context.Context, out outputFile, data []byte, entry *TensorEntry) error {
	for at := 0; at < len(data); at += chunkSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := data[at:min(at+chunkSize, len(data))]
		entry.CRC32C = entry.CRC32C.extend(chunk)
		if _, err := out.WriteAt(chunk, entry.Offset+int64(at)); err != nil {
			return err
		}
	}
	return nil
}

// publish gives the finished folder its name. An earlier checkpoint of the same step steps aside first; should the
// process die between the two renames, Clean puts it back.
func publish(files fileSystem, temporary, path string) error {
	dir := filepath.Dir(path)
	replaced := filepath.Join(dir, replacedPrefix+filepath.Base(path))
	_, err := os.Lstat(path)
	exists := err == nil
	if exists {
		if err := files.RemoveAll(replaced); err != nil {
			return err
		}
		if err := files.Rename(path, replaced); err != nil {
			return err
		}
	}
	if err := files.Rename(temporary, path); err != nil {
		if exists {
			err = errors.Join(err, files.Rename(replaced, path))
		}
		return err
	}
	if err := files.SyncDir(dir); err != nil {
		return err
	}
	if exists {
		return files.RemoveAll(replaced)
	}
	return nil
}
