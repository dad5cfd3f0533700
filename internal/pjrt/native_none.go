//go:build !cgo || !unix

package pjrt

import (
	"errors"
	"unsafe"
)

var errWithoutCgo = errors.New("this binary was built without cgo and cannot load plugins; build it with a C compiler and CGO_ENABLED=1, or use --platform=go")

// entryTable and loadLibrary are the first things that anybody needs of this package. So without cgo their error is
// the only one, and the rest is never called.
func entryTable(string) (*apiTable, error) { return nil, errWithoutCgo }
func loadLibrary(string) error             { return errWithoutCgo }

func invoke(uintptr, unsafe.Pointer) handle        { return 0 }
func invokeEach(uintptr, []handle) handle          { return 0 }
func invokeVoid(uintptr, unsafe.Pointer)           {}
func invokeDeleter(deleter, object handle)         {}
func makeError(handle, Code, string) handle        { return 0 }
func copyToC([]byte) handle                        { return 0 }
func freeFunction() handle                         { return 0 }
func keyValueFunctions() (get, tryGet, put handle) { return 0, 0, 0 }
