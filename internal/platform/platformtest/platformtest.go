// Package platformtest opens devices for the tests of other packages.
package platformtest

import (
	"context"
	"sync"
	"testing"

	"elektron/internal/fault"
	"elektron/internal/platform"
)

type opened struct {
	once   sync.Once
	device *platform.Device
	err    error
}

var (
	mutex   sync.Mutex
	devices = map[string]*opened{}
)

// Open returns the device of a platform (platform.CPU, Go, TPU or GPU), opened once a process and never
// closed, since plugins do not like to be opened often. The pinned plugin is installed if it is missing.
// Where that is impossible, or the machine has no such hardware, the test is skipped with the reason.
func Open(t testing.TB, name string) *platform.Device {
	t.Helper()
	mutex.Lock()
	entry := devices[name]
	if entry == nil {
		entry = &opened{}
		devices[name] = entry
	}
	mutex.Unlock()
	entry.once.Do(func() {
		entry.device, entry.err = platform.Open(context.Background(), platform.Options{Platform: name})
	})
	switch {
	case entry.err == nil:
	case fault.KindOf(entry.err) == fault.Device:
		t.Skipf("platform %s cannot be opened here: %v", name, entry.err)
	default:
		t.Fatalf("opening platform %s: %v", name, entry.err)
	}
	return entry.device
}
