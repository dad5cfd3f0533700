package track

import (
	"errors"
	"os"

	"elektron/internal/fault"
)

// appender adds to a file piece by piece, each in one write: a piece is there whole or, after an error, not at all.
type appender struct {
	file *os.File
	size int64 // bytes of whole pieces
}

// openAppender opens a file to be added to. The flag may say that it must be new.
func openAppender(path string, flag int) (*appender, error) {
	file, err := os.OpenFile(path, flag|os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "track: cannot open %s", path)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fault.Wrap(fault.Storage, errors.Join(err, file.Close()), "track: cannot open %s", path)
	}
	return &appender{file, info.Size()}, nil
}

func (a *appender) add(piece []byte) error {
	n, err := a.file.Write(piece)
	if err == nil {
		a.size += int64(n)
		return nil
	}
	if n > 0 { // half a piece would spoil the next one
		err = errors.Join(err, a.file.Truncate(a.size))
	}
	return fault.Wrap(fault.Storage, err, "track: cannot write %s", a.file.Name())
}

func (a *appender) sync() error {
	return fault.Wrap(fault.Storage, a.file.Sync(), "track: cannot write %s", a.file.Name())
}

func (a *appender) close() error {
	return fault.Wrap(fault.Storage, a.file.Close(), "track: cannot write %s", a.file.Name())
}
