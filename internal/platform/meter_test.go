package platform

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMeterLine(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "part"), make([]byte, 2e6), 0o644); err != nil {
		t.Fatal(err)
	}
	first, second := pin{project: "first", version: "1", archiveSize: 6e6}, pin{project: "second", version: "2", archiveSize: 4e6}
	m := &meter{total: 20e6, started: time.Now().Add(-time.Hour), now: "beginning"}
	say := func(want string) {
		t.Helper()
		if got := m.line(); got != want {
			t.Errorf("said %q, want %q", got, want)
		}
	}
	say("beginning")
	m.skip(first)
	done := m.fetching(second, folder)
	say("fetching second 2: 8 MB of 20 MB fetched, about 6h0m0s left") // 2 MB an hour, without those of before
	done()
	m.doing("unpacking %s", second)
	say("unpacking second 2: 10 MB of 20 MB fetched, about 2h30m0s left")
}

// A long download is told of while it goes on.
func TestInstallTellsProgress(t *testing.T) {
	defer func(interval time.Duration) { meterInterval = interval }(meterInterval)
	meterInterval = time.Millisecond
	f := newFixture(t)
	told, fast := make(chan string, 1000), f.fetchers[0].fetch
	f.fetchers[0].fetch = func(ctx context.Context, p pin, folder string) (string, error) {
		for line := range told {
			if strings.HasPrefix(line, "fetching fake-plugin 1.2") {
				break
			}
		}
		return fast(ctx, p, folder)
	}
	if _, err := f.install(context.Background(), f.pin, func(line string) { told <- line }); err != nil {
		t.Fatal(err)
	}
}
