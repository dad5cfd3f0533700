// Package fault gives every error a kind, and every kind an exit code, so that scripts that watch a
// training run can tell a typing error from a lost device without reading prose.
package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"
	"syscall"
)

// Kind says what sort of thing went wrong. It decides the exit code, nothing else.
type Kind int

// The kinds, in the order of their exit codes.
const (
	Internal    Kind = iota // a fault of elektron's own
	Usage                   // a wrong flag, argument or configuration value
	Data                    // bad input data: text, shards, vocabulary, checkpoint
	Storage                 // a file or bucket cannot be read or written
	Device                  // no such device or plugin, or it was lost
	OutOfMemory             // the program does not fit the device's memory
	Locked                  // another run uses the output directory
	DiskFull                // no space left
	Preempted               // stopped by a signal after saving; run again to go on
	Diverged                // the loss is not finite, or the run was given up
)

var exitCodes = map[Kind]int{
	Internal: 70, Usage: 2, Data: 65, Storage: 69, Device: 71,
	OutOfMemory: 72, Locked: 73, DiskFull: 74, Preempted: 75, Diverged: 76,
}

// Error is an error with a kind.
type Error struct {
	Kind  Kind
	Err   error
	Stack string // only for Internal errors caught from a panic
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind. The message says what, where, why and what to do; %w wraps a cause.
func New(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Wrap adds a prefix to err and keeps its kind where it has one; otherwise it gets the kind named here.
// A nil error stays nil.
func Wrap(kind Kind, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	if k, ok := kindOf(err); ok {
		kind = k
	}
	return &Error{Kind: kind, Err: fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)}
}

// KindOf returns the kind of err: the innermost one that was set, else what the cause itself shows
// (no space left, file errors), else Internal.
func KindOf(err error) Kind {
	if k, ok := kindOf(err); ok {
		return k
	}
	return Internal
}

func kindOf(err error) (Kind, bool) {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return DiskFull, true
	}
	var typed *Error
	if errors.As(err, &typed) {
		return typed.Kind, true
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return Storage, true
	}
	return Internal, false
}

// ExitCode is the process's exit status for err: 0 for nil, else by kind.
func ExitCode(err error) int {
	if err == nil {
		return 0
	}
	return exitCodes[KindOf(err)]
}

// Catch runs fn, which builds or runs a graph, and turns a panic (GoMLX's contract for graph-building
// functions) into an error. A device's own complaint becomes Device or OutOfMemory; anything else is
// Internal and keeps its stack.
func Catch(op string, fn func() error) (err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		cause, ok := r.(error)
		if !ok {
			cause = fmt.Errorf("%v", r)
		}
		err = &Error{Kind: deviceKind(cause), Err: fmt.Errorf("%s: %w", op, cause), Stack: string(debug.Stack())}
	}()
	if err := fn(); err != nil {
		return Wrap(deviceKind(err), err, "%s", op)
	}
	return nil
}

// deviceKind reads what a PJRT plugin said: go-xla passes its status on as text, code 8 is
// RESOURCE_EXHAUSTED.
func deviceKind(err error) Kind {
	if k, ok := kindOf(err); ok {
		return k
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "RESOURCE_EXHAUSTED"), strings.Contains(text, "code=8)"):
		return OutOfMemory
	case strings.Contains(text, "PJRT error"):
		return Device
	}
	return Internal
}
