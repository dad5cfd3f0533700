//go:build unix

package dataset

import (
	"syscall"
	"testing"
	"time"
)

// cpuSeconds is the processor time that the process has used. On a busy machine it says what wall time does not.
func cpuSeconds(b *testing.B) float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
