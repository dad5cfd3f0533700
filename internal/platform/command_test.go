package platform

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/fault"

	"github.com/urfave/cli/v2"
)

func TestList(t *testing.T) {
	missing, damagedOne := newFixture(t), installedFixture(t)
	damagedOne.pins = []pin{damagedOne.pin}
	damagedOne.pins[0].hash = sum(nil)
	cases := []struct {
		name  string
		store *store
		want  string
	}{
		{"missing", missing.store, "not installed"},
		{"installed", installedFixture(t).store, "hash ok"},
		{"another hash", damagedOne.store, "DAMAGED"},
	}
	for _, c := range cases {
		var out bytes.Buffer
		if err := c.store.list(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{c.want, "tpu", "none", "fake-plugin 1.2", "built in"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the list does not say %q:\n%s", c.name, want, out.String())
			}
		}
	}
}

func TestInstallCommand(t *testing.T) {
	f := newFixture(t)
	run := func(arguments ...string) (string, error) {
		var out bytes.Buffer
		app := &cli.App{Writer: &out, ErrWriter: &bytes.Buffer{}, ExitErrHandler: func(*cli.Context, error) {},
			Action: func(c *cli.Context) error { return f.installCommand(c) }}
		err := app.Run(append([]string{"elektron"}, arguments...))
		return out.String(), err
	}
	for _, wrong := range [][]string{nil, {"npu"}, {"cpu", "tpu"}} {
		_, err := run(wrong...)
		expect(t, err, fault.Usage, "cpu, gpu, tpu")
	}
	out, err := run("cpu")
	if err != nil || !strings.Contains(out, "installed fake-plugin 1.2") || !strings.Contains(out, f.pin.hash) {
		t.Errorf("install: %v, %q", err, out)
	}
	out, err = run("cpu")
	if err != nil || !strings.Contains(out, "already") || f.fetches.Load() != 1 {
		t.Errorf("install again: %v, %q after %d fetches", err, out, f.fetches.Load())
	}
}

// The list says what a plugin takes and which driver a GPU has; installing says what the driver lacks.
func TestListAndInstallGPU(t *testing.T) {
	f := newCUDAFixture(t)
	var out, warnings bytes.Buffer
	if err := f.list(&out); err != nil {
		t.Fatal(err)
	}
	f.pins[0].libraries.size = 5e9
	if err := f.list(&out); err != nil {
		t.Fatal(err)
	}
	f.pins[0].libraries.size = 13
	for _, want := range []string{"SIZE", "5.0 GB", "not installed, 0 MB to fetch", "none"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the list does not say %q:\n%s", want, out.String())
		}
	}
	run := func() string {
		warnings.Reset()
		app := &cli.App{Writer: &out, ErrWriter: &warnings, Action: func(c *cli.Context) error { return f.installCommand(c) }}
		if err := app.Run([]string{"elektron", "gpu"}); err != nil {
			t.Fatal(err)
		}
		return warnings.String()
	}
	if said := run(); !strings.Contains(said, "no NVIDIA GPU") || !strings.Contains(said, "525.60.13") {
		t.Errorf("without a GPU: %q", said)
	}
	if err := os.RemoveAll(f.folder); err != nil {
		t.Fatal(err)
	}
	touch(t, f.host.root, "dev/nvidia0", "proc/driver/nvidia/version")
	old := []byte("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01  Wed Oct 27\n")
	if err := os.WriteFile(filepath.Join(f.host.root, "proc/driver/nvidia/version"), old, 0o644); err != nil {
		t.Fatal(err)
	}
	if said := run(); !strings.Contains(said, "470.82.01 is too old") {
		t.Errorf("with an old driver: %q", said)
	}
	if got := f.devices(GPU); got != "1 GPU, driver 470.82.01" {
		t.Errorf("devices %q", got)
	}
}
