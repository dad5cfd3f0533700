package corpus

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// lines reads cleaned lines from a stream in bounded memory.
type lines struct {
	p      *pass
	in     *bufio.Reader
	number int    // of the line that next gave last, from 1
	long   []byte // a line that did not fit in's buffer
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

// notUTF8 says what the first bytes of a file show it to be when it is not text in UTF-8, else "". Its bounds
// are more than damage or some words of another encoding give: those are repaired, and counted.
func notUTF8(head []byte) string {
	nul, invalid := bytes.Count(head, []byte{0}), invalidBytes(head)
	switch {
	case nul > 0 && (bytes.HasPrefix(head, []byte{0xFF, 0xFE}) || bytes.HasPrefix(head, []byte{0xFE, 0xFF})):
		return "UTF-16 text; convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)"
	case bytes.HasPrefix(head, []byte{0x1F, 0x8B}):
		return "gzip data under another name; rename it to end in .gz"
	case bytes.HasPrefix(head, []byte{0x28, 0xB5, 0x2F, 0xFD}):
		return "Zstandard data under another name; rename it to end in .zst"
	case bytes.HasPrefix(head, []byte("PAR1")):
		return "Parquet data under another name; rename it to end in .parquet"
	case nul*5 > len(head), len(head) >= 512 && (nul+invalid)*3 > len(head):
		return fmt.Sprintf("a binary file, or text in another encoding than UTF-8: %d of its first %d bytes are NUL, %d not UTF-8; leave it out, or convert it (iconv -t UTF-8)", nul, len(head), invalid)
	}
	return ""
}

// clean gives text without NULs and with each byte that is not UTF-8 replaced by U+FFFD, and counts both.
// What it gives is good until the next call.
func (p *pass) clean(line int, text []byte) []byte {
	if bytes.IndexByte(text, 0) < 0 && utf8.Valid(text) {
		return text
	}
	invalid, out := int64(0), p.repaired[:0]
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == 0:
			p.counts.NULs++
		case r == utf8.RuneError && size == 1:
			invalid++
			out = utf8.AppendRune(out, utf8.RuneError)
		default:
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	p.repaired = out
	if invalid > 0 && p.counts.FirstInvalid == "" {
		p.counts.FirstInvalid = fmt.Sprintf("%s:%d", p.file.Path, line)
	}
	if invalid > 0 {
		p.counts.InvalidLines++
		p.counts.InvalidBytes += invalid
	}
	return out
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
	return l.p.clean(l.number, line), nil
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
		if len(l.long)+len(part) > cap(l.long) { // double: append's smaller steps leave more garbage in all
			l.long = append(make([]byte, 0, max(2*cap(l.long), len(part))), l.long...)
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
