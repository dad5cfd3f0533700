package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"elektron/internal/fault"
)

type optimizer string

type hidden struct {
	Cache string `yaml:"cache"`
}

type schedule struct {
	Warmup int64  `yaml:"warmup_steps" doc:"steps until the full learning rate"`
	Shape  string `yaml:"shape" oneof:"linear,cosine"`
}

type optim struct {
	Name     optimizer `yaml:"name" oneof:"lamb,adam"`
	Rate     float64   `yaml:"lr" doc:"peak learning rate"`
	Clip     float32   `yaml:"clip"`
	Schedule schedule  `yaml:"schedule"`
	Bias     bool      `yaml:"bias_correction"`
}

// sample has every kind of field that is supported.
type sample struct {
	hidden `yaml:",inline"`
	Run    struct {
		Steps    int           `yaml:"steps"`
		Devices  uint8         `yaml:"devices"`
		Interval time.Duration `yaml:"interval"`
		Out      string        `yaml:"out"`
	} `yaml:"run"`
	Optim   optim    `yaml:"optim"`
	Data    []string `yaml:"data"`
	Dtypes  []string `yaml:"dtypes" oneof:"f32,bf16"`
	Seed    uint64   `yaml:"seed"`
	Skipped chan int `yaml:"-"`
	private int
}

func defaults() *sample {
	c := &sample{Seed: 7, Optim: optim{Name: "lamb", Rate: 0.002, Clip: 1, Schedule: schedule{Warmup: 100, Shape: "linear"}}}
	c.Run.Steps, c.Run.Interval, c.Run.Devices = 1000, 10*time.Second, 1
	return c
}

// wantErrors checks that err is of kind Usage and contains every text; no texts means no error.
func wantErrors(t *testing.T, err error, texts ...string) {
	t.Helper()
	if len(texts) == 0 {
		if err != nil {
			t.Errorf("unexpected error: %v", err)
		}
		return
	}
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	if fault.KindOf(err) != fault.Usage {
		t.Errorf("the kind of %q is not Usage", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q lacks %q", err, text)
		}
	}
}

func TestPrecedence(t *testing.T) {
	preset := func(s *Settings) error {
		return s.Apply(Preset, "preset small", map[string]any{"optim.lr": 0.1, "run.steps": 10, "run.out": "p", "seed": 1})
	}
	file := func(s *Settings) error {
		return s.ReadYAML("run.yaml", strings.NewReader("run:\n  steps: 20\n  out: f\noptim.lr: 0.2\n"))
	}
	set := func(s *Settings) error { return s.Set("optim.lr=0.3", "run.steps=29", "run.steps=30") }
	flag := func(s *Settings) error { return s.Apply(Flag, "--steps", map[string]any{"run.steps": 40}) }
	orders := map[string][]func(*Settings) error{
		"lowest first":  {preset, file, set, flag},
		"highest first": {flag, set, file, preset},
		"mixed":         {file, flag, preset, set},
	}
	wantOrigins := map[string]string{"run.steps": "--steps", "optim.lr": "--set", "run.out": "run.yaml:3",
		"seed": "preset small", "optim.clip": "default", "no.such": ""}
	for name, order := range orders {
		cfg := defaults()
		s := New(cfg)
		for _, apply := range order {
			wantErrors(t, apply(s))
		}
		if cfg.Run.Steps != 40 || cfg.Optim.Rate != 0.3 || cfg.Run.Out != "f" || cfg.Seed != 1 || cfg.Optim.Clip != 1 {
			t.Errorf("%s: got %+v", name, cfg)
		}
		for key, want := range wantOrigins {
			if got := s.Origin(key); got != want {
				t.Errorf("%s: origin of %s is %q, want %q", name, key, got, want)
			}
		}
	}
}

