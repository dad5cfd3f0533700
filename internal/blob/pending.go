package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"elektron/internal/fault"
)

// pendingFile is a file of this machine that is written under a hidden name beside its own, which it gets when it is
// complete. (google/renameio does the same, but not on Windows, where a rename is not certain to be atomic; it is the
// best there is.)
type pendingFile struct {
	*os.File
	name string
	done bool
}

func createPending(name string) (*pendingFile, error) {
	for n := 0; ; n++ {
		hidden := fmt.Sprintf(".%s.%d-%d.tmp", filepath.Base(name), os.Getpid(), n)
		// Unlike os.CreateTemp, this gives the permissions of an ordinary file.
		f, err := os.OpenFile(filepath.Join(filepath.Dir(name), hidden), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			return &pendingFile{File: f, name: name}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
}

// publish gives the file its name, on the disk too. When it fails, the hidden file is gone.
func (f *pendingFile) publish() error {
	defer f.abandon()
	if f.done {
		return fs.ErrClosed
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.File.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.File.Name(), f.name); err != nil {
		return err
	}
	f.done = true
	return syncFolder(filepath.Dir(f.name))
}

// abandon removes the hidden file. After publish it does nothing.
func (f *pendingFile) abandon() {
	if f.done {
		return
	}
	f.done = true
	f.File.Close() // the file is thrown away: its own errors say nothing
	os.Remove(f.File.Name())
}

// syncFolder makes a rename survive a power cut. Windows cannot and need not sync folders.
func syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// WriteFile writes a file of this machine, which appears, or takes the place of the one that was there, whole or not
// at all. Its folder must exist.
func WriteFile(path string, data []byte) error {
	f, err := createPending(path)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "blob: %s: cannot be created", path)
	}
	defer f.abandon()
	if _, err = f.Write(data); err == nil {
		err = f.publish()
	}
	return fault.Wrap(fault.Storage, err, "blob: %s: cannot be written", path)
}
