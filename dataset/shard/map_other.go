//go:build !unix

package shard

import (
	"io"
	"os"
)

// MapFile reads the file into memory where the system has no mmap that Go can use plainly.
func MapFile(file *os.File, size int) (data []byte, unmap func() error, err error) {
	data = make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, nil, err
	}
	return data, func() error { return nil }, nil
}
