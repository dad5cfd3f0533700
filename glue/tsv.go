package glue

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"elektron/internal/fault"
)

// maxLine bounds a line in bytes. The longest of the official files, with parse trees, has some thousand.
const maxLine = 1 << 20

// byteOrderMark begins MRPC's files.
const byteOrderMark = "\uFEFF"

// readTSV reads a table as the GLUE server offers them: a row a line, columns between tabs, and nothing quoted, for
// quotation marks in these files are text and often without a partner. Lines may end in LF or CR LF, the last one in
// nothing. Rows without the columns of the others are counted and left out (see Examples.Warnings), unless they are
// many or of a test split: that, and a label which the task does not have, is an error of kind fault.Data.
func readTSV(e *Examples, in io.Reader) error {
	t := table{examples: e, in: bufio.NewReaderSize(in, 64<<10)}
	for {
		line, err := t.next()
		if err == io.EOF {
			return e.check()
		}
		if err == nil {
			err = t.row(strings.Split(line, "\t"))
		}
		if err != nil {
			return err
		}
	}
}

// table is the state of one readTSV.
type table struct {
	examples *Examples
	in       *bufio.Reader
	line     int // number of the latest, from 1
	blank    int // empty lines just before it: at the end of a file they are nothing

	width              int // columns of a row; 0 before the first line
	needed             int // columns up to the last one that is needed
	a, b, label, index int // places; -1 for none
}

// next gives the next line that is not empty, without its end.
func (t *table) next() (string, error) {
	for {
		var line []byte
		var err error
		for more := true; more; {
			var part []byte
			part, err = t.in.ReadSlice('\n')
			line = append(line, part...)
			more = err == bufio.ErrBufferFull && len(line) <= maxLine
		}
		t.line++
		if len(line) > maxLine {
			return "", fault.New(fault.Data, "glue: %s: a line of over %d bytes%s", t.where(), maxLine, t.examples.wrongFile())
		}
		if err != nil && err != io.EOF {
			return "", fault.Wrap(fault.Storage, err, "glue: %s: cannot be read", t.where())
		}
		if len(line) == 0 {
			return "", io.EOF // without a line: empty ones end in LF
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if t.line == 1 {
			text = strings.TrimPrefix(text, byteOrderMark)
		}
		if text != "" {
			return text, nil
		}
		t.blank++
	}
}

func (t *table) where() string { return t.examples.Path + ":" + strconv.Itoa(t.line) }

// row takes the columns of a line.
func (t *table) row(fields []string) error {
	for ; t.blank > 0; t.blank-- {
		t.examples.malformed(fmt.Sprintf("line %d", t.line-t.blank), "empty")
	}
	if t.width == 0 {
		if err := t.begin(fields); err != nil || t.examples.Split.Header {
			return err
		}
	}
	where := fmt.Sprintf("line %d", t.line)
	if wrong := fmt.Sprintf("%d columns instead of %d", len(fields), t.width); len(fields) != t.width {
		if t.examples.Split.Role != Test || len(fields) < t.needed {
			t.examples.malformed(where, wrong)
			return nil
		}
		t.examples.Extra++
		t.examples.name(where, wrong)
	}
	x := Example{A: fields[t.a], Index: len(t.examples.List)}
	if t.b >= 0 {
		x.B = fields[t.b]
	}
	if t.index >= 0 {
		var err error
		if x.Index, err = strconv.Atoi(strings.TrimSpace(fields[t.index])); err != nil || x.Index < 0 {
			return fault.New(fault.Data, "glue: %s: index %s is not a number from 0%s", t.where(), quoted(fields[t.index]), t.examples.wrongFile())
		}
	}
	if t.label >= 0 {
		if err := t.examples.setLabel(&x, t.where(), fields[t.label]); err != nil {
			return err
		}
	}
	t.examples.add(where, x)
	return nil
}

// begin finds the columns with the help of the first line, the header or a row.
func (t *table) begin(fields []string) error {
	t.width = len(fields)
	split := t.examples.Split
	for _, c := range []struct {
		column Column
		what   string
		place  *int
	}{
		{split.Columns.A, "text", &t.a}, {split.Columns.B, "second text", &t.b},
		{split.Columns.Label, "label", &t.label}, {split.Columns.Index, "index", &t.index},
	} {
		place, ok := c.column.place(fields, split.Header)
		if !ok {
			return fault.New(fault.Data, "glue: %s: %d columns, and none that is %s, where the %s should be%s",
				t.where(), t.width, c.column.describe(), c.what, t.examples.wrongFile())
		}
		*c.place = place
		t.needed = max(t.needed, place+1)
	}
	if split.Header {
		return t.checkHeader(fields)
	}
	return nil
}

// checkHeader refuses a first line that is a row: it would be lost.
func (t *table) checkHeader(fields []string) error {
	var x Example
	isLabel := t.label >= 0 && t.examples.setLabel(&x, "", fields[t.label]) == nil
	isIndex := false
	if t.index >= 0 {
		_, err := strconv.Atoi(fields[t.index])
		isIndex = err == nil
	}
	if isLabel || isIndex {
		return fault.New(fault.Data, "glue: %s: the first line is a row, but it should name the columns%s", t.where(), t.examples.wrongFile())
	}
	return nil
}

// place finds a column among those of the first line: -1 for none. Not ok means that the line does not have it.
func (c Column) place(fields []string, header bool) (place int, ok bool) {
	if c == "" {
		return -1, true
	}
	if place, err := strconv.Atoi(string(c)); err == nil {
		if place < 0 {
			place += len(fields)
		}
		return place, place >= 0 && place < len(fields)
	}
	if header {
		for i, name := range fields {
			if strings.TrimSpace(name) == string(c) {
				return i, true
			}
		}
	}
	return 0, false
}

// describe names the column in a message.
func (c Column) describe() string {
	if place, err := strconv.Atoi(string(c)); err != nil {
		return "named " + strconv.Quote(string(c))
	} else if place < 0 {
		return fmt.Sprintf("number %d from the end", -place)
	} else {
		return fmt.Sprintf("number %d", place+1)
	}
}
