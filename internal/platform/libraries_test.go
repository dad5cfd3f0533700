package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// cudaFixture is a fixture whose plugin loads libraries from two wheels of their own.
type cudaFixture struct {
	*fixture
	archives map[string][]byte // by hash
	fail     string            // project of the wheel whose fetch fails
}

func newCUDAFixture(t *testing.T) *cudaFixture {
	t.Helper()
	plugin := wheel(t, member{"fake/fake_cuda_plugin.so", content})
	blas := wheel(t, member{"nvidia/__init__.py", nil}, member{"nvidia/blas/__init__.py", []byte("#")},
		member{"nvidia/blas/lib/libblas.so.1", []byte("blas")}, member{"nvidia/blas/lib/libblas.a", []byte("static")},
		member{"nvidia/blas/include/blas.h", []byte("header")}, member{"nvidia/other/lib/libother.so", []byte("not asked for")})
	tools := wheel(t, member{"nvidia/tools/nvvm/libdevice/libdevice.bc", []byte("code")}, member{"nvidia/tools/License.txt", []byte("terms")})
	p := pinOf(plugin, content)
	p.platform, p.entry, p.subfolder = GPU, "fake/fake_cuda_plugin.so", "cuda"
	p.libraries = libraries{folder: "nvidia", size: 13}
	f := &cudaFixture{archives: map[string][]byte{}}
	for name, archive := range map[string][]byte{"": plugin, "blas": blas, "tools": tools} {
		f.archives[sum(archive)] = archive
		if name != "" {
			p.libraries.wheels = append(p.libraries.wheels, pin{platform: GPU, project: "fake-" + name, version: "3",
				archiveHash: sum(archive), archiveSize: int64(len(archive)), entry: "nvidia/" + name})
		}
	}
	p.libraries.hash = sum([]byte(sum([]byte("blas")) + " 4 blas/lib/libblas.so.1\n" +
		sum([]byte("terms")) + " 5 tools/License.txt\n" + sum([]byte("code")) + " 4 tools/nvvm/libdevice/libdevice.bc\n"))
	f.fixture = newFixtureOf(t, plugin, p)
	f.fetchers = []fetcher{{"a fake", f.fetchWheel}}
	return f
}

func (f *cudaFixture) fetchWheel(_ context.Context, p pin, folder string) (string, error) {
	f.fetches.Add(1)
	if p.project == f.fail {
		return "", errors.New("connection reset")
	}
	path := filepath.Join(folder, "fake.whl")
	return path, os.WriteFile(path, f.archives[p.archiveHash], 0o644)
}

func (f *cudaFixture) installQuietly() (Plugin, error) {
	return f.install(context.Background(), f.pins[0], func(string) {})
}

