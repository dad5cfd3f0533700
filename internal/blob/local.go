package blob

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"elektron/internal/fault"
)

// local is the file system of this machine.
type local struct{}

func (local) Stat(ctx context.Context, name string) (Info, error) {
	if err := ctx.Err(); err != nil {
		return Info{}, err
	}
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return Info{}, fault.Wrap(fault.Storage, err, "blob")
	}
	return Info{Name: name, Size: info.Size(), Modified: info.ModTime()}, nil
}

func (local) List(ctx context.Context, folder string) ([]Info, error) {
	var found []Info
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if path == folder && errors.Is(err, fs.ErrNotExist) {
			return fs.SkipAll
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if path != folder && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		info, err := os.Stat(path) // follows links
		if err == nil && !info.IsDir() {
			found = append(found, Info{Name: path, Size: info.Size(), Modified: info.ModTime()})
		}
		return err
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	sortByName(found)
	return found, fault.Wrap(fault.Storage, err, "blob")
}

func (local) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "blob")
	}
	return &localReader{f, ctx}, nil
}

// localReader ends with its context. A file keeps its other methods: it can be read at any place.
type localReader struct {
	*os.File
	ctx context.Context
}

func (r *localReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.File.Read(b)
}

func (local) Create(ctx context.Context, name string) (Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return nil, fault.Wrap(fault.Storage, err, "blob: %s: no folder for it", name)
	}
	f, err := createPending(name)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "blob: %s: cannot be created", name)
	}
	return &localWriter{f, ctx}, nil
}

type localWriter struct {
	file *pendingFile
	ctx  context.Context
}

func (w *localWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.file.Write(b)
	return n, fault.Wrap(fault.Storage, err, "blob: %s: cannot be written", w.file.name)
}

func (w *localWriter) Close() error {
	if err := w.ctx.Err(); err != nil {
		w.Abort()
		return err
	}
	return fault.Wrap(fault.Storage, w.file.publish(), "blob: %s: cannot be written", w.file.name)
}

func (w *localWriter) Abort() { w.file.abandon() }

func (local) Remove(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fault.Wrap(fault.Storage, os.Remove(name), "blob")
}
