//go:build !(cgo && linux)

// Package hugepages gets the memory of XLA's CPU programs from the kernel in large pages, on Linux.
package hugepages

// Ask does nothing here.
func Ask() {}

// Pause does nothing here.
func Pause() (resume func()) { return func() {} }
