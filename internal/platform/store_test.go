package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"elektron/internal/fault"
)

func TestInstallThenFind(t *testing.T) {
	f := newFixture(t)
	first, err := f.obtainQuietly(t)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(first.Path); err != nil || sum(data) != f.pin.hash || first.Hash != f.pin.hash {
		t.Errorf("installed %+v (%v), want the pinned file", first, err)
	}
	second, err := f.obtainQuietly(t)
	if err != nil || second != first || f.fetches.Load() != 1 {
		t.Errorf("second time: %+v, %v after %d fetches; want the same plugin after one", second, err, f.fetches.Load())
	}
	left, _ := filepath.Glob(filepath.Join(f.folder, ".install-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A plugin that is not what was installed is refused with its path and the command that replaces it, and
// nothing is fetched until the user says so.
func TestDamagedPlugin(t *testing.T) {
	later := time.Now().Add(time.Hour)
	cases := []struct {
		name   string
		damage func(path string) error
		want   string
	}{
		{"truncated", func(path string) error { return os.Truncate(path, 100) }, "100 bytes long"},
		{"empty", func(path string) error { return os.Truncate(path, 0) }, "0 bytes long"},
		{"one byte changed", func(path string) error {
			changed := append([]byte{'N'}, content[1:]...)
			return errors.Join(os.WriteFile(path, changed, 0o755), os.Chtimes(path, later, later))
		}, "has SHA-256"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := installedFixture(t)
			if err := c.damage(f.path(f.pin)); err != nil {
				t.Fatal(err)
			}
			_, err := f.obtainQuietly(t)
			if fault.KindOf(err) != fault.Device {
				t.Fatalf("error %v, want one of kind Device", err)
			}
			for _, want := range []string{c.want, f.path(f.pin), "platform install cpu"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestInstallReplacesDamaged(t *testing.T) {
	f := newFixture(t)
	if _, err := f.obtainQuietly(t); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(f.path(f.pin), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := f.install(context.Background(), f.pin, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.verify(f.pin); err != nil {
		t.Errorf("after installing again: %v", err)
	}
}

// A file that was only touched or copied is hashed once more, and the stamp renewed.
func TestTouchedPlugin(t *testing.T) {
	f := installedFixture(t)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(f.path(f.pin), later, later); err != nil {
		t.Fatal(err)
	}
	if _, err := f.obtainQuietly(t); err != nil {
		t.Fatal(err)
	}
	then, err := readStamp(f.path(f.pin))
	if now, _ := stampOf(f.path(f.pin), f.pin.hash); err != nil || then != now {
		t.Errorf("stamp %+v, %v; want %+v", then, err, now)
	}
}

func TestBadArchive(t *testing.T) {
	good := wheel(t, member{"fake/fake_cpu_plugin.so", content})
	other := wheel(t, member{"fake/other.so", content})
	twice := wheel(t, member{"fake/fake_cpu_plugin.so", content}, member{"fake/fake_cpu_plugin.so", content})
	longer := wheel(t, member{"fake/fake_cpu_plugin.so", append(content[:len(content):len(content)], '!')})
	outside := wheel(t, member{"../fake_cpu_plugin.so", content})
	cases := []struct {
		name    string
		archive []byte
		pin     pin
		want    string
	}{
		{"wrong archive hash", good, pinOf(other, content), "not the pinned " + sum(other)},
		{"truncated archive", good[:len(good)/2], pinOf(good, content), "not the pinned " + sum(good)},
		{"no archive", content, pinOf(content, content), "zip"},
		{"entry missing", other, pinOf(other, content), "does not hold"},
		{"entry twice", twice, pinOf(twice, content), "twice"},
		{"entry outside", outside, pinOf(outside, content), "does not hold"},
		{"wrong plugin hash", good, pinOf(good, []byte(strings.Repeat("x", len(content)))), "not"},
		{"plugin too long", longer, pinOf(longer, content), "not"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixtureOf(t, c.archive, c.pin)
			_, err := f.obtainQuietly(t)
			if fault.KindOf(err) != fault.Device || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want kind Device and %q", err, c.want)
			}
			if _, err := os.Stat(f.path(f.pin)); err == nil {
				t.Error("a file was installed all the same")
			}
		})
	}
}

func TestEveryFetcherFails(t *testing.T) {
	f := newFixture(t)
	failing := func(text string) func(context.Context, pin, string) (string, error) {
		return func(context.Context, pin, string) (string, error) { return "", errors.New(text) }
	}
	f.fetchers = []fetcher{{"pip", failing("No module named pip")}, {"the index", failing("no route to host")}}
	_, err := f.obtainQuietly(t)
	if fault.KindOf(err) != fault.Device {
		t.Fatalf("error %v, want kind Device", err)
	}
	for _, want := range []string{"pip: No module named pip", "the index: no route to host", f.path(f.pin), "--plugin", "--platform=go"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestSecondFetcherHelps(t *testing.T) {
	f := newFixture(t)
	broken := fetcher{"pip", func(context.Context, pin, string) (string, error) { return "", errors.New("no pip") }}
	f.fetchers = append([]fetcher{broken}, f.fetchers...)
	if _, err := f.obtainQuietly(t); err != nil {
		t.Error(err)
	}
}

// Several installations at once, as several processes would do them: one fetches, all get the plugin.
func TestConcurrentInstalls(t *testing.T) {
	f := newFixture(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if found, err := f.obtain(context.Background(), f.pin, false, func(string) {}); err != nil || found.Hash != f.pin.hash {
				t.Errorf("got %+v, %v", found, err)
			}
		})
	}
	group.Wait()
	if n := f.fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

func TestCancelledInstall(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(context.Background())
	f.fetchers = []fetcher{{"slow", func(ctx context.Context, _ pin, _ string) (string, error) {
		cancel()
		return "", ctx.Err()
	}}}
	if _, err := f.obtain(ctx, f.pin, false, func(string) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

// What a killed installation left is cleared away by the next one.
func TestLeftoversAreCleared(t *testing.T) {
	f := newFixture(t)
	old := filepath.Join(f.folder, ".install-"+f.pin.folder()+"-123")
	if err := os.MkdirAll(old, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.obtainQuietly(t); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old folder is still there")
	}
}

func TestUnwritableCache(t *testing.T) {
	f := newFixture(t)
	if err := os.WriteFile(f.folder, nil, 0o644); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	if _, err := f.obtainQuietly(t); fault.ExitCode(err) == 0 || !strings.Contains(err.Error(), f.folder) {
		t.Errorf("error %v, want one that names %s", err, f.folder)
	}
}

// Where nobody publishes a hash, the file is held to the hash that it had when it was installed.
func TestUnpinned(t *testing.T) {
	archive := wheel(t, member{"fake/fake_cpu_plugin.so", content})
	p := pinOf(archive, content)
	p.hash, p.archiveHash, p.size = "", "", 1<<20
	f := newFixtureOf(t, archive, p)
	found, err := f.obtainQuietly(t)
	if err != nil || found.Hash != sum(content) {
		t.Fatalf("installed %+v, %v", found, err)
	}
	if err := os.WriteFile(found.Path, []byte("changed"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.obtainQuietly(t); fault.KindOf(err) != fault.Device {
		t.Errorf("a changed file gave %v, want an error of kind Device", err)
	}
}
