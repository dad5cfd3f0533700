package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"elektron/internal/fault"
)

// bomb is a billion-laughs file: every level names the one below ten times.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 x\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String() + "data: *a11\n"
}

func TestReadYAML(t *testing.T) {
	cases := []struct {
		name, text string
		want       func(*sample)
		errors     []string
	}{
		{"empty", "", nil, nil},
		{"only a comment", "# nothing\n", nil, nil},
		{"one document with its marks", "---\nseed: 5\n...\n", func(c *sample) { c.Seed = 5 }, nil},
		{"JSON", `{"run": {"steps": 5}, "data": ["a", "b"]}`, func(c *sample) { c.Run.Steps, c.Data = 5, []string{"a", "b"} }, nil},
		{"nested", "optim:\n  lr: 1\n  schedule:\n    warmup_steps: 1e4\n", func(c *sample) { c.Optim.Rate, c.Optim.Schedule.Warmup = 1, 10000 }, nil},
		{"dotted", "optim.schedule.warmup_steps: 1_000\n", func(c *sample) { c.Optim.Schedule.Warmup = 1000 }, nil},
		{"a section without keys", "optim:\n  # lr: 1\nseed: 1\n", func(c *sample) { c.Seed = 1 }, nil},
		{"inline key", "cache: 123\n", func(c *sample) { c.Cache = "123" }, nil},
		{"one text for a list", "data: a,b\n", func(c *sample) { c.Data = []string{"a,b"} }, nil},
		{"empty list", "data: []\n", func(c *sample) { c.Data = []string{} }, nil},
		{"texts that look like values", "run.out: 2024-01-01\ncache: yes\n", func(c *sample) { c.Run.Out, c.Cache = "2024-01-01", "yes" }, nil},
		{"duration", "run: {interval: 1m}", func(c *sample) { c.Run.Interval = time.Minute }, nil},
		{"binary", "cache: !!binary /w==\n", func(c *sample) { c.Cache = "\xff" }, nil},

		{"unknown key", "seed: 1\noptim:\n  lrr: 1\n", func(c *sample) { c.Seed = 1 }, []string{"run.yaml:3: unknown key optim.lrr; did you mean optim.lr?"}},
		{"unknown section", "optimm:\n  lr: 1\n", nil, []string{"run.yaml:1: unknown key optimm"}},
		{"all problems", "sed: 1\noptim:\n  lr: fast\n  name: lam\nrun:\n  steps: 1.5\n", nil, []string{"4 problems", "run.yaml:1: unknown key sed; did you mean seed?",
			"run.yaml:3: optim.lr: want a number", "run.yaml:4: optim.name: \"lam\" is not one of lamb, adam; did you mean lamb?", "run.yaml:6: run.steps: want a whole number"}},
		{"repeated key", "seed: 1\nseed: 2\n", func(c *sample) { c.Seed = 1 }, []string{"run.yaml:2: seed was set on line 1 already; keep one"}},
		{"repeated by dots", "optim: {lr: 1}\noptim.lr: 2\n", func(c *sample) { c.Optim.Rate = 1 }, []string{"run.yaml:2: optim.lr was set on line 1"}},
		{"repeated section", "optim: {lr: 1}\noptim: {clip: 2}\n", func(c *sample) { c.Optim.Rate = 1 }, []string{"optim was set on line 1"}},
		{"value for a section", "optim: 5\n", nil, []string{"run.yaml:1: optim: want keys with values, got the value 5"}},
		{"list for a section", "optim: [1]\n", nil, []string{"optim: want keys with values, got a list"}},
		{"keys for a value", "seed: {a: 1}\n", nil, []string{"run.yaml:1: seed: want a value, got keys with values"}},
		{"list for a value", "seed: [1]\n", nil, []string{"seed: want one value, got a list of 1"}},
		{"nested list", "data: [[a]]\n", nil, []string{"data: want a value, got a list"}},
		{"no value", "seed:\n", nil, []string{"seed: there is no value"}},
		{"no item", "data: [a, ~]\n", nil, []string{"data: there is no value"}},
		{"no document but a list", "- 1\n", nil, []string{"run.yaml:1: the document: want keys with values, got a list"}},
		{"no document but text", "hello\n", nil, []string{"the document: want keys with values, got the value hello"}},
		{"key that is a list", "[a]: 1\n", nil, []string{"run.yaml:1: want a key, got a list"}},
		{"two documents", "seed: 1\n---\nseed: 2\n", nil, []string{"run.yaml: line 2: a second document begins"}},
		{"damaged second document", "seed: 1\n---\n{", nil, []string{"run.yaml: "}},
		{"syntax", "seed: 1\n  bad: [\n", nil, []string{"run.yaml: line "}},
		{"tab", "optim:\n\tlr: 1\n", nil, []string{"run.yaml: line 2: "}},
		{"own tag", "seed: !!python/object 1\n", nil, []string{"seed: the tag !!python/object is not supported"}},
		{"bad base64", "cache: !!binary '*'\n", nil, []string{"the base64 after !!binary is wrong"}},
		{"alias", "seed: &s 1\nrun.steps: *s\n", func(c *sample) { c.Seed = 1 }, []string{"run.yaml:2: run.steps: want a value, got an alias (*), which is not supported"}},
		{"alias for a section", "optim: &o {lr: 1}\nrun: *o\n", func(c *sample) { c.Optim.Rate = 1 }, []string{"run: want keys with values, got an alias"}},
		{"merge", "optim: &o {lr: 1}\nrun: {<<: *o}\n", func(c *sample) { c.Optim.Rate = 1 }, []string{"unknown key run.<<"}},
		{"alias of itself", "data: &d [*d]\n", nil, []string{"run.yaml"}},
		{"alias bomb", bomb(), nil, []string{"unknown key a0", "data: want a value, got an alias"}},
		{"deep nesting", "data: " + strings.Repeat("[", 200000), nil, []string{"run.yaml: "}},
		{"deep blocks", deepBlocks(2000), nil, []string{"unknown key a"}},
		{"large", "cache: " + strings.Repeat("x", 2<<20), nil, []string{"run.yaml: more than 1048576 bytes"}},
		{"not text", "\x00\x01\x02", nil, []string{"run.yaml: "}},
		{"not UTF-8", "cache: \xff\n", nil, []string{"run.yaml: "}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg, want := defaults(), defaults()
			wantErrors(t, New(cfg).ReadYAML("run.yaml", strings.NewReader(c.text)), c.errors...)
			if c.want != nil {
				c.want(want)
			}
			if !reflect.DeepEqual(cfg, want) {
				t.Errorf("got %+v, want %+v", cfg, want)
			}
		})
	}
}

