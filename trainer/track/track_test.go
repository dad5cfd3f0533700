package track

import (
	"math"
	"strings"
	"testing"
)

// example is a line in which every value differs.
func example(step int64, split string) Metrics {
	m := Metrics{Step: step, Split: split}
	for i, f := range fields {
		*f.value(&m) = float64(float32(0.1) * float32(i+1))
		if f.training && split != "" {
			*f.value(&m) = math.NaN()
		}
	}
	return m
}

func same(a, b Metrics) bool {
	x, _ := a.MarshalJSON()
	y, _ := b.MarshalJSON()
	return string(x) == string(y)
}

func TestMetricsJSON(t *testing.T) {
	odd := Metrics{Step: 7, Loss: math.Inf(1), MLMLoss: math.NaN(), RTDLoss: float64(float32(6.0912347)), LearningRate: 1e-7, TokensPerS: 12345.678, ElapsedS: 1234.5678}
	cases := []struct {
		name string
		m    Metrics
		want string
	}{
		{"training", odd, `{"step":7,"loss":null,"mlm_loss":null,"rtd_loss":6.0912347,"mlm_accuracy":0,"sampled_accuracy":0,"rtd_accuracy":0,"rtd_precision":0,"rtd_recall":0,"rtd_auc":0,` +
			`"learning_rate":1e-07,"grad_norm":0,"tokens_per_s":12346,"examples_per_s":0,"mfu":0,"data_wait_fraction":0,"elapsed_s":1234.568}`},
		{"validation", Metrics{Step: 8, Split: Valid, Loss: 0.1}, `{"step":8,"split":"valid","loss":0.1,"mlm_loss":0,"rtd_loss":0,"mlm_accuracy":0,"sampled_accuracy":0,"rtd_accuracy":0,"rtd_precision":0,"rtd_recall":0,"rtd_auc":0,"elapsed_s":0}`},
	}
	cases = append(cases, struct {
		name string
		m    Metrics
		want string
	}{"hostile split", Metrics{Split: "a\"\n\x1b\u009b\u202eb"}, `{"step":0,"split":"a\" ` + "\uFFFD\uFFFD\uFFFD" + `b","loss":0,` +
		`"mlm_loss":0,"rtd_loss":0,"mlm_accuracy":0,"sampled_accuracy":0,"rtd_accuracy":0,"rtd_precision":0,"rtd_recall":0,"rtd_auc":0,"elapsed_s":0}`})
	for _, c := range cases {
		got, err := c.m.MarshalJSON()
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	got := Printable("a\x1b[31mred\r\nb\u202ec\u009b\x00\u00e9")
	if strings.ContainsAny(got, "\x1b\r\n\u202e\u009b\x00") || !strings.HasSuffix(got, "\u00e9") {
		t.Errorf("Printable left %q", got)
	}
}

func TestMetricsReadBack(t *testing.T) {
	for _, m := range []Metrics{example(3, ""), example(4, Valid), Unknown(5)} {
		text, err := m.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var got Metrics
		if err := got.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			want, read := *f.value(&m), *f.value(&got)
			if math.IsNaN(want) != math.IsNaN(read) || !math.IsNaN(want) && float32(want) != float32(read) && f.digits == 0 {
				t.Errorf("step %d: %s was %v, is %v", m.Step, f.key, want, read)
			}
		}
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add([]byte(`{"step":7,"split":"valid","loss":null,"mlm_loss":1e-7,"extra":[1]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var m Metrics
		if m.UnmarshalJSON(text) != nil {
			return
		}
		written, err := m.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var again Metrics
		if err := again.UnmarshalJSON(written); err != nil || !same(m, again) {
			t.Errorf("%s is read as %+v, then as %+v (%v)", written, m, again, err)
		}
		if strings.ContainsFunc(string(written), func(r rune) bool { return r < ' ' || r == 0x9b }) {
			t.Errorf("control characters in %q", written)
		}
	})
}