func TestInstallWithLibraries(t *testing.T) {
	f := newCUDAFixture(t)
	_, err := f.obtain(context.Background(), f.pins[0], false, func(string) {})
	expect(t, err, fault.Device, "platform install gpu", "of disk")
	if n := f.fetches.Load(); n != 0 {
		t.Errorf("%d fetches without the command that fetches gigabytes", n)
	}
	installed, err := f.installQuietly()
	if err != nil {
		t.Fatal(err)
	}
	nvidia := filepath.Join(filepath.Dir(installed.Path), "..", "nvidia") // as the plugin's search path has it
	for name, want := range map[string]string{"blas/lib/libblas.so.1": "blas", "tools/nvvm/libdevice/libdevice.bc": "code", "tools/License.txt": "terms"} {
		if got, err := os.ReadFile(filepath.Join(nvidia, name)); string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"blas/lib/libblas.a", "blas/include", "blas/__init__.py", "other"} {
		if _, err := os.Stat(filepath.Join(nvidia, name)); err == nil {
			t.Errorf("%s was unpacked, which nothing needs", name)
		}
	}
	found, err := f.find(f.pins[0])
	if err != nil || found != installed || f.state(f.pins[0]) != "installed, hash ok" {
		t.Errorf("found %+v, %v, %s; want what was installed", found, err, f.state(f.pins[0]))
	}
	if left, _ := filepath.Glob(filepath.Join(f.folder, ".install-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Every start looks at the files of the libraries, and platform list and install read them.
func TestDamagedLibraries(t *testing.T) {
	cases := []struct {
		name, file string
		damage     func(path string) error
		quick      bool // seen at every start
		want       string
	}{
		{"missing", "blas/lib/libblas.so.1", os.Remove, true, "is missing"},
		{"cut off", "blas/lib/libblas.so.1", func(path string) error { return os.Truncate(path, 2) }, true, "2 bytes long, not 4"},
		{"changed", "tools/nvvm/libdevice/libdevice.bc", func(path string) error { return os.WriteFile(path, []byte("edoc"), 0o644) }, false, "has SHA-256"},
		{"list changed", fileList, func(path string) error { return os.WriteFile(path, []byte("a list"), 0o644) }, true, "has SHA-256"},
		{"list missing", fileList, os.Remove, true, "is missing"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newCUDAFixture(t)
			if _, err := f.installQuietly(); err != nil {
				t.Fatal(err)
			}
			p := f.pins[0]
			path := filepath.Join(f.libraryFolder(p), c.file)
			if err := c.damage(path); err != nil {
				t.Fatal(err)
			}
			_, err := f.verify(p)
			expect(t, err, fault.Device, c.want, path, "platform install gpu")
			if _, err := f.find(p); (err != nil) != c.quick {
				t.Errorf("a start says %v", err)
			}
			if state := f.state(p); state != "DAMAGED, hash wrong" {
				t.Errorf("state %q", state)
			}
			if _, err := f.installQuietly(); err != nil || f.state(p) != "installed, hash ok" {
				t.Errorf("installed again: %v, %s", err, f.state(p))
			}
		})
	}
}

// An installation that broke off fetches only what is missing.
func TestInstallGoesOn(t *testing.T) {
	f := newCUDAFixture(t)
	f.fail = f.pins[0].libraries.wheels[1].project
	_, err := f.installQuietly()
	expect(t, err, fault.Device, "connection reset", f.fail+" 3", "goes on")
	if _, err := os.Stat(f.path(f.pins[0])); err == nil {
		t.Error("the plugin was installed without its libraries")
	}
	f.fail = ""
	before := f.fetches.Load()
	if _, err := f.installQuietly(); err != nil || f.fetches.Load()-before != 2 {
		t.Errorf("%v after %d more fetches, want the second library and the plugin", err, f.fetches.Load()-before)
	}
}

func TestBadLibraries(t *testing.T) {
	outside := wheel(t, member{"nvidia/blas/../../../blas.so", content})
	other := wheel(t, member{"nvidia/other/lib/libother.so", content})
	swap := func(archive []byte) func(f *cudaFixture) {
		return func(f *cudaFixture) {
			w := &f.pins[0].libraries.wheels[0]
			w.archiveHash, w.archiveSize = sum(archive), int64(len(archive))
			f.archives[w.archiveHash] = archive
			w.entry = "nvidia/blas"
		}
	}
	cases := []struct {
		name  string
		spoil func(f *cudaFixture)
		want  string
	}{
		{"wrong archive", func(f *cudaFixture) { f.pins[0].libraries.wheels[0].archiveHash = sum([]byte("another")) }, "not the pinned " + sum([]byte("another"))},
		{"another folder", swap(other), "does not hold the folder nvidia/blas"},
		{"a file outside", swap(outside), "outside of its folder"},
		{"other files", func(f *cudaFixture) { f.pins[0].libraries.hash = sum(nil) }, "thrown away"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newCUDAFixture(t)
			c.spoil(f)
			_, err := f.installQuietly()
			expect(t, err, fault.Device, c.want)
			if _, err := os.Stat(f.path(f.pins[0])); err == nil {
				t.Error("the plugin was installed all the same")
			}
		})
	}
}

func TestNoSpace(t *testing.T) {
	f := newCUDAFixture(t)
	f.space = func(string) (int64, bool) { return f.pins[0].disk(), true }
	_, err := f.installQuietly()
	expect(t, err, fault.DiskFull, "0 MB free", f.folder, "XDG_CACHE_HOME")
	if n := f.fetches.Load(); n != 0 {
		t.Errorf("%d fetches of what the disk cannot hold", n)
	}
	f.space = func(string) (int64, bool) { return 0, false } // nobody knows
	if _, err := f.installQuietly(); err != nil {
		t.Error(err)
	}
}

// Pins are written by hand: each names a whole SHA-256, a size and what to take.
func TestPinsAreWhole(t *testing.T) {
	whole := func(hash string) bool { return len(hash) == 64 && strings.Trim(hash, "0123456789abcdef") == "" }
	for _, p := range linuxPins {
		if !whole(p.hash) || !whole(p.archiveHash) || p.size <= p.archiveSize || p.libraries.any() && !whole(p.libraries.hash) {
			t.Errorf("the pin of %s is incomplete: %+v", p, p)
		}
		for _, w := range p.libraries.wheels {
			if !whole(w.archiveHash) || w.archiveSize == 0 || filepath.Dir(w.entry) != p.libraries.folder || len(w.pip) == 0 {
				t.Errorf("the pin of %s is incomplete: %+v", w, w)
			}
		}
	}
}
