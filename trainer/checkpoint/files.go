package checkpoint

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// fileSystem is the set of operations that change a checkpoints folder. Tests put a recording or failing
// one in its place, to see every state that a crash or a full disk can leave behind.
type fileSystem interface {
	Mkdir(path string) error
	Create(path string) (outputFile, error)
	Rename(from, to string) error
	RemoveAll(path string) error
	SyncDir(path string) error // makes the names in a folder durable
}

// outputFile is a file being written; WriteAt may be called by several goroutines at once.
type outputFile interface {
	io.WriterAt
	Reserve(size int64) error // claims the space early, so that a full disk shows before the long write
	Sync() error
	Close() error
}

// disk is the real file system.
type disk struct{}

func (disk) Mkdir(path string) error      { return os.Mkdir(path, 0o755) }
func (disk) Rename(from, to string) error { return os.Rename(from, to) }
func (disk) RemoveAll(path string) error  { return os.RemoveAll(path) }

func (disk) Create(path string) (outputFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	return diskFile{file}, err
}

func (disk) SyncDir(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err // EINVAL: some network file systems cannot sync a folder and do not need it
	}
	return nil
}

type diskFile struct{ *os.File }

func (f diskFile) Reserve(size int64) error { return reserve(f.File, size) }
