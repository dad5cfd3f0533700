package glue

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"elektron/internal/fault"
)

// Example is a row of a task's file.
type Example struct {
	A, B  string  // B is "" for single texts
	Label int     // number of the class; 0 in test splits
	Score float64 // what a regression task is to predict; 0 in test splits
	Index int     // by which the server knows the example; where the file has none, its number from 0
}

// Examples are those of a split, with what reading found.
type Examples struct {
	Task  *Task
	Split Split
	Path  string // the file, or the first of several
	List  []Example

	Malformed      int      // rows left out because they do not have the columns of the others
	Extra          int      // test rows with more columns than the header, read all the same
	EmptyTexts     int      // texts without a character
	MalformedRows  []string // where the first of them are, and what is wrong
	firstEmptyText string
}

// shownRows is how many malformed rows are named.
const shownRows = 5

// maxMalformedShare of the rows may be malformed; with more it is not the file that it should be.
const maxMalformedShare = 0.1

// Warnings says in one sentence each what a user should know about a split: rows left out, empty texts, and another
// number of rows than the official file's. A complete, sound file gives none.
func (e *Examples) Warnings() []string {
	var lines []string
	if e.Malformed > 0 {
		lines = append(lines, fmt.Sprintf("%s: %d of %d rows are malformed and were left out (%s)",
			e.Path, e.Malformed, e.Malformed+len(e.List), strings.Join(e.MalformedRows, "; ")))
	}
	if e.Extra > 0 {
		lines = append(lines, fmt.Sprintf("%s: %d test rows have too many columns; they were read as far as needed (%s)",
			e.Path, e.Extra, strings.Join(e.MalformedRows, "; ")))
	}
	if e.EmptyTexts > 0 {
		lines = append(lines, fmt.Sprintf("%s: %d texts are empty (first in %s)", e.Path, e.EmptyTexts, e.firstEmptyText))
	}
	if e.Split.Rows > 0 && len(e.List) != e.Split.Rows {
		lines = append(lines, fmt.Sprintf("%s: %d rows; the official file has %d", e.Path, len(e.List), e.Split.Rows))
	}
	return lines
}

// DoubleUnordered gives the examples and behind them each with its texts swapped, for tasks where the order of the
// texts does not matter (the official code's double_unordered).
func DoubleUnordered(examples []Example) []Example {
	doubled := slices.Clone(examples)
	for _, e := range examples {
		e.A, e.B = e.B, e.A
		doubled = append(doubled, e)
	}
	return doubled
}

// malformed notes a row that is left out.
func (e *Examples) malformed(where, why string) {
	e.Malformed++
	e.name(where, why)
}

func (e *Examples) name(where, why string) {
	if len(e.MalformedRows) < shownRows {
		e.MalformedRows = append(e.MalformedRows, where+": "+why)
	}
}

// add checks and keeps an example whose row is sound.
func (e *Examples) add(where string, x Example) {
	for i, text := range []string{x.A, x.B} {
		if text == "" && (i == 0 || e.Split.Columns.B != "") {
			if e.EmptyTexts++; e.EmptyTexts == 1 {
				e.firstEmptyText = where
			}
		}
	}
	e.List = append(e.List, x)
}

// setLabel reads a label as it stands in a table.
func (e *Examples) setLabel(x *Example, where, text string) error {
	text = strings.TrimSpace(text)
	if e.Task.Regression() {
		score, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(score) || score < e.Task.Low || score > e.Task.High {
			return fault.New(fault.Data, "glue: %s: score %s is not a number from %g to %g%s", where, quoted(text), e.Task.Low, e.Task.High, e.wrongFile())
		}
		x.Score = score
		return nil
	}
	if x.Label = slices.Index(e.Task.Labels, text); x.Label < 0 {
		return fault.New(fault.Data, "glue: %s: label %s is not one of %s%s", where, quoted(text), strings.Join(e.Task.Labels, ", "), e.wrongFile())
	}
	return nil
}

func (e *Examples) wrongFile() string {
	return fmt.Sprintf("; is this the %s file of %s, complete and unchanged?", e.Split.Name, e.Task.Title)
}

// check judges the whole split once all rows are read. In test splits every row counts: the server wants them all.
func (e *Examples) check() error {
	if rows := len(e.List) + e.Malformed; e.Malformed > 0 && (e.Split.Role == Test || float64(e.Malformed) > maxMalformedShare*float64(rows)) {
		return fault.New(fault.Data, "glue: %s: %d of %d rows are malformed (%s)%s", e.Path, e.Malformed, rows, strings.Join(e.MalformedRows, "; "), e.wrongFile())
	}
	if len(e.List) == 0 {
		return fault.New(fault.Data, "glue: %s: no rows%s", e.Path, e.wrongFile())
	}
	seen := make(map[int]bool, len(e.List))
	for i, x := range e.List {
		if e.Split.Role == Test && seen[x.Index] {
			return fault.New(fault.Data, "glue: %s: row %d: index %d is there twice; the server tells examples apart by it%s", e.Path, i+1, x.Index, e.wrongFile())
		}
		seen[x.Index] = true
	}
	return nil
}

// quoted shows a text of a file, cut to a length that a message can bear.
func quoted(text string) string {
	const most = 60
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}
