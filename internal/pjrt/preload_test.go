//go:build cgo

package pjrt

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// TestPreload loads a plugin that needs a library of which it knows the name and not the folder.
func TestPreload(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the names of libraries and the linker's words are Linux's")
	}
	folder := t.TempDir()
	write := func(name, code string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(code), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	library := compileC(t, write("library.c", "int missing(void) { return 0; }\n"), "-shared", "-fPIC", "-Wl,-soname,libelektron-preload.so.1")
	plugin := compileC(t, write("plugin.c", "int missing(void);\nlong GetPjrtApi(void) { return missing(); }\n"),
		"-shared", "-fPIC", "-Wl,--no-as-needed", library)
	if err := os.Rename(library, filepath.Join(folder, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	_, err := Load(plugin)
	if err == nil || !strings.Contains(err.Error(), "libelektron-preload.so.1") {
		t.Fatalf("without its library the plugin gives %v", err)
	}
	if err := Preload(filepath.Join(folder, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if _, err = Load(plugin); err == nil || !strings.Contains(err.Error(), "returned nothing") {
		t.Errorf("with its library loaded the plugin gives %v; want to hear of its missing table", err)
	}
	err = Preload("libelektron-none.so.7")
	if fault.KindOf(err) != fault.Device || !strings.Contains(err.Error(), "libelektron-none.so.7") {
		t.Errorf("a library that does not exist gives %v", err)
	}
}
