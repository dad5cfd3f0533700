package platform

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// content is what the fake plugin holds: enough for hashes, nothing that could be loaded.
var content = bytes.Repeat([]byte("not a plugin\n"), 1000)

type member struct {
	name string
	data []byte
}

// wheel builds an archive in memory.
func wheel(t *testing.T, members ...member) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := zip.NewWriter(&buffer)
	for _, m := range members {
		entry, err := w.Create(m.name)
		if err == nil {
			_, err = entry.Write(m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func sum(data []byte) string {
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}

// pinOf pins an archive and the plugin in it.
func pinOf(archive, plugin []byte) pin {
	return pin{
		platform: CPU, project: "fake-plugin", version: "1.2",
		archiveHash: sum(archive), archiveSize: int64(len(archive)),
		entry: "fake/fake_cpu_plugin.so", hash: sum(plugin), size: int64(len(plugin)),
	}
}

// fixture is a plugin cache in a temporary folder with one pinned plugin and a fetcher that counts.
type fixture struct {
	*store
	pin     pin
	fetches atomic.Int32
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	archive := wheel(t, member{"fake/fake_cpu_plugin.so", content}, member{"fake/__init__.py", nil})
	return newFixtureOf(t, archive, pinOf(archive, content))
}

func newFixtureOf(t *testing.T, archive []byte, p pin) *fixture {
	t.Helper()
	f := &fixture{pin: p}
	fetch := func(_ context.Context, _ pin, folder string) (string, error) {
		f.fetches.Add(1)
		path := filepath.Join(folder, "fake.whl")
		return path, os.WriteFile(path, archive, 0o644)
	}
	f.store = &store{
		folder: filepath.Join(t.TempDir(), "plugins"), pins: []pin{p},
		fetchers: []fetcher{{"a fake", fetch}}, host: host{root: t.TempDir()}, space: freeSpace,
	}
	return f
}

func (f *fixture) obtainQuietly(t *testing.T) (Plugin, error) {
	t.Helper()
	return f.obtain(context.Background(), f.pin, false, func(string) {})
}

// installed is a fixture whose plugin is installed already and whose network is gone.
func installedFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	if _, err := f.obtainQuietly(t); err != nil {
		t.Fatal(err)
	}
	f.fetchers = []fetcher{{"no network", func(context.Context, pin, string) (string, error) {
		t.Error("the network was touched")
		return "", context.DeadlineExceeded
	}}}
	return f
}
