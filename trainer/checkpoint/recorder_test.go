package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// operation is one change to a file system, in terms of paths relative to its root.
type operation struct {
	kind     string // mkdir, create, write, sync, rename, remove, syncdir, or acknowledged, which marks what a caller was told
	path, to string
	at       int64
	data     []byte
	step     int64 // of acknowledged
}

// recorder works on the real disk, notes every operation, and can fail one of them.
type recorder struct {
	disk
	root   string
	mutex  sync.Mutex
	log    []operation
	failAt int   // number of the operation that fails, from 1; 0 for none
	err    error // what it fails with
	seen   int
}

func (r *recorder) note(op operation) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.seen++
	if r.seen == r.failAt {
		return r.err
	}
	op.path, op.to = r.relative(op.path), r.relative(op.to)
	r.log = append(r.log, op)
	return nil
}

func (r *recorder) relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, r.root), string(filepath.Separator))
}

func (r *recorder) acknowledge(step int64) {
	r.log = append(r.log, operation{kind: "acknowledged", step: step})
}

func (r *recorder) Mkdir(path string) error {
	return firstError(r.note(operation{kind: "mkdir", path: path}), func() error { return r.disk.Mkdir(path) })
}

func (r *recorder) Rename(from, to string) error {
	return firstError(r.note(operation{kind: "rename", path: from, to: to}), func() error { return r.disk.Rename(from, to) })
}

// RemoveAll goes file by file, as the real one does.
func (r *recorder) RemoveAll(path string) error {
	children, _ := os.ReadDir(path)
	for _, child := range children {
		if err := r.RemoveAll(filepath.Join(path, child.Name())); err != nil {
			return err
		}
	}
	return firstError(r.note(operation{kind: "remove", path: path}), func() error { return r.disk.RemoveAll(path) })
}

func (r *recorder) SyncDir(path string) error {
	return firstError(r.note(operation{kind: "syncdir", path: path}), func() error { return nil })
}

func (r *recorder) Create(path string) (outputFile, error) {
	if err := r.note(operation{kind: "create", path: path}); err != nil {
		return nil, err
	}
	file, err := r.disk.Create(path)
	return &recordedFile{file, r, path}, err
}

type recordedFile struct {
	outputFile
	recorder *recorder
	path     string
}

func (f *recordedFile) Reserve(int64) error { return f.recorder.note(operation{kind: "reserve"}) }

func (f *recordedFile) WriteAt(data []byte, at int64) (int, error) {
	err := f.recorder.note(operation{kind: "write", path: f.path, at: at, data: append([]byte{}, data...)})
	if err != nil { // a full disk takes some of the bytes
		n, _ := f.outputFile.WriteAt(data[:len(data)/2], at)
		return n, err
	}
	return f.outputFile.WriteAt(data, at)
}

func (f *recordedFile) Sync() error {
	return firstError(f.recorder.note(operation{kind: "sync", path: f.path}), func() error { return nil })
}

func firstError(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

// errFull is how the kernel says that a disk is full.
var errFull = &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}

// errBroken is a disk that fails.
var errBroken = errors.New("input/output error")
