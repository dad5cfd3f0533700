package corpus

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"elektron/internal/fault"
)

// stream opens the pass's file, decompressed as its extension says. Reading ends with ctx's error when the
// context does. The caller closes it.
func (p *pass) stream() (io.ReadCloser, error) {
	file, err := p.file.open()
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "corpus: cannot be opened")
	}
	raw := &contextReader{p.ctx, file}
	switch _, compression := extension(p.file.Path); compression {
	case ".gz":
		z, err := gzip.NewReader(bufio.NewReaderSize(raw, 128<<10))
		if err == io.EOF { // an empty file has no documents, compressed or not
			return file, nil
		}
		if err != nil {
			file.Close()
			return nil, p.readError(0, err)
		}
		return closers{z, file}, nil
	case ".zst":
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			file.Close()
			return nil, p.readError(0, err)
		}
		return closers{z.IOReadCloser(), file}, nil
	}
	return closers{raw, file}, nil
}

type contextReader struct {
	ctx  context.Context
	file io.Reader
}

func (r *contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.file.Read(b)
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

// lines reads cleaned lines from a stream in bounded memory.
type lines struct {
	p      *pass
	in     *bufio.Reader
	number int    // of the line that next gave last, from 1
	long   []byte // a line that did not fit in's buffer
	clean  []byte // a line that had to be changed
}

const sniffed = 8 << 10

// newLines looks at the beginning of a stream: it drops a byte order mark and refuses what is not UTF-8 text.
func (p *pass) newLines(stream io.Reader) (*lines, error) {
	in := bufio.NewReaderSize(stream, 256<<10)
	head, err := in.Peek(sniffed)
	if err != nil && err != io.EOF {
		return nil, p.readError(0, err)
	}
	if reason := notUTF8(head); reason != "" {
		return nil, p.bad(": %s", reason)
	}
	if bytes.HasPrefix(head, []byte("\uFEFF")) {
		p.counts.BOMs++
		in.Discard(3)
	}
	return &lines{p: p, in: in}, nil
}

// notUTF8 says what the first bytes of a file show it to be when it is not text in UTF-8, else "". A fifth
// of NULs and invalid bytes is more than damage or a few words of another encoding give.
func notUTF8(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0xFF, 0xFE}), bytes.HasPrefix(head, []byte{0xFE, 0xFF}):
		return "UTF-16 text; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"
	case bytes.HasPrefix(head, []byte{0x1F, 0x8B}):
		return "gzip data under another name; rename it to end in .gz"
	case bytes.HasPrefix(head, []byte{0x28, 0xB5, 0x2F, 0xFD}):
		return "Zstandard data under another name; rename it to end in .zst"
	case bytes.HasPrefix(head, []byte("PAR1")):
		return "Parquet data under another name; rename it to end in .parquet"
	}
	nul := bytes.Count(head, []byte{0})
	if invalid := invalidBytes(head); (nul+invalid)*5 > len(head) {
		return fmt.Sprintf("a binary file, or text in another encoding than UTF-8: %d of its first %d bytes are NUL, %d not UTF-8; leave it out, or convert it (iconv -t UTF-8)", nul, len(head), invalid)
	}
	return ""
}

// invalidBytes counts the bytes of b that belong to no UTF-8 encoded character.
func invalidBytes(b []byte) (n int) {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			n++
		}
		b = b[size:]
	}
	return n
}

// next gives the next line without its end and with valid UTF-8 and no NUL; io.EOF after the last one. The
// bytes are good until the next call.
func (l *lines) next() ([]byte, error) {
	line, err := l.read()
	if err != nil {
		return nil, err
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		l.p.counts.CRLFLines++
		line = line[:n-1]
	}
	if bytes.IndexByte(line, 0) < 0 && utf8.Valid(line) {
		return line, nil
	}
	return l.repair(line), nil
}

// read gives the next line as it is in the file, without LF.
func (l *lines) read() ([]byte, error) {
	l.number++
	l.long = l.long[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		if len(l.long)+len(part) > l.p.options.MaxLine+1 {
			return nil, l.p.bad(":%d: a line of over %d bytes; break it at sentences or paragraphs, or leave the file out", l.number, l.p.options.MaxLine)
		}
		if err == nil && len(l.long) == 0 {
			return part[:len(part)-1], nil
		}
		if len(l.long)+len(part) > cap(l.long) { // double, which append does not do for long slices
			l.long = slices.Grow(l.long, max(len(l.long), len(part)))
		}
		l.long = append(l.long, part...)
		switch {
		case err == nil:
			return l.long[:len(l.long)-1], nil
		case err == io.EOF && len(l.long) == 0:
			return nil, io.EOF
		case err == io.EOF:
			return l.long, nil
		case err != bufio.ErrBufferFull:
			return nil, l.p.readError(l.number-1, err)
		}
	}
}

// repair drops NULs, replaces each byte that is not UTF-8 by U+FFFD, and counts both.
func (l *lines) repair(line []byte) []byte {
	out, invalid, nuls := l.clean[:0], int64(0), int64(0)
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		switch {
		case r == 0:
			nuls++
		case r == utf8.RuneError && size == 1:
			invalid++
			out = utf8.AppendRune(out, utf8.RuneError)
		default:
			out = append(out, line[:size]...)
		}
		line = line[size:]
	}
	l.clean = out
	c := &l.p.counts
	c.NULs += nuls
	if invalid > 0 {
		c.InvalidLines++
		c.InvalidBytes += invalid
		if c.FirstInvalid == "" {
			c.FirstInvalid = fmt.Sprintf("%s:%d", l.p.file.Path, l.number)
		}
	}
	return out
}
