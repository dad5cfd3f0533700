//go:build cgo && !linux

package device

// keepFreedMemory has nothing to do with this system's malloc.
func keepFreedMemory() {}
