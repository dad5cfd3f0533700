package pjrt

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"elektron/internal/fault"
)

// Code says what sort of error a plugin reports, in the numbers that Google's libraries share.
type Code int

// The codes.
const (
	OK Code = iota
	Cancelled
	Unknown
	InvalidArgument
	DeadlineExceeded
	NotFound
	AlreadyExists
	PermissionDenied
	ResourceExhausted // out of memory, above all
	FailedPrecondition
	Aborted
	OutOfRange
	Unimplemented
	Internal
	Unavailable
	DataLoss
	Unauthenticated
)

var codeNames = [...]string{"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
	"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
	"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"}

func (c Code) String() string {
	if c < 0 || int(c) >= len(codeNames) {
		return fmt.Sprintf("code %d", int(c))
	}
	return codeNames[c]
}

// Error is what a plugin said, in its own words. The errors of this package wrap it and have a fault.Kind.
type Error struct {
	Code     Code
	Function string // the function of the C ABI, such as PJRT_Client_Compile
	Message  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.Function, e.Code, e.Message)
}

// CodeOf is the plugin's code for err, or OK if err did not come from a plugin.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return OK
}

// wrap says what was tried when a plugin complained. Its memory being full has a kind of its own; anything
// else is of the kind given.
func wrap(kind fault.Kind, err error, format string, args ...any) error {
	if CodeOf(err) == ResourceExhausted {
		kind = fault.OutOfMemory
	}
	return fault.Wrap(kind, err, format, args...)
}

// take turns an error object into an error and frees it; 0 is no error.
func (p *Plugin) take(object handle, f function) error {
	if object == 0 {
		return nil
	}
	defer p.discard(object)
	message := &textArgs{head: head{structSize: structSize[textArgs]()}, object: object}
	invokeVoid(p.functions[fnErrorMessage.slot], unsafe.Pointer(message))
	code := &integerArgs{head: head{structSize: structSize[integerArgs]()}, object: object}
	if failed := invoke(p.functions[fnErrorGetCode.slot], unsafe.Pointer(code)); failed != 0 {
		p.discard(failed)
		code.value = int32(Unknown)
	}
	return &Error{Code: Code(code.value), Function: f.name, Message: strings.TrimSpace(text(message.text, message.size))}
}

// discard frees an error object.
func (p *Plugin) discard(object handle) {
	args := &objectArgs{head: head{structSize: structSize[objectArgs]()}, object: object}
	invokeVoid(p.functions[fnErrorDestroy.slot], unsafe.Pointer(args))
}

// text copies a text of the plugin's.
func text(start *byte, size uintptr) string {
	if start == nil || size == 0 {
		return ""
	}
	return strings.Clone(unsafe.String(start, size))
}
