package platform

import (
	"bytes"
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
