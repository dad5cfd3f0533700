//go:build !cgo

package device

// keepFreedMemory has nothing to do without C.
func keepFreedMemory() {}
