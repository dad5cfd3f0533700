package platform

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakePython puts a python3 on the PATH, alone, that runs the given shell script.
func fakePython(t *testing.T, script string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "python3"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder)
}

func TestFetchWithPip(t *testing.T) {
	f := newFixture(t)
	archive := wheel(t, member{"fake/fake_cpu_plugin.so", content})
	f.pin = pinOf(archive, content)
	f.pin.pip = []string{"--platform=manylinux_2_27_x86_64"}
	f.fetchers = []fetcher{{"pip", fetchPip}}
	source, arguments := filepath.Join(t.TempDir(), "fake.whl"), filepath.Join(t.TempDir(), "arguments")
	if err := os.WriteFile(source, archive, 0o644); err != nil {
		t.Fatal(err)
	}
	fakePython(t, `echo "$@" >'`+arguments+`'
while [ $# -gt 0 ]; do [ "$1" = --dest ] && dest=$2; shift; done
/bin/cp '`+source+`' "$dest/fake-1.2-py3-none-any.whl"`)
	if _, err := f.obtainQuietly(t); err != nil {
		t.Fatal(err)
	}
	said, _ := os.ReadFile(arguments)
	for _, want := range []string{"-m pip ", " download ", "--no-deps", "--only-binary=:all:", "--platform=manylinux_2_27_x86_64", "fake-plugin==1.2"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("pip was called with %q, without %q", said, want)
		}
	}
}

func TestPipFails(t *testing.T) {
	cases := []struct{ name, script, want string }{
		{"no pip", "echo '/usr/bin/python3: No module named pip' >&2; exit 1", "No module named pip"},
		{"no such version", "echo 'ERROR: No matching distribution found for fake-plugin==1.2' >&2; echo trailing; exit 1", "No matching distribution"},
		{"colours", "printf 'ERROR: \\033[31mred\\033[0m\\r alert\\n' >&2; exit 1", "ERROR: [31mred[0m alert"},
		{"nothing fetched", "exit 0", "0 wheels"},
	}
	for _, c := range cases {
		fakePython(t, c.script)
		if _, err := fetchPip(context.Background(), pinOf(nil, nil), t.TempDir()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := fetchPip(context.Background(), pinOf(nil, nil), t.TempDir()); err == nil || !strings.Contains(err.Error(), "python3") {
		t.Errorf("no python3: error %v", err)
	}
}

func TestInstallLibraries(t *testing.T) {
	f := newFixture(t)
	f.pin.libraries = []string{"nvidia-fake==1 --hash=sha256:00"}
	fakePython(t, `while [ $# -gt 0 ]; do [ "$1" = --target ] && target=$2; shift; done
/bin/mkdir -p "$target/nvidia/cuda_nvcc/bin" "$target/nvidia/cuda_nvcc/nvvm"; : >"$target/nvidia/cuda_nvcc/bin/ptxas"`)
	if _, err := f.obtainQuietly(t); err == nil || f.fetches.Load() != 0 || !strings.Contains(err.Error(), "platform install") {
		t.Errorf("error %v after %d fetches; want none and the command that fetches gigabytes", err, f.fetches.Load())
	}
	found, err := f.install(context.Background(), f.pin, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(found.Path), "nvidia", "bin", "ptxas")); err != nil {
		t.Error(err)
	}
}

func TestDownload(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/plugin.whl" {
			http.NotFound(w, r)
			return
		}
		w.Write(content)
	}))
	defer server.Close()
	target := filepath.Join(t.TempDir(), "plugin.whl")
	cases := []struct {
		name, path string
		limit      int64
		want       int // bytes written, 0 for an error
	}{
		{"whole", "/plugin.whl", int64(len(content)), len(content)},
		{"longer than it should be", "/plugin.whl", 10, 11},
		{"not there", "/other.whl", 10, 0},
	}
	for _, c := range cases {
		_, err := download(context.Background(), server.URL+c.path, target, c.limit)
		if (err == nil) != (c.want > 0) {
			t.Errorf("%s: error %v", c.name, err)
		}
		if data, _ := os.ReadFile(target); c.want > 0 && len(data) != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, len(data), c.want)
		}
	}
}
