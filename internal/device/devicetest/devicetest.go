// Package devicetest opens devices for the tests of other packages.
package devicetest

import (
	"context"
	"os"
	"sync"
	"testing"

	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/platform"
)

type opened struct {
	once   sync.Once
	device *device.Device
	err    error
}

var (
	mutex   sync.Mutex
	devices = map[string]*opened{}
)

// RequireXLA is the environment variable that makes a missing CPU plugin a failure: where the tests that need
// it must run, as in continuous integration, they cannot fall away unseen.
const RequireXLA = "ELEKTRON_REQUIRE_XLA"

// Open returns the device of a platform (platform.CPU, Go, TPU or GPU), opened once a process and never
// closed, since plugins do not like to be opened often. The pinned plugin is installed if it is missing.
// Where that is impossible, or the machine has no such hardware, the test is skipped with the reason (but see
// RequireXLA).
func Open(t testing.TB, name string) *device.Device {
	t.Helper()
	mutex.Lock()
	entry := devices[name]
	if entry == nil {
		entry = &opened{}
		devices[name] = entry
	}
	mutex.Unlock()
	entry.once.Do(func() {
		entry.device, entry.err = device.Open(context.Background(), device.Options{Platform: name})
	})
	switch {
	case entry.err == nil:
	case dispensable(name, entry.err):
		t.Skipf("platform %s cannot be opened here: %v", name, entry.err)
	default:
		t.Fatalf("opening platform %s: %v", name, entry.err)
	}
	return entry.device
}

// dispensable tells whether tests may go without a platform that cannot be opened because of err.
func dispensable(name string, err error) bool {
	required := name == platform.CPU && os.Getenv(RequireXLA) != ""
	return fault.KindOf(err) == fault.Device && !required
}
