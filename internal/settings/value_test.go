package settings

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestInts(t *testing.T) {
	cases := []struct {
		text string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"-0", 0, true}, {"12", 12, true}, {"+12", 12, true}, {"-12", -12, true}, {" 12 ", 12, true},
		{"1e5", 100000, true}, {"1E+5", 100000, true}, {"1.5e3", 1500, true}, {"-1.5e3", -1500, true}, {"100.0", 100, true},
		{"1200e-2", 12, true}, {"0e999", 0, true}, {".5e1", 5, true}, {"5.", 5, true},
		{"1_000_000", 1000000, true}, {"1_2_3", 123, true}, {"010", 10, true},
		{"9223372036854775807", math.MaxInt64, true}, {"9007199254740993.0", 9007199254740993, true},
		{"-9223372036854775808", math.MinInt64, true},
		{"9223372036854775808", 0, false}, {"1e19", 0, false}, {"1e999", 0, false}, {"1e999999999", 0, false},
		{"1.5", 0, false}, {"1e-1", 0, false}, {"0.99999999999999999999", 0, false}, {"1e-400", 0, false}, {"1e-999999999", 0, false},
		{"", 0, false}, {".", 0, false}, {"e5", 0, false}, {"+", 0, false}, {"10k", 0, false}, {"0x10", 0, false}, {"1__0", 0, false},
		{"_1", 0, false}, {"1_", 0, false}, {"1 0", 0, false}, {"nan", 0, false}, {"true", 0, false}, {"١", 0, false},
	}
	for _, c := range cases {
		v, err := raw{items: []string{c.text}}.parse(reflect.TypeFor[int64]())
		if (err == nil) != c.ok || c.ok && v.Int() != c.want {
			t.Errorf("%q: got %d, %v; want %d, accepted %t", c.text, v.Int(), err, c.want, c.ok)
		}
	}
}

func TestNarrowTypes(t *testing.T) {
	cases := []struct {
		text string
		t    reflect.Type
		ok   bool
	}{
		{"127", reflect.TypeFor[int8](), true}, {"128", reflect.TypeFor[int8](), false}, {"-128", reflect.TypeFor[int8](), true},
		{"255", reflect.TypeFor[uint8](), true}, {"256", reflect.TypeFor[uint8](), false}, {"-1", reflect.TypeFor[uint8](), false},
		{"+5", reflect.TypeFor[uint8](), true}, {"18446744073709551615", reflect.TypeFor[uint64](), true},
		{"1e38", reflect.TypeFor[float32](), true}, {"1e39", reflect.TypeFor[float32](), false},
		{"1e308", reflect.TypeFor[float64](), true}, {"1e309", reflect.TypeFor[float64](), false},
	}
	for _, c := range cases {
		if _, err := (raw{items: []string{c.text}}).parse(c.t); (err == nil) != c.ok {
			t.Errorf("%s as %s: %v, want accepted %t", c.text, c.t, err, c.ok)
		}
	}
}

func TestFloatsAndBools(t *testing.T) {
	floats := map[string]float64{"2e-3": 2e-3, "5": 5, "-.5": -.5, "1_000.5": 1000.5, "1E3": 1000}
	for text, want := range floats {
		if v, err := (raw{items: []string{text}}).parse(reflect.TypeFor[float64]()); err != nil || v.Float() != want {
			t.Errorf("%q: got %v, %v", text, v, err)
		}
	}
	for _, text := range []string{"", "inf", "-Inf", "NaN", ".inf", "0x1p-2", "1e", "1,5", "2e-3x"} {
		if v, err := (raw{items: []string{text}}).parse(reflect.TypeFor[float64]()); err == nil {
			t.Errorf("%q is taken for the number %v", text, v)
		}
	}
	for text, want := range map[string]bool{"true": true, "True": true, "FALSE": false} {
		if v, err := (raw{items: []string{text}}).parse(reflect.TypeFor[bool]()); err != nil || v.Bool() != want {
			t.Errorf("%q: got %v, %v", text, v, err)
		}
	}
	for _, text := range []string{"", "1", "yes", "on", "t"} {
		if _, err := (raw{items: []string{text}}).parse(reflect.TypeFor[bool]()); err == nil {
			t.Errorf("%q is taken for a bool", text)
		}
	}
}

func TestFormat(t *testing.T) {
	cases := []struct {
		value any
		want  string
	}{
		{1.0, "1.0"}, {1e-5, "1.0e-05"}, {2.5e-7, "2.5e-07"}, {1e21, "1.0e+21"}, {float32(0.1), "0.1"}, {0.002, "0.002"},
		{"run", "run"}, {"/a/b-c.txt", "/a/b-c.txt"}, {"", `""`}, {"no", `"no"`}, {"NULL", `"NULL"`}, {"1.5", `"1.5"`}, {"a: b", `"a: b"`},
		{"a\nb\x00", `"a\nb\x00"`}, {"ä", `"ä"`}, {"\xff", "!!binary /w=="}, {"#x", `"#x"`},
		{[]string{"a", "b,c", ""}, `[a, "b,c", ""]`}, {[]string(nil), "[]"},
	}
	for _, c := range cases {
		if got := format(reflect.ValueOf(c.value)); got != c.want {
			t.Errorf("%#v: got %s, want %s", c.value, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"optim.lr", "optim.warmup_steps", "run.steps", "run.log_every", "run.checkpoint_every", "finetune.lr"}
	flags := []string{"steps", "seed", "seq-len", "batch-size", "out", "data", "preset", "platform"}
	cases := []struct {
		name       string
		candidates []string
		want       string
	}{
		{"optim.rl", keys, "optim.lr"}, {"optim.lr", keys, "optim.lr"}, {"OPTIM.LR", keys, "optim.lr"}, {"opitm.lr", keys, "optim.lr"},
		{"lr", keys, "optim.lr"}, {"warmup", keys, "optim.warmup_steps"}, {"optim.warmup-steps", keys, "optim.warmup_steps"},
		{"run.log_evry", keys, "run.log_every"}, {"run.checkpoints_every", keys, "run.checkpoint_every"},
		{"stpes", flags, "steps"}, {"step", flags, "steps"}, {"batch", flags, "batch-size"}, {"seqlen", flags, "seq-len"}, {"sede", flags, "seed"},
		{"platfrom", flags, "platform"}, {"xyz", flags, ""}, {"", flags, ""}, {"-", flags, ""}, {"learning-rate", flags, ""},
		{"x", nil, ""}, {"b", []string{"a", "c"}, ""}, {"ab", []string{"ac", "ad"}, "ac"}, {"größe", []string{"größen"}, "größen"},
		{strings.Repeat("s", 1<<20), flags, ""},
	}
	for _, c := range cases {
		if got := Nearest(c.name, c.candidates); got != c.want {
			t.Errorf("Nearest(%.40q) is %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	cases := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xbc", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3}, {"abcd", "badc", 2}, {"ä", "a", 1},
	}
	for _, c := range cases {
		if got, back := distance(c.a, c.b), distance(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("distance(%q, %q) is %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}
