package corpus

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/parquet-go/parquet-go"

	"elektron/internal/fault"
)

// readParquet reads one column of strings, each row a document whose newlines separate sentences. Only
// that column's pages are read, one at a time.
func readParquet(p *pass) error {
	source, size, done, err := p.randomAccess()
	if err != nil {
		return err
	}
	defer done()
	column, err := p.openColumn(source, size)
	if err != nil {
		return err
	}
	defer column.close()
	for row := 1; ; {
		values, err := column.next()
		for _, v := range values {
			if err := p.emitText(row, string(p.clean(row, v.ByteArray()))); err != nil { // null has no bytes
				return err
			}
			row++
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return p.badParquet(fmt.Sprintf("after row %d", row-1), err)
		}
	}
}

func (p *pass) badParquet(where string, err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) { // the system's, not the library's
		return fault.Wrap(fault.Storage, err, "corpus: %s: cannot be read", p.file.Path)
	}
	return p.bad(": not a sound Parquet file %s (%w); get it again, or leave it out", where, err)
}

// randomAccess opens the pass's file for reading at any place. What is compressed as a whole, or comes from
// where reading must be in order, is copied to a temporary file first.
func (p *pass) randomAccess() (source io.ReaderAt, size int64, done func(), err error) {
	if _, compression := extension(p.file.Path); compression == "" {
		file, err := p.file.open(p.ctx, p.file.Path)
		if err != nil {
			return nil, 0, nil, fault.Wrap(fault.Storage, err, "corpus: cannot be opened")
		}
		if at, ok := file.(io.ReaderAt); ok {
			return at, p.file.Size, func() { file.Close() }, nil
		}
		file.Close()
	}
	stream, err := p.stream()
	if err != nil {
		return nil, 0, nil, err
	}
	defer stream.Close()
	copied, err := os.CreateTemp("", "elektron-*.parquet")
	if err != nil {
		return nil, 0, nil, fault.Wrap(fault.Storage, err, "corpus: %s: cannot be decompressed", p.file.Path)
	}
	done = func() { copied.Close(); os.Remove(copied.Name()) }
	if size, err = io.Copy(copied, stream); err != nil {
		done()
		return nil, 0, nil, p.readError(0, err)
	}
	return copied, size, done, nil
}

// parquetColumn reads the values of a column, over all row groups.
type parquetColumn struct {
	index  int
	groups []parquet.RowGroup // not yet begun
	pages  parquet.Pages      // of the current row group; nil between two
	page   parquet.Page       // nil between two
	values parquet.ValueReader
	buffer [64]parquet.Value
}

// openColumn finds the column that Options.TextField names and makes sure that it holds one string a row.
func (p *pass) openColumn(source io.ReaderAt, size int64) (*parquetColumn, error) {
	var file *parquet.File
	err := caught(func() (err error) {
		file, err = parquet.OpenFile(source, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		return err
	})
	if err != nil {
		return nil, p.badParquet("at its index", err)
	}
	name := p.options.TextField
	leaf, ok := file.Schema().Lookup(name)
	if !ok {
		return nil, p.bad(": no column %q (it has %s); name the one that holds the text with --text-field", name, columnNames(file))
	}
	if leaf.MaxRepetitionLevel > 0 || leaf.Node.Type().Kind() != parquet.ByteArray {
		return nil, p.bad(": column %q holds no strings; name the one that holds the text with --text-field", name)
	}
	return &parquetColumn{index: leaf.ColumnIndex, groups: file.RowGroups()}, nil
}

func columnNames(file *parquet.File) string {
	var names []string
	for _, path := range file.Schema().Columns() {
		names = append(names, strings.Join(path, "."))
	}
	return strings.Join(names, ", ")
}

// next gives some more values, good until the next call; io.EOF, perhaps with values, after the last.
func (c *parquetColumn) next() (values []parquet.Value, err error) {
	err = caught(func() error {
		for {
			if c.page == nil {
				if err := c.nextPage(); err != nil {
					return err
				}
			}
			n, err := c.values.ReadValues(c.buffer[:])
			if err == io.EOF && n == 0 {
				parquet.Release(c.page)
				c.page = nil
				continue
			}
			if err == io.EOF {
				err = nil // it will say so again
			}
			values = c.buffer[:n]
			return err
		}
	})
	return values, err
}

func (c *parquetColumn) nextPage() error {
	for {
		if c.pages == nil {
			if len(c.groups) == 0 {
				return io.EOF
			}
			c.pages, c.groups = c.groups[0].ColumnChunks()[c.index].Pages(), c.groups[1:]
		}
		page, err := c.pages.ReadPage()
		if err == nil {
			c.page, c.values = page, page.Values()
			return nil
		}
		if err != io.EOF {
			return err
		}
		if err := c.pages.Close(); err != nil {
			return err
		}
		c.pages = nil
	}
}

func (c *parquetColumn) close() {
	_ = caught(func() error {
		if c.page != nil {
			parquet.Release(c.page)
		}
		if c.pages != nil {
			return c.pages.Close()
		}
		return nil
	})
}

// caught runs fn and turns a panic of the Parquet library, which damaged files can cause, into an error.
func caught(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return fn()
}