func deepBlocks(depth int) string {
	var b strings.Builder
	for i := range depth / 4 {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestReadYAMLReportsReader(t *testing.T) {
	broken := errors.New("cable out")
	err := New(defaults()).ReadYAML("run.yaml", iotest.ErrReader(broken))
	if !errors.Is(err, broken) || fault.KindOf(err) != fault.Storage {
		t.Errorf("got %v", err)
	}
}

func TestWrite(t *testing.T) {
	cfg := defaults()
	s := New(cfg)
	wantErrors(t, s.Apply(Preset, "preset small", map[string]any{"optim.lr": 1e-5}))
	wantErrors(t, s.Set("data=a,b c"))
	wantErrors(t, s.Apply(Flag, "--out\n\xff", map[string]any{"run.out": "no"}))
	want := `cache: ""  # default
run:
  steps: 1000  # default
  devices: 1  # default
  interval: 10s  # default
  out: "no"  # --out??
optim:
  name: lamb  # default
  lr: 1.0e-05  # preset small
  clip: 1.0  # default
  schedule:
    warmup_steps: 100  # default
    shape: linear  # default
  bias_correction: false  # default
data: [a, "b c"]  # --set
dtypes: []  # default
seed: 7  # default
`
	var got bytes.Buffer
	wantErrors(t, s.Write(&got))
	if got.String() != strings.ReplaceAll(want, "--out??", "--out?\uFFFD") {
		t.Errorf("got\n%s\nwant\n%s", &got, want)
	}
	if err := s.Write(failingWriter{}); fault.KindOf(err) != fault.Storage {
		t.Errorf("a failing writer gives %v", err)
	}
}

// TestWritten proves that what one session wrote is the next one's middle layer, without the keys that are
// left out, and that an origin stays the first session's.
func TestWritten(t *testing.T) {
	first := New(defaults())
	wantErrors(t, first.Apply(Preset, "preset small", map[string]any{"optim.lr": 0.1, "run.steps": 10}))
	wantErrors(t, first.Set("seed=3", "data=a,b", "run.out=moved"))
	folder := t.TempDir()
	write := func(s *Settings) string {
		path := filepath.Join(folder, "config.yaml")
		var text bytes.Buffer
		wantErrors(t, s.Write(&text))
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := write(first)
	for range 2 {
		cfg := defaults()
		cfg.Run.Out = "here"
		s := New(cfg)
		wantErrors(t, s.Apply(Preset, "preset large", map[string]any{"optim.lr": 0.7, "optim.clip": 9}))
		wantErrors(t, s.Apply(Flag, "--steps", map[string]any{"run.steps": 20}))
		wantErrors(t, s.LoadWritten(path, "run.out"))
		if cfg.Optim.Rate != 0.1 || cfg.Optim.Clip != 1 || cfg.Run.Steps != 20 || cfg.Seed != 3 || cfg.Run.Out != "here" || !slices.Equal(cfg.Data, []string{"a", "b"}) {
			t.Errorf("got %+v", cfg)
		}
		for key, want := range map[string]string{"optim.lr": path + " (preset small)", "data": path + " (--set)",
			"optim.clip": path + " (default)", "run.steps": "--steps", "run.out": "default"} {
			if got := s.Origin(key); got != want {
				t.Errorf("the origin of %s is %q, want %q", key, got, want)
			}
		}
		path = write(s)
	}
	for text, says := range map[string]string{"seed: x\n": ":1: seed: want", "sed: 1 # a\n": ":1: unknown key sed"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		wantErrors(t, New(defaults()).LoadWritten(path), path+says)
	}
	if err := New(defaults()).LoadWritten(filepath.Join(folder, "gone.yaml")); fault.KindOf(err) != fault.Storage {
		t.Errorf("a missing file gives %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// FuzzWriteRead checks that what Write writes reads back equal, whatever the texts hold.
func FuzzWriteRead(f *testing.F) {
	for _, text := range []string{"", "a", "yes", "~", "a: b", "# c", "- d", "\xff\xfe", "a\u2028b\u0085c\ufeff", "\t x \n", "'\"\\", "!!str x", "\U0010ffff\ufffe\x7f"} {
		f.Add(text, 0.1, int64(-5), text)
	}
	f.Fuzz(func(t *testing.T, text string, number float64, integer int64, origin string) {
		cfg := defaults()
		cfg.Run.Out, cfg.Data, cfg.Optim.Schedule.Warmup, cfg.Run.Interval = text, []string{text, "x", text}, integer, time.Duration(integer)
		if checkFinite(reflect.ValueOf(number)) == nil {
			cfg.Optim.Rate = number
		}
		s := New(cfg)
		wantErrors(t, s.Apply(Preset, origin, map[string]any{"cache": text}))
		var written bytes.Buffer
		wantErrors(t, s.Write(&written))
		back := defaults()
		wantErrors(t, New(back).ReadYAML("config.yaml", &written))
		if changes := Diff(cfg, back); len(changes) != 0 || back.Run.Out != text {
			t.Errorf("read back with changes: %v", changes)
		}
	})
}

// FuzzReadYAML checks that no text makes the reader panic or set a value and complain of nothing else
// than problems of kind Usage.
func FuzzReadYAML(f *testing.F) {
	for _, text := range []string{"seed: 1\n", "optim: {lr: 2e-3}\n", "data: [a, b]\n", bomb(), "? [a]\n: b\n", "a: |\n  x\n", "%YAML 1.2\n---\n", "a: !!binary x\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := New(defaults()).ReadYAML("run.yaml", strings.NewReader(text))
		if err != nil && fault.KindOf(err) != fault.Usage {
			t.Errorf("kind %d: %v", fault.KindOf(err), err)
		}
	})
}