func TestApply(t *testing.T) {
	type stringer []string
	cases := []struct {
		layer  Layer
		values map[string]any
		want   func(*sample)
		errors []string
	}{
		{Preset, map[string]any{"run.interval": time.Minute}, func(c *sample) { c.Run.Interval = time.Minute }, nil},
		{Preset, map[string]any{"run.interval": "1h30m"}, func(c *sample) { c.Run.Interval = 90 * time.Minute }, nil},
		{Preset, map[string]any{"run.steps": 1e5, "seed": uint64(1) << 63}, func(c *sample) { c.Run.Steps, c.Seed = 100000, 1<<63 }, nil},
		{Preset, map[string]any{"optim.clip": float32(0.1)}, func(c *sample) { c.Optim.Clip = 0.1 }, nil},
		{Preset, map[string]any{"optim.lr": 5}, func(c *sample) { c.Optim.Rate = 5 }, nil},
		{Preset, map[string]any{"optim.name": optimizer("adam"), "optim.bias_correction": true},
			func(c *sample) { c.Optim.Name, c.Optim.Bias = "adam", true }, nil},
		{Preset, map[string]any{"data": []string{"a,b", "c"}}, func(c *sample) { c.Data = []string{"a,b", "c"} }, nil},
		{Preset, map[string]any{"data": stringer{"a"}}, func(c *sample) { c.Data = []string{"a"} }, nil},
		{Preset, map[string]any{"data": "a,b"}, func(c *sample) { c.Data = []string{"a,b"} }, nil},
		{Flag, map[string]any{"data": "a, b"}, func(c *sample) { c.Data = []string{"a", "b"} }, nil},
		{Flag, map[string]any{"data": []string{"a,b", "c"}}, func(c *sample) { c.Data = []string{"a", "b", "c"} }, nil},
		{Flag, map[string]any{"dtypes": "f32,bf16"}, func(c *sample) { c.Dtypes = []string{"f32", "bf16"} }, nil},
		{Flag, map[string]any{"dtypes": "f32,fb16"}, nil, []string{`"fb16" is not one of f32, bf16; did you mean bf16?`}},
		{Flag, map[string]any{"optim.name": "lamp"}, nil, []string{`from: optim.name: "lamp" is not one of lamb, adam; did you mean lamb?`}},
		{Flag, map[string]any{"optim.name": "x"}, nil, []string{`"x" is not one of lamb, adam`}},
		{Flag, map[string]any{"seed": []string{"1", "2"}}, nil, []string{"seed: want one value, got a list of 2"}},
		{Flag, map[string]any{"seed": nil}, nil, []string{`seed: want a whole number`}},
		{Flag, map[string]any{"run.steps": 1.5, "optim.lrr": 1, "run": 1},
			nil, []string{"3 problems", `run.steps: want a whole number such as 12000 or 1e5, got "1.5"`,
				"unknown key optim.lrr; did you mean optim.lr?", "run is a section, not a key; its keys are run.steps, run.devices"}},
		{Flag, map[string]any{"optim.name": "x", "run.steps": 5}, func(c *sample) { c.Run.Steps = 5 }, []string{"optim.name"}},
	}
	for i, c := range cases {
		cfg, want := defaults(), defaults()
		err := New(cfg).Apply(c.layer, "from", c.values)
		wantErrors(t, err, c.errors...)
		if c.want != nil {
			c.want(want)
		}
		if !reflect.DeepEqual(cfg, want) {
			t.Errorf("case %d: got %+v, want %+v", i, cfg, want)
		}
	}
}

func TestSet(t *testing.T) {
	cases := []struct {
		assignment string
		want       func(*sample)
		err        string
	}{
		{"optim.lr=2e-3", func(c *sample) { c.Optim.Rate = 2e-3 }, ""},
		{"optim.lr = 2e-3", func(c *sample) { c.Optim.Rate = 2e-3 }, ""},
		{"run.out=a=b", func(c *sample) { c.Run.Out = "a=b" }, ""},
		{"run.out=", nil, ""},
		{"cache=x", func(c *sample) { c.Cache = "x" }, ""},
		{"data=a,b,", func(c *sample) { c.Data = []string{"a", "b"} }, ""},
		{"data=", func(c *sample) { c.Data = []string{} }, ""},
		{"optim.schedule.warmup_steps=1_000", func(c *sample) { c.Optim.Schedule.Warmup = 1000 }, ""},
		{"optim.lr", nil, "--set optim.lr: want key=value, such as --set optim.lr=0.002"},
		{"lr", nil, "such as --set optim.lr=0.002"},
		{"qqqqqqqqqq", nil, "such as --set key=value"},
		{"optim.rl=1", nil, "--set: unknown key optim.rl; did you mean optim.lr?"},
		{"OPTIM.LR=1", nil, "did you mean optim.lr?"},
		{"lr=1", nil, "did you mean optim.lr?"},
		{"optim.qqqqqqq=1", nil, "unknown key optim.qqqqqqq; the keys of optim are optim.name, optim.lr"},
		{"=1", nil, "unknown key"},
		{"optim=1", nil, "optim is a section"},
		{"optim.lr=", nil, `optim.lr: want a number such as 0.002 or 2e-3, got ""`},
		{"optim.lr=fast", nil, `got "fast"`},
		{"\x1b[2J" + strings.Repeat("x", 1<<20) + "=1", nil, "unknown key ?[2Jxxx"},
		{"seed=-1", nil, "seed: -1 is out of the range of uint64"},
	}
	for _, c := range cases {
		cfg, want := defaults(), defaults()
		err := New(cfg).Set(c.assignment)
		if c.err == "" {
			wantErrors(t, err)
		} else {
			wantErrors(t, err, c.err)
			if len(err.Error()) > 400 {
				t.Errorf("%.40s: the error has %d bytes", c.assignment, len(err.Error()))
			}
		}
		if c.want != nil {
			c.want(want)
		}
		if !reflect.DeepEqual(cfg, want) {
			t.Errorf("%.40s: got %+v, want %+v", c.assignment, cfg, want)
		}
	}
}

