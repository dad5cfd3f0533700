package platform

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"elektron/internal/fault"
)

// A file given with --plugin that is no plugin is refused before anything is loaded.
func TestNoPlugin(t *testing.T) {
	if runtime.GOOS != "linux" || requireXLA(CPU) != nil {
		t.Skip("files are looked into on Linux, by a binary built with cgo")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		data []byte
		want string
	}{
		{"text", content, "no shared library"},
		{"empty", nil, "no shared library"},
		{"an ELF header alone", program[:64], "no shared library"},
		{"cut off", program[:len(program)/2], "damaged"},
		{"a program", program, "does not export GetPjrtApi"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "plugin.so")
			if err := os.WriteFile(path, c.data, 0o755); err != nil {
				t.Fatal(err)
			}
			_, err := Choose(context.Background(), Options{Platform: CPU, Plugin: path, store: newFixture(t).store})
			expect(t, err, fault.Device, path, c.want)
		})
	}
	for path, want := range map[string]string{t.TempDir(): "no file", "/no/such/plugin.so": "no such file"} {
		_, err := Choose(context.Background(), Options{Platform: CPU, Plugin: path, store: newFixture(t).store})
		expect(t, err, fault.Device, path, want)
	}
}

func TestOffline(t *testing.T) {
	if requireXLA(CPU) != nil {
		t.Skip("built without cgo")
	}
	f := newFixture(t)
	_, err := Choose(context.Background(), Options{Platform: CPU, Offline: true, store: f.store})
	expect(t, err, fault.Device, "--offline", "platform install cpu", f.path(f.pin), "--plugin")
	if n := f.fetches.Load(); n != 0 {
		t.Errorf("%d fetches although offline", n)
	}
}

// auto goes on without a plugin, but not past one that was tampered with.
func TestAutoRefusesDamaged(t *testing.T) {
	if requireXLA(CPU) != nil {
		t.Skip("built without cgo")
	}
	f := installedFixture(t)
	if err := os.Truncate(f.path(f.pin), 7); err != nil {
		t.Fatal(err)
	}
	_, err := Choose(context.Background(), Options{store: f.store})
	expect(t, err, fault.Device, f.path(f.pin), "7 bytes long", "platform install cpu")
}
