//go:build unix

package track

import (
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"elektron/internal/fault"
)

// TestHalfALineIsTakenBack lets the kernel take only some bytes of a line, as a full disk does.
func TestHalfALineIsTakenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	lines, err := OpenJSONL(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := lines.Log(example(1, "")); err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	small := syscall.Rlimit{Cur: uint64(lines.out.size) + 20, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Skipf("no file size limit here: %v", err)
	}
	err = lines.Log(example(2, ""))
	if restored := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); restored != nil {
		t.Fatal(restored)
	}
	if fault.ExitCode(err) != 69 || !strings.Contains(err.Error(), path) {
		t.Errorf("Log gives %v", err)
	}
	if err := lines.Log(example(3, "")); err != nil {
		t.Fatal(err)
	}
	lines.Finish()
	if got := readSteps(t, path); !reflect.DeepEqual(got, []int64{1, 3}) {
		t.Errorf("steps %v", got)
	}
}
