//go:build unix

package shard

import (
	"os"

	"golang.org/x/sys/unix"
)

// MapFile maps the whole of an open, non-empty file for reading.
func MapFile(file *os.File, size int) (data []byte, unmap func() error, err error) {
	data, err = unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, &os.PathError{Op: "mmap", Path: file.Name(), Err: err}
	}
	return data, func() error { return unix.Munmap(data) }, nil
}
