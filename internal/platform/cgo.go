//go:build cgo

package platform

// requireXLA returns nil: this binary can load PJRT plugins.
func requireXLA(string) error { return nil }
