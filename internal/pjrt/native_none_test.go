//go:build !cgo

package pjrt

import (
	"strings"
	"testing"

	"elektron/internal/fault"
)

func TestWithoutCgo(t *testing.T) {
	_, err := Load(fakePlugin(t, "-DMAJOR=0", "-DMINOR=104"))
	if err == nil || fault.KindOf(err) != fault.Device || !strings.Contains(err.Error(), "CGO_ENABLED=1") {
		t.Errorf("got %v", err)
	}
}
