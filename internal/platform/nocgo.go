//go:build !cgo

package platform

import "elektron/internal/fault"

// requireXLA says why this binary cannot load PJRT plugins: they are reached through C.
func requireXLA(platform string) error {
	return fault.New(fault.Device, "--platform=%s: this binary was built without cgo, which XLA needs; "+
		"install a C compiler and build with CGO_ENABLED=1, or use --platform=go", platform)
}
