package pjrt

import (
	"reflect"
	"runtime"
	"unsafe"

	"elektron/internal/fault"
)

// call calls a function of the table and turns its complaint into an *Error. Pointers to Go memory in args
// must be pinned until the plugin no longer needs them.
func call[T any](p *Plugin, f function, args *T) error {
	if f.slot >= len(p.functions) || p.functions[f.slot] == 0 {
		return fault.New(fault.Device, "the plugin %s (PJRT API %s) lacks %s; use a newer plugin", p.Path, p.Version(), f.name)
	}
	(*head)(unsafe.Pointer(args)).structSize = structSize[T]()
	return p.take(invoke(p.functions[f.slot], unsafe.Pointer(args)), f)
}

// structSize is the size that the ABI gives a struct: up to the end of its last field, without padding.
func structSize[T any]() uintptr {
	t := reflect.TypeFor[T]()
	last := t.Field(t.NumField() - 1)
	return last.Offset + last.Type.Size()
}

// The calls that many functions share.

func (p *Plugin) destroy(f function, object handle) {
	if object != 0 {
		call(p, f, &objectArgs{object: object}) // what cannot be freed, nobody can do anything about
	}
}

func (p *Plugin) text(f function, object handle) (string, error) {
	args := &textArgs{object: object}
	err := call(p, f, args)
	return text(args.text, args.size), err
}

func (p *Plugin) integer(f function, object handle) (int, error) {
	args := &integerArgs{object: object}
	err := call(p, f, args)
	return int(args.value), err
}

func (p *Plugin) flag(f function, object handle) (bool, error) {
	args := &flagArgs{object: object}
	err := call(p, f, args)
	return args.value, err
}

func (p *Plugin) count(f function, object handle) (int, error) {
	args := &countArgs{object: object}
	err := call(p, f, args)
	return int(args.value), err
}

func (p *Plugin) related(f function, object handle) (handle, error) {
	args := &relatedArgs{object: object}
	err := call(p, f, args)
	return args.related, err
}

func (p *Plugin) list(f function, object handle) ([]handle, error) {
	args := &listArgs{object: object}
	err := call(p, f, args)
	return clone(args.list, args.count), err
}

// clone copies a list of the plugin's.
func clone[T any](start *T, count uintptr) []T {
	if start == nil || count == 0 {
		return nil
	}
	return append([]T(nil), unsafe.Slice(start, count)...)
}

// pinner lends Go memory to the plugin.
type pinner struct{ runtime.Pinner }

// bytes lends a slice; it must not be changed while the plugin reads it.
func (p *pinner) bytes(data []byte) handle { return lend(p, data) }

// text lends a string.
func (p *pinner) text(s string) handle {
	if s == "" {
		return 0
	}
	start := unsafe.StringData(s)
	p.Pin(start)
	return handle(uintptr(unsafe.Pointer(start)))
}

// lend pins the elements of a slice and gives their address.
func lend[T any](p *pinner, list []T) handle {
	if len(list) == 0 {
		return 0
	}
	start := unsafe.SliceData(list)
	p.Pin(start)
	return handle(uintptr(unsafe.Pointer(start)))
}

// address pins a struct and gives its address.
func address[T any](p *pinner, object *T) handle {
	p.Pin(object)
	return handle(uintptr(unsafe.Pointer(object)))
}
