//go:build !cgo

package platform

import (
	"context"
	"testing"

	"elektron/internal/fault"
)

// A binary without cgo says what it lacks, before it touches any network, and still trains in pure Go.
func TestWithoutCgo(t *testing.T) {
	f := newFixture(t)
	_, err := Choose(context.Background(), Options{Platform: CPU, store: f.store})
	expect(t, err, fault.Device, "CGO_ENABLED=1", "C compiler", "--platform=go")
	chosen, err := Choose(context.Background(), Options{store: f.store})
	if err != nil || chosen.Platform != Go {
		t.Fatalf("auto chose %+v, %v; want the pure-Go backend", chosen, err)
	}
	if n := f.fetches.Load(); n != 0 {
		t.Errorf("%d fetches of a plugin that cannot be used", n)
	}
}
