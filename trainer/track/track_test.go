package track

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
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
	for _, c := range cases {
		got, err := c.m.MarshalJSON()
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s (%v), want %s", c.name, got, err, c.want)
		}
	}
}

func TestJSONLResume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	write := func(from int64, steps ...int64) {
		j, err := OpenJSONL(path, from)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			if err := j.Log(example(step, "")); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	write(0, 1, 2, 3, 4)
	file, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	file.WriteString(`{"step":5,"lo`)
	file.Close()
	write(2, 3, 4)
	got, err := ReadMetrics(path)
	if err != nil {
		t.Fatal(err)
	}
	var steps []int64
	for _, m := range got {
		steps = append(steps, m.Step)
		if !same(m, example(m.Step, "")) {
			t.Errorf("step %d was read as %+v", m.Step, m)
		}
	}
	if want := []int64{1, 2, 3, 4}; !reflect.DeepEqual(steps, want) {
		t.Errorf("steps %v after the resume, want %v", steps, want)
	}
	write(0)
	if text, _ := os.ReadFile(path); len(text) != 0 {
		t.Errorf("a fresh run keeps old lines: %s", text)
	}
}

func TestPrintable(t *testing.T) {
	got := Printable("a\x1b[31mred\r\nb\u202ec\u009b\x00\u00e9")
	if strings.ContainsAny(got, "\x1b\r\n\u202e\u009b\x00") || !strings.HasSuffix(got, "\u00e9") {
		t.Errorf("Printable left %q", got)
	}
}