func TestKeys(t *testing.T) {
	s := New(defaults())
	wantErrors(t, s.Set("optim.schedule.warmup_steps=5"))
	got := map[string]Key{}
	var names []string
	for _, k := range s.Keys() {
		got[k.Name] = k
		names = append(names, k.Name)
	}
	wantNames := "cache run.steps run.devices run.interval run.out optim.name optim.lr optim.clip optim.schedule.warmup_steps " +
		"optim.schedule.shape optim.bias_correction data dtypes seed"
	if strings.Join(names, " ") != wantNames {
		t.Errorf("keys are %v, want %s", names, wantNames)
	}
	want := []Key{
		{Name: "optim.schedule.warmup_steps", Type: "int", Doc: "steps until the full learning rate", Default: "100", Value: "5", Origin: "--set"},
		{Name: "optim.name", Type: "string", Choices: []string{"lamb", "adam"}, Default: "lamb", Value: "lamb", Origin: "default"},
		{Name: "optim.clip", Type: "float", Default: "1.0", Value: "1.0", Origin: "default"},
		{Name: "run.interval", Type: "duration", Default: "10s", Value: "10s", Origin: "default"},
		{Name: "data", Type: "list", Default: "[]", Value: "[]", Origin: "default"},
		{Name: "optim.bias_correction", Type: "bool", Default: "false", Value: "false", Origin: "default"},
	}
	for _, k := range want {
		if !reflect.DeepEqual(got[k.Name], k) {
			t.Errorf("key %s is %+v, want %+v", k.Name, got[k.Name], k)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	cases := map[string]any{
		"no pointer": sample{},
		"nil":        (*sample)(nil),
		"no struct":  new(int),
		"no tag":     &struct{ A int }{},
		"a dotted name": &struct {
			A int `yaml:"a.b"`
		}{},
		"another type": &struct {
			A map[string]int `yaml:"a"`
		}{},
		"a name twice": &struct {
			A int `yaml:"a"`
			B int `yaml:"a"`
		}{},
		"a section twice": &struct {
			A schedule `yaml:"a"`
			B schedule `yaml:"a"`
		}{A: schedule{Shape: "linear"}, B: schedule{Shape: "linear"}},
		"a bad default": &struct {
			A string `yaml:"a" oneof:"x,y"`
		}{A: "z"},
	}
	for name, cfg := range cases {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: New took it", name)
				}
			}()
			New(cfg)
		}()
	}
}

func TestDiff(t *testing.T) {
	a, b := defaults(), defaults()
	b.Data = []string{}
	if changes := Diff(a, b); len(changes) != 0 {
		t.Errorf("equal configurations differ: %v", changes)
	}
	b.Optim.Rate, b.Data = 0.001, []string{"a, b"}
	got := Diff(a, b)
	want := []Change{{"optim.lr", "0.002", "0.001"}, {"data", "[]", `["a, b"]`}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := want[0].String(); got != "optim.lr: 0.002 -> 0.001" {
		t.Errorf("a change reads %q", got)
	}
}

func TestProblems(t *testing.T) {
	var p Problems
	p.Add(nil)
	if p.Err() != nil {
		t.Error("no problems make an error")
	}
	p.Addf("one")
	if err := p.Err(); err.Error() != "configuration: one" || fault.KindOf(err) != fault.Usage {
		t.Errorf("one problem reads %q, kind %d", err, fault.KindOf(err))
	}
	var all Problems
	all.Addf("zero\nwith detail")
	all.Add(p.Err())
	all.Add(fault.Wrap(fault.Usage, p.Err(), "inner"))
	if got, want := all.Err().Error(), "configuration: 3 problems:\n  zero\n    with detail\n  one\n  inner: configuration: one"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestManyProblems(t *testing.T) {
	var p Problems
	for range 1000 {
		p.Addf("wrong")
	}
	text := p.Err().Error()
	if !strings.HasPrefix(text, "configuration: 1000 problems:\n  wrong\n") || !strings.HasSuffix(text, "\n  and 975 more") || len(text) > 300 {
		t.Errorf("1000 problems read %q", text)
	}
}

func TestLoadYAML(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.yaml")
	cfg := defaults()
	s := New(cfg)
	if err := s.LoadYAML(path); fault.KindOf(err) != fault.Storage || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("seed: 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantErrors(t, s.LoadYAML(path))
	if cfg.Seed != 3 || s.Origin("seed") != "run.yaml:1" {
		t.Errorf("seed %d from %q", cfg.Seed, s.Origin("seed"))
	}
}
