package glue

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"elektron/internal/fault"
)

// readParquet reads a file in the layout of the data set "glue" on the Hugging Face hub: texts as strings, labels as
// numbers of classes or as scores (-1 in test splits), idx. Labels may also be strings. Damage is an error of kind fault.Data.
func readParquet(e *Examples, data []byte) error {
	err := caught(func() error { return readColumns(e, data) })
	if err == nil || fault.KindOf(err) == fault.Data {
		return err
	}
	return fault.New(fault.Data, "glue: %s: not a sound Parquet file (%w); get it again", e.Path, err)
}

func readColumns(e *Examples, data []byte) error {
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return err
	}
	var columns [4][]cell
	for i, c := range []Column{e.Split.Columns.A, e.Split.Columns.B, e.Split.Columns.Label, e.Split.Columns.Index} {
		if columns[i], err = readColumn(e, file, c); err != nil {
			return err
		}
	}
	for row := range columns[0] {
		if err := e.addCells(row+1, columns, row); err != nil {
			return err
		}
	}
	return nil
}

// cell is a value of a table: a text, or a number.
type cell struct {
	text   string
	number float64
	kind   cellKind
}

type cellKind uint8

const (
	noCell cellKind = iota // null
	textCell
	numberCell
)

// readColumn reads all values of a column; nil for none.
func readColumn(e *Examples, file *parquet.File, column Column) ([]cell, error) {
	if column == "" {
		return nil, nil
	}
	leaf, ok := file.Schema().Lookup(string(column))
	if !ok || leaf.MaxRepetitionLevel > 0 {
		var names []string
		for _, path := range file.Schema().Columns() {
			names = append(names, strings.Join(path, "."))
		}
		return nil, fault.New(fault.Data, "glue: %s: no column %q (it has %s)%s", e.Path, string(column), strings.Join(names, ", "), e.wrongFile())
	}
	cells := make([]cell, 0, min(file.NumRows(), 1<<20))
	for _, group := range file.RowGroups() {
		var err error
		if cells, err = appendChunk(cells, group.ColumnChunks()[leaf.ColumnIndex]); err != nil {
			return nil, err
		}
	}
	if int64(len(cells)) != file.NumRows() {
		return nil, fmt.Errorf("column %s has %d values in %d rows", column, len(cells), file.NumRows())
	}
	return cells, nil
}

// appendChunk appends the values of a column in one row group.
func appendChunk(cells []cell, chunk parquet.ColumnChunk) ([]cell, error) {
	pages := chunk.Pages()
	defer pages.Close()
	buffer := make([]parquet.Value, 256)
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return cells, nil
		}
		if err != nil {
			return nil, err
		}
		for values := page.Values(); err != io.EOF; {
			var n int
			if n, err = values.ReadValues(buffer); err != nil && err != io.EOF {
				return nil, err
			}
			for _, v := range buffer[:n] {
				cells = append(cells, cellOf(v))
			}
		}
		parquet.Release(page)
	}
}

func cellOf(v parquet.Value) cell {
	if v.IsNull() {
		return cell{}
	}
	switch v.Kind() {
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return cell{text: string(v.ByteArray()), kind: textCell}
	case parquet.Int32:
		return cell{number: float64(v.Int32()), kind: numberCell}
	case parquet.Int64:
		return cell{number: float64(v.Int64()), kind: numberCell}
	case parquet.Float:
		return cell{number: decimal(v.Float()), kind: numberCell}
	case parquet.Double:
		return cell{number: v.Double(), kind: numberCell}
	}
	return cell{}
}

// decimal is the shortest decimal number that a float32 stands for: 3.8, not 3.799999952316284. The scores of the
// original files come back exactly.
func decimal(x float32) float64 {
	shortest, _ := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', -1, 32), 64)
	return shortest
}

// addCells takes a row: text, second text, label and index.
func (e *Examples) addCells(number int, columns [4][]cell, row int) error {
	at := func(i int) cell {
		if columns[i] == nil {
			return cell{}
		}
		return columns[i][row]
	}
	where := fmt.Sprintf("row %d", number)
	a, b, label, index := at(0), at(1), at(2), at(3)
	if a.kind != textCell || columns[1] != nil && b.kind != textCell {
		e.malformed(where, "no text")
		return nil
	}
	x := Example{A: a.text, B: b.text, Index: len(e.List)}
	if index.kind == numberCell {
		x.Index = int(index.number)
	}
	if columns[2] != nil && e.Split.Role != Test {
		if err := e.setCell(&x, e.Path+": "+where, label); err != nil {
			return err
		}
	}
	e.add(where, x)
	return nil
}

// setCell reads a label: the number of a class, or as in TSV files.
func (e *Examples) setCell(x *Example, where string, label cell) error {
	if label.kind == numberCell && !e.Task.Regression() {
		if x.Label = int(label.number); float64(x.Label) != label.number || x.Label < 0 || x.Label >= len(e.Task.Labels) {
			return fault.New(fault.Data, "glue: %s: label %v is not the number of a class, 0 to %d%s", where, label.number, len(e.Task.Labels)-1, e.wrongFile())
		}
		return nil
	}
	if label.kind == numberCell {
		label.text = strconv.FormatFloat(label.number, 'g', -1, 64)
	}
	return e.setLabel(x, where, label.text)
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
