package corpus

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"elektron/internal/fault"
)

// stream opens the pass's file, decompressed as its extension says. Reading ends with ctx's error when the
// context does. The caller closes it.
func (p *pass) stream() (io.ReadCloser, error) {
	file, err := p.file.open(p.ctx, p.file.Path)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "corpus: cannot be opened")
	}
	switch _, compression := extension(p.file.Path); compression {
	case ".gz":
		z, err := gzip.NewReader(bufio.NewReaderSize(file, 128<<10))
		if err == io.EOF { // an empty file has no documents, compressed or not
			return file, nil
		}
		if err != nil {
			file.Close()
			return nil, p.readError(0, err)
		}
		return closers{z, file}, nil
	case ".zst":
		z, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			file.Close()
			return nil, p.readError(0, err)
		}
		return closers{z.IOReadCloser(), file}, nil
	}
	return file, nil
}

// closers reads the first and closes the second.
type closers struct {
	io.Reader
	io.Closer
}

// readError says why reading stopped after a line: what a decompressor refuses is bad data, the rest is
// the disk's.
func (p *pass) readError(line int, err error) error {
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	if fault.KindOf(err) != fault.Internal {
		return fault.Wrap(fault.Storage, err, "corpus: %s: cannot be read after line %d", p.file.Path, line)
	}
	_, compression := extension(p.file.Path)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return p.bad(": the %s file is cut off after line %d; get it again, or leave it out", compression, line)
	}
	return p.bad(": not a sound %s file after line %d (%w); get it again, or leave it out", compression, line, err)
}
