package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

func TestExitCodes(t *testing.T) {
	_, missing := os.Open("no such file")
	cases := []struct {
		name string
		err  error
		want int
	}{
		{"nil", nil, 0},
		{"plain", errors.New("x"), 70},
		{"usage", New(Usage, "unknown flag"), 2},
		{"innermost kind wins", Wrap(Device, New(Data, "bad shard"), "loading"), 65},
		{"wrapped by fmt", fmt.Errorf("outer: %w", New(Locked, "in use")), 73},
		{"wrap gives a kind", Wrap(Storage, errors.New("x"), "writing"), 69},
		{"missing file", missing, 69},
		{"disk full beats all", Wrap(Storage, &fs.PathError{Op: "write", Path: "f", Err: syscall.ENOSPC}, "saving"), 74},
		{"preempted", New(Preempted, "saved"), 75},
		{"diverged", New(Diverged, "loss is NaN"), 76},
	}
	for _, c := range cases {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
	if Wrap(Data, nil, "x") != nil {
		t.Error("Wrap of nil is not nil")
	}
}

func TestCatch(t *testing.T) {
	cases := []struct {
		name string
		fn   func() error
		want int
	}{
		{"no error", func() error { return nil }, 0},
		{"panic with error", func() error { panic(errors.New("shapes differ")) }, 70},
		{"panic with text", func() error { panic("shapes differ") }, 70},
		{"runtime panic", func() error { var m map[string]int; m["x"] = 1; return nil }, 70},
		{"out of memory", func() error { return errors.New("PJRT error (code=8): RESOURCE_EXHAUSTED: hbm") }, 72},
		{"device", func() error { panic(errors.New("PJRT error (code=13): lost")) }, 71},
		{"typed error passes", func() error { return New(Usage, "bad") }, 2},
	}
	for _, c := range cases {
		if got := ExitCode(Catch("step", c.fn)); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}
