package settings

import (
	"errors"
	"fmt"
	"strings"

	"elektron/internal/fault"
)

// Problems collects what is wrong with a configuration, so that one run shows all of it and not only the
// first. The zero value is ready to use.
type Problems struct {
	list []error
}

// mostShown bounds a message: a file with more problems than this is the wrong file.
const mostShown = 25

// problemList is the error that Problems makes; Problems.Add takes it apart again.
type problemList struct {
	list []error
}

// Error shows one problem on one line, several on a line each.
func (p *problemList) Error() string {
	if len(p.list) == 1 {
		return "configuration: " + p.list[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "configuration: %d problems:", len(p.list))
	for i, err := range p.list {
		if i == mostShown {
			fmt.Fprintf(&b, "\n  and %d more", len(p.list)-i)
			break
		}
		b.WriteString("\n  " + strings.ReplaceAll(err.Error(), "\n", "\n    "))
	}
	return b.String()
}

func (p *problemList) Unwrap() []error { return p.list }

// Add adds err; nil adds nothing, and the error of other Problems, unless something was added to its
// message, adds each of theirs.
func (p *Problems) Add(err error) {
	var several *problemList
	switch {
	case err == nil:
	case errors.As(err, &several) && err.Error() == several.Error():
		p.list = append(p.list, several.list...)
	default:
		p.list = append(p.list, err)
	}
}

// Addf adds a problem: what is wrong, where, why and what to do.
func (p *Problems) Addf(format string, args ...any) { p.Add(fmt.Errorf(format, args...)) }

// Err is nil if there are no problems, else one error that shows all of them. Its kind is the first
// problem's own, where that has one, else fault.Usage.
func (p *Problems) Err() error {
	if len(p.list) == 0 {
		return nil
	}
	kind := fault.KindOf(p.list[0])
	if kind == fault.Internal {
		kind = fault.Usage
	}
	return fault.New(kind, "%w", &problemList{list: p.list})
}
