//go:build cgo

package pjrt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"elektron/internal/fault"
)

// TestLoadNoPlugin gives Load all sorts of files that are no plugin of this ABI.
func TestLoadNoPlugin(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux's libraries are looked into before they are loaded")
	}
	folder := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, data, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	library := file("library.c", []byte("int answer(void) { return 42; }\n"))
	unresolved := file("unresolved.c", []byte("int missing(void);\nlong GetPjrtApi(void) { return missing(); }\n"))
	program := file("program.c", []byte("int main(void) { return 0; }\n"))
	sound, err := os.ReadFile(fakePlugin(t, "-DMAJOR=0", "-DMINOR=104"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		words      []string
	}{
		{"missing", filepath.Join(folder, "missing.so"), []string{"no such file", "give the path of a PJRT plugin"}},
		{"a folder", folder, []string{"no file"}},
		{"empty", file("empty.so", nil), []string{"no shared library"}},
		{"text", file("text.so", []byte("#!/bin/sh\necho plugin\n")), []string{"no shared library"}},
		{"the head of a library", file("head.so", sound[:80]), []string{"damaged"}},
		{"cut off", file("cut.so", sound[:len(sound)/2]), []string{"cut off"}},
		{"another library", compileC(t, library, "-shared", "-fPIC"), []string{"does not export GetPjrtApi"}},
		{"a program", compileC(t, program), []string{"does not export GetPjrtApi"}},
		{"a library that lacks another", compileC(t, unresolved, "-shared", "-fPIC"), []string{"cannot be loaded", "undefined symbol: missing"}},
		{"another major version", fakePlugin(t, "-DMAJOR=1", "-DMINOR=3"), []string{"PJRT API 1.3", "this binary 0.x", "use a plugin built for version 0"}},
		{"an old minor version", fakePlugin(t, "-DMAJOR=0", "-DMINOR=54"), []string{"PJRT API 0.54", "needs 0.61 or later", "newer plugin"}},
		{"no table", fakePlugin(t, "-DMAJOR=0", "-DMINOR=104", "-DNOTHING"), []string{"returned nothing"}},
		{"an empty table", fakePlugin(t, "-DMAJOR=0", "-DMINOR=104", "-DTABLE=0"), []string{"table of functions", "broken"}},
		{"a table without initialisation", fakePlugin(t, "-DMAJOR=0", "-DMINOR=104", "-DTABLE=3"), []string{"lacks PJRT_Plugin_Initialize", "newer plugin"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.path)
			if err == nil || fault.KindOf(err) != fault.Device {
				t.Fatalf("got %v", err)
			}
			for _, word := range append(c.words, c.path) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		})
	}
}

// TestLoadOnce: the same plugin by another name is not initialised again (the fake one would refuse).
func TestLoadOnce(t *testing.T) {
	path := fakePlugin(t, "-DMAJOR=0", "-DMINOR=104")
	first, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.so")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	second, err := Load(link)
	if err != nil || second != first {
		t.Errorf("loaded again: %v, %v", second, err)
	}
	if first.Version() != "0.104" {
		t.Errorf("version %s", first.Version())
	}
	if _, err := first.Attributes(); err == nil || !strings.Contains(err.Error(), "lacks PJRT_Plugin_Attributes") {
		t.Errorf("a function that the plugin leaves out: %v", err)
	}
}

