//go:build cgo && !linux

package platform

// keepFreedMemory has nothing to do with this system's malloc.
func keepFreedMemory() {}
