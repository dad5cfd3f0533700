package platform

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

// A download that breaks off goes on where it stopped, as long as each try brings something.
func TestDownloadGoesOn(t *testing.T) {
	defer func(wait time.Duration) { retryAfter = wait }(retryAfter)
	retryAfter = time.Microsecond
	cases := []struct {
		name     string
		piece    int // bytes before the connection breaks off
		requests int
		want     string
	}{
		{"in pieces", len(content)/10 + 1, 10, ""},
		{"broken for good", 0, attempts, "answered 503"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			requests := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				if c.piece == 0 {
					http.Error(w, "busy", http.StatusServiceUnavailable)
					return
				}
				http.ServeContent(&breaking{w, c.piece}, r, "", time.Time{}, bytes.NewReader(content))
			}))
			defer server.Close()
			target := filepath.Join(t.TempDir(), "plugin.whl")
			_, err := download(context.Background(), server.URL, target, int64(len(content)))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || requests != c.requests {
				t.Errorf("%d requests, error %v; want %d and %q", requests, err, c.requests, c.want)
			}
			if got, _ := os.ReadFile(target); err == nil && !bytes.Equal(got, content) {
				t.Errorf("%d bytes that differ from the %d served", len(got), len(content))
			}
		})
	}
}

// breaking is a connection that breaks off after some bytes of the answer.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(data []byte) (int, error) {
	n := min(b.left, len(data))
	b.left -= n
	if n < len(data) {
		b.ResponseWriter.Write(data[:n])
		b.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return b.ResponseWriter.Write(data)
}
