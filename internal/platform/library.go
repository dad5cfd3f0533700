package platform

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
)

// entryPoint is the one function that every PJRT plugin exports.
const entryPoint = "GetPjrtApi"

// checkLibrary looks at a file before it is loaded: the dynamic linker's own words on a file that is no
// library are hard to read, and a library cut off in the middle would end the process with SIGBUS. Only
// Linux's format is looked into; elsewhere the linker decides.
func checkLibrary(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no such file; give the path of a PJRT plugin, or leave --plugin out to use the pinned one")
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("this is no file; give the path of a PJRT plugin, such as pjrt_c_api_cpu_plugin.so")
	}
	if runtime.GOOS != "linux" {
		return nil
	}
	library, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("this is no shared library, or a damaged one: %w; give the path of a PJRT plugin", err)
	}
	defer library.Close()
	for _, segment := range library.Progs {
		if end := segment.Off + segment.Filesz; segment.Filesz > 0 && end > uint64(info.Size()) {
			return fmt.Errorf("the file is cut off: %d bytes of at least %d; fetch it again", info.Size(), end)
		}
	}
	if !exportsEntryPoint(library) {
		return fmt.Errorf("this is no PJRT plugin: it does not export %s", entryPoint)
	}
	return nil
}

func exportsEntryPoint(library *elf.File) bool {
	symbols, err := library.DynamicSymbols()
	if err != nil {
		return false
	}
	for _, s := range symbols {
		if s.Name == entryPoint && s.Section != elf.SHN_UNDEF {
			return true
		}
	}
	return false
}
