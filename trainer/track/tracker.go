package track

import (
	"errors"
	"strings"
	"unicode"
)

// Tracker takes metrics as they come. Steps never go down within one Tracker.
type Tracker interface {
	// Log takes one line of metrics.
	Log(Metrics) error
	// Finish writes what is left and closes. It is called once, also after an error.
	Finish() error
}

// All is several trackers as one. Each gets every line, whatever the others say.
type All []Tracker

// Log passes m to every tracker.
func (all All) Log(m Metrics) error {
	var problems []error
	for _, tracker := range all {
		problems = append(problems, tracker.Log(m))
	}
	return errors.Join(problems...)
}

// Finish finishes every tracker.
func (all All) Finish() error {
	var problems []error
	for _, tracker := range all {
		problems = append(problems, tracker.Finish())
	}
	return errors.Join(problems...)
}

// Printable makes a text from outside (a file name, a token, an error's text) safe for a terminal or a log: one
// line, no control characters, none that reverses the direction of writing or hides.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, text)
}
