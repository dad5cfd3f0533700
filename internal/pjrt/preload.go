package pjrt

import "elektron/internal/fault"

// Preload loads a shared library, by path or by a name that the system's search path knows, for a plugin that is loaded
// later and asks for it by its name alone. It stays loaded until the process ends.
//
// An error is of kind Device and has the dynamic linker's words, which name the file.
func Preload(library string) error {
	if err := loadLibrary(library); err != nil {
		return fault.Wrap(fault.Device, err, "loading the library")
	}
	return nil
}
