package platform

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/fault"
)

func TestChooseErrors(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "cpu.txt")
	if err := os.WriteFile(text, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name    string
		options Options
		kind    fault.Kind
		want    []string
	}{
		{"no such platform", Options{Platform: "npu"}, fault.Usage, []string{"npu", "auto, cpu, gpu, tpu, go"}},
		{"no TPU", Options{Platform: TPU}, fault.Device, []string{"no TPU", "--platform=auto"}},
		{"no GPU", Options{Platform: GPU}, fault.Device, []string{"no NVIDIA GPU", "--platform=auto"}},
		{"plugin for go", Options{Platform: Go, Plugin: text}, fault.Usage, []string{text, "pure-Go"}},
		{"plugin of unknown use", Options{Plugin: filepath.Join(folder, "x.so")}, fault.Usage, []string{"x.so", "--platform=cpu"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.options.store = newFixture(t).store
			_, err := Choose(context.Background(), c.options)
			expect(t, err, c.kind, c.want...)
		})
	}
}

func expect(t *testing.T, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind {
		t.Fatalf("error %v of kind %v, want kind %v", err, fault.KindOf(err), kind)
	}
	for _, want := range words {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has more than one line", err)
	}
}

// With nothing to run XLA with, auto goes on in pure Go and says what is lost.
func TestAutoFallsBack(t *testing.T) {
	f := newFixture(t)
	f.pins = nil
	var told []string
	chosen, err := Choose(context.Background(), Options{Offline: true, store: f.store, Progress: func(s string) { told = append(told, s) }})
	if err != nil {
		t.Fatal(err)
	}
	if chosen.Platform != Go || len(told) != 1 || !strings.Contains(told[0], "12 to 50 times slower") || !strings.Contains(told[0], "GOEXPERIMENT=simd") {
		t.Errorf("chose %s and said %q", chosen.Platform, told)
	}
}

func TestHost(t *testing.T) {
	cases := []struct {
		name       string
		files      map[string]string
		tpus, gpus int
	}{
		{"bare", nil, 0, 0},
		{"TPU on the bus", map[string]string{
			"sys/bus/pci/devices/0000:00:04.0/vendor": "0x1ae0\n", "sys/bus/pci/devices/0000:00:04.0/device": "0x0063\n",
			"sys/bus/pci/devices/0000:00:05.0/vendor": "0x1ae0\n", "sys/bus/pci/devices/0000:00:05.0/device": "0x0063\n",
		}, 2, 0},
		{"Google's network card is no TPU", map[string]string{
			"sys/bus/pci/devices/0000:00:04.0/vendor": "0x1ae0\n", "sys/bus/pci/devices/0000:00:04.0/device": "0x0042\n",
		}, 0, 0},
		{"TPU's device files", map[string]string{"dev/accel0": "", "dev/accel1": "", "dev/accel2": "", "dev/accel3": ""}, 4, 0},
		{"a passed-through device alone says nothing", map[string]string{"dev/vfio/0": "", "dev/vfio/vfio": ""}, 0, 0},
		{"GPUs", map[string]string{"dev/nvidia0": "", "dev/nvidia1": "", "dev/nvidiactl": ""}, 0, 2},
		{"GPU under WSL", map[string]string{"dev/dxg": ""}, 0, 1},
	}
	for _, c := range cases {
		h := host{root: t.TempDir()}
		for name, text := range c.files {
			path := filepath.Join(h.root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if h.tpus() != c.tpus || h.gpus() != c.gpus {
			t.Errorf("%s: %d TPU chips and %d GPUs, want %d and %d", c.name, h.tpus(), h.gpus(), c.tpus, c.gpus)
		}
	}
}
