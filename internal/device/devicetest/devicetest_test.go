package devicetest

import (
	"errors"
	"testing"

	"elektron/internal/fault"
	"elektron/internal/platform"
)

// TestDispensable: only a missing device lets tests fall away, and with RequireXLA not the CPU's.
func TestDispensable(t *testing.T) {
	missing, broken := fault.New(fault.Device, "no such device"), errors.New("a fault")
	for _, c := range []struct {
		name, require string
		err           error
		want          bool
	}{
		{platform.CPU, "", missing, true},
		{platform.CPU, "1", missing, false},
		{platform.GPU, "1", missing, true},
		{platform.TPU, "1", missing, true},
		{platform.CPU, "", broken, false},
		{platform.TPU, "", broken, false},
	} {
		t.Setenv(RequireXLA, c.require)
		if got := dispensable(c.name, c.err); got != c.want {
			t.Errorf("%s with %s=%q and %v: %t, want %t", c.name, RequireXLA, c.require, c.err, got, c.want)
		}
	}
}
