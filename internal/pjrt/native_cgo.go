//go:build cgo && unix

package pjrt

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

typedef uintptr_t elektron_function(void *);
typedef void elektron_deleter(void *);
typedef uintptr_t elektron_error(int code, const char *message, size_t size);

static inline uintptr_t elektron_call(uintptr_t function, void *arguments) {
	return ((elektron_function *)function)(arguments);
}
static inline void elektron_call_void(uintptr_t function, void *arguments) {
	((elektron_deleter *)function)(arguments);
}
static inline void elektron_delete(uintptr_t function, uintptr_t object) {
	((elektron_deleter *)function)((void *)object);
}
static inline uintptr_t elektron_make_error(uintptr_t function, int code, void *message, size_t size) {
	return ((elektron_error *)function)(code, message, size);
}
// elektron_call_each calls a function that takes one object for each of a list, in one crossing from Go to C.
static inline uintptr_t elektron_call_each(uintptr_t function, uintptr_t size, uintptr_t *objects, size_t count) {
	uintptr_t failed = 0;
	for (size_t i = 0; i < count; i++) {
		uintptr_t arguments[3] = {size, 0, objects[i]}; // objectArgs
		uintptr_t error = ((elektron_function *)function)(arguments);
		if (error != 0) failed = error;
	}
	return failed;
}
static inline void *elektron_entry(void *symbol) { return ((void *(*)(void))symbol)(); }
static inline uintptr_t elektron_free(void) { return (uintptr_t)free; }

uintptr_t elektronKeyValueGet(void *);
uintptr_t elektronKeyValueTryGet(void *);
uintptr_t elektronKeyValuePut(void *);
static inline uintptr_t elektron_get(void) { return (uintptr_t)elektronKeyValueGet; }
static inline uintptr_t elektron_try_get(void) { return (uintptr_t)elektronKeyValueTryGet; }
static inline uintptr_t elektron_put(void) { return (uintptr_t)elektronKeyValuePut; }
*/
import "C"

import (
	"errors"
	"runtime"
	"unsafe"
)

// This is all of the package that C compiles. native_none.go stands in for it where there is no C compiler.

// entryTable loads a library, for good: plugins do not bear being unloaded. Then it asks its entry point
// for the table of functions.
func entryTable(path string) (*apiTable, error) {
	runtime.LockOSThread() // dlerror is the thread's own
	defer runtime.UnlockOSThread()
	name, symbol := C.CString(path), C.CString(entryPoint)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(symbol))
	library := C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
	if library == nil {
		return nil, errors.New(C.GoString(C.dlerror()))
	}
	function := C.dlsym(library, symbol)
	if function == nil {
		return nil, errors.New(C.GoString(C.dlerror()))
	}
	return (*apiTable)(C.elektron_entry(function)), nil
}

// loadLibrary loads a library for good. What it lacks is looked for when it is first called.
func loadLibrary(name string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	if C.dlopen(text, C.RTLD_LAZY|C.RTLD_LOCAL) == nil {
		return errors.New(C.GoString(C.dlerror()))
	}
	return nil
}

// invoke calls a function of the table; it returns an error object or 0.
func invoke(function uintptr, arguments unsafe.Pointer) handle {
	return handle(C.elektron_call(C.uintptr_t(function), arguments))
}

// invokeEach calls a function of the table that takes one object for each of a list, and returns the last error.
func invokeEach(function uintptr, objects []handle) handle {
	return handle(C.elektron_call_each(C.uintptr_t(function), C.uintptr_t(structSize[objectArgs]()),
		(*C.uintptr_t)(unsafe.Pointer(unsafe.SliceData(objects))), C.size_t(len(objects))))
}

// invokeVoid calls one of the functions that return nothing.
func invokeVoid(function uintptr, arguments unsafe.Pointer) {
	C.elektron_call_void(C.uintptr_t(function), arguments)
}

// invokeDeleter calls a function that frees an object of the plugin.
func invokeDeleter(deleter, object handle) {
	C.elektron_delete(C.uintptr_t(deleter), C.uintptr_t(object))
}

// makeError lets the plugin make an error object of its own.
func makeError(function handle, code Code, message string) handle {
	text := C.CString(message)
	defer C.free(unsafe.Pointer(text))
	return handle(C.elektron_make_error(C.uintptr_t(function), C.int(code), unsafe.Pointer(text), C.size_t(len(message))))
}

// copyToC copies bytes to memory that freeFunction frees.
func copyToC(data []byte) handle { return handle(uintptr(C.CBytes(data))) }

func freeFunction() handle { return handle(C.elektron_free()) }

// keyValueFunctions are the callbacks in the form in which a plugin calls them.
func keyValueFunctions() (get, tryGet, put handle) {
	return handle(C.elektron_get()), handle(C.elektron_try_get()), handle(C.elektron_put())
}

//export elektronKeyValueGet
func elektronKeyValueGet(arguments unsafe.Pointer) C.uintptr_t {
	return C.uintptr_t(keyValueGet((*keyValueGetArgs)(arguments)))
}

//export elektronKeyValueTryGet
func elektronKeyValueTryGet(arguments unsafe.Pointer) C.uintptr_t {
	return C.uintptr_t(keyValueTryGet((*keyValueTryGetArgs)(arguments)))
}

//export elektronKeyValuePut
func elektronKeyValuePut(arguments unsafe.Pointer) C.uintptr_t {
	return C.uintptr_t(keyValuePut((*keyValuePutArgs)(arguments)))
}
