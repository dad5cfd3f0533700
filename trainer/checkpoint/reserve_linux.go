package checkpoint

import (
	"errors"
	"os"
	"syscall"
)

// reserve claims size bytes on the disk. A file system that cannot do this finds out later.
func reserve(file *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	err := syscall.Fallocate(int(file.Fd()), 0, 0, size)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return &os.PathError{Op: "reserve", Path: file.Name(), Err: err}
	}
	return nil
}
