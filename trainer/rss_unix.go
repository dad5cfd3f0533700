//go:build unix

package trainer

import (
	"runtime"
	"syscall"
)

// maxRSS is the process's largest resident size so far, in MiB.
func maxRSS() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss) >> 20 // bytes there, KiB elsewhere
	}
	return int64(usage.Maxrss) >> 10
}
