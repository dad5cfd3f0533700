package platform

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"elektron/internal/fault"
)

// A plugin is found without its hardware: the fixture's host has no device of any kind.
func TestObtain(t *testing.T) {
	f := newFixture(t)
	f.pins[0].platform = TPU
	first, err := Obtain(context.Background(), Options{Platform: TPU, store: f.store})
	if err != nil || first.Path != f.path(f.pins[0]) || first.Hash != f.pin.hash || f.fetches.Load() != 1 {
		t.Fatalf("obtained %+v after %d fetches, %v", first, f.fetches.Load(), err)
	}
	if second, err := Obtain(context.Background(), Options{Platform: TPU, Offline: true, store: f.store}); err != nil || second != first {
		t.Errorf("the installed plugin is found as %+v, %v", second, err)
	}
	if err := os.Truncate(first.Path, 5); err != nil {
		t.Fatal(err)
	}
	_, err = Obtain(context.Background(), Options{Platform: TPU, store: f.store})
	expect(t, err, fault.Device, first.Path, "5 bytes long", "platform install tpu")
}

func TestObtainErrors(t *testing.T) {
	text := filepath.Join(t.TempDir(), "libtpu.so")
	if err := os.WriteFile(text, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options Options
		kind    fault.Kind
		want    []string
	}{
		{Options{Platform: CPU, Offline: true}, fault.Device, []string{"--offline", "platform install cpu"}},
		{Options{Platform: TPU}, fault.Device, []string{"no tpu plugin is known"}},
		{Options{Platform: Go}, fault.Usage, []string{"no plugin of its own"}},
		{Options{}, fault.Usage, []string{"no plugin of its own"}},
		{Options{Platform: TPU, Plugin: text}, fault.Device, []string{text, "no shared library"}},
		{Options{Platform: TPU, Plugin: text + "x"}, fault.Device, []string{"there is no such file"}},
	} {
		c.options.store = newFixture(t).store
		_, err := Obtain(context.Background(), c.options)
		expect(t, err, c.kind, c.want...)
	}
}