// TestErrorsAndOptions: what the plugin says reaches the user, with a kind by its code, and what the user says
// reaches the plugin.
func TestErrorsAndOptions(t *testing.T) {
	plugin, err := Load(fakePlugin(t, "-DMAJOR=0", "-DMINOR=104"))
	if err != nil {
		t.Fatal(err)
	}
	options := Options{"string": "text", "empty": "", "int": 7, "int64": int64(-1), "list": []int64{1, -2, 3}, "float32": float32(0.5), "float64": 0.25, "yes": true, "no": false}
	want := "PJRT_Client_Create: %s: options: code=%d empty=(0) float32=0.5 float64=0.25 int=7 int64=-1 list=1;-2;3; no=false string=text(4) yes=true"
	for code, kind := range map[Code]fault.Kind{
		ResourceExhausted: fault.OutOfMemory, InvalidArgument: fault.Device, Unavailable: fault.Device, Unauthenticated: fault.Device, Code(99): fault.Device,
	} {
		options["code"] = int64(code)
		_, err := plugin.NewClient(ClientOptions{Options: options})
		if err == nil || fault.KindOf(err) != kind || CodeOf(err) != code || !strings.Contains(err.Error(), fmt.Sprintf(want, code, code)) {
			t.Errorf("code %s: %v of kind %d\nwant %s", code, err, fault.KindOf(err), fmt.Sprintf(want, code, code))
		}
	}
	_, err = plugin.NewClient(ClientOptions{Options: Options{"bad": struct{}{}}})
	if err == nil || fault.KindOf(err) != fault.Internal || !strings.Contains(err.Error(), "option bad: a plugin takes no struct {}") {
		t.Errorf("an option of no type of the ABI: %v", err)
	}
	if live := Live(); live.Clients != 0 {
		t.Errorf("clients that did not open count as open: %+v", live)
	}
}

// table is a key-value store in memory. What is put before Get times out is found.
type table struct {
	sync.Mutex
	values  map[string]string
	timeout time.Duration
	fails   error
}

func (s *table) Get(key string, timeout time.Duration) ([]byte, error) {
	s.Lock()
	defer s.Unlock()
	s.timeout = timeout
	value, found := s.values[key]
	if !found {
		return nil, fmt.Errorf("waiting for %s: %w", key, context.DeadlineExceeded)
	}
	return []byte(value), nil
}

func (s *table) TryGet(key string) ([]byte, error) {
	s.Lock()
	defer s.Unlock()
	value, found := s.values[key]
	if !found {
		return nil, fmt.Errorf("%s: %w", key, ErrKeyNotFound)
	}
	return []byte(value), nil
}

func (s *table) Put(key string, value []byte) error {
	s.Lock()
	defer s.Unlock()
	if s.fails != nil {
		return s.fails
	}
	if s.values == nil {
		panic("no map")
	}
	s.values[key] = string(bytes.Clone(value))
	return nil
}

func TestKeyValueStore(t *testing.T) {
	plugin, err := Load(fakePlugin(t, "-DMAJOR=0", "-DMINOR=104"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		store *table
		want  string
	}{
		{"found", &table{values: map[string]string{"to": "a\tvalue", "maybe": "yes"}}, "options: put: get:a\tvalue try:yes"},
		{"empty values", &table{values: map[string]string{"to": "", "maybe": ""}}, "options: put: get: try:"},
		{"missing", &table{values: map[string]string{}}, "put: get:error 4: waiting for to: context deadline exceeded try:error 5: maybe: no such key"},
		{"failing", &table{values: map[string]string{"to": "x", "maybe": "y"}, fails: errors.New("the network is down")}, "put:error 13: the network is down get:x try:y"},
		{"panicking", &table{}, "put:error 13: the key-value store panicked: no map get:error 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := plugin.NewClient(ClientOptions{Store: c.store})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
			if c.store.timeout != 1500*time.Millisecond {
				t.Errorf("timeout %s", c.store.timeout)
			}
			if c.store.fails == nil && c.store.values != nil && c.store.values["from"] != "a plugin" {
				t.Errorf("the plugin put %q", c.store.values["from"])
			}
		})
	}
}

func TestTopologyNames(t *testing.T) {
	for name, sound := range map[string]bool{
		"v5e:2x2": true, "v4:2x2x4": true, "v5e:16x16": true, "TPU7x:2x2x1": true, "nonsense": true, "v5litepod-4": true, "v5e:2x2_twisted": true,
		"": false, "v5e:0x2": false, "v5e:2x0": false, "v4:2x2x0": false, "v5e:-1x1": false, "v5e:99999x99999": false, "v5e:65537": false, "v5e:99999999999999999999x1": true,
	} {
		if err := checkTopologyName(name); (err == nil) != sound || err != nil && fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", name, err)
		}
	}
}
