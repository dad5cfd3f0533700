package glue

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"elektron/internal/fault"
	"elektron/internal/testdata"
)

// TestMetricsAsSciPy holds the metrics against those of SciPy and scikit-learn.
func TestMetricsAsSciPy(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testdata.Parity(t), "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Kind, Note          string
			Labels, Predictions []float64
			Accuracy, F1, MCC   *float64
			Pearson, Spearman   *float64
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for i, c := range golden.Cases {
		labels, predictions := whole(c.Labels), whole(c.Predictions)
		for _, m := range []struct {
			name string
			want *float64
			got  func() float64
		}{
			{"accuracy", c.Accuracy, func() float64 { return AccuracyScore(labels, predictions) }},
			{"f1", c.F1, func() float64 { return F1Score(labels, predictions) }},
			{"matthews", c.MCC, func() float64 { return MatthewsCorrelation(labels, predictions) }},
			{"pearson", c.Pearson, func() float64 { return PearsonCorrelation(c.Labels, c.Predictions) }},
			{"spearman", c.Spearman, func() float64 { return SpearmanCorrelation(c.Labels, c.Predictions) }},
		} {
			if m.want == nil {
				continue
			}
			checked++
			if got := m.got(); math.Abs(got-*m.want) > 1e-9 {
				t.Errorf("case %d (%s, %d examples, %s): %s is %v, want %v", i, c.Kind, len(c.Labels), c.Note, m.name, got, *m.want)
			}
		}
	}
	if checked == 0 {
		t.Error("no metric to compare in metrics.json")
	}
}

func whole(x []float64) []int {
	y := make([]int, len(x))
	for i, v := range x {
		y[i] = int(v)
	}
	return y
}

// TestMetricsByHand: cases whose values follow from the formula, the edges among them.
func TestMetricsByHand(t *testing.T) {
	classes := []struct {
		name                string
		labels, predictions []int
		accuracy, f1, mcc   float64
	}{
		{"nothing", nil, nil, 0, 0, 0},
		{"all right", []int{0, 1}, []int{0, 1}, 1, 1, 1},
		{"all wrong", []int{0, 1}, []int{1, 0}, 0, 0, -1},
		{"only the other class", []int{0, 0}, []int{0, 0}, 1, 0, 0},
		{"constant", []int{0, 1, 1, 1}, []int{1, 1, 1, 1}, 0.75, 6.0 / 7, 0},
		{"tp 1 fp 2 fn 1 tn 4", []int{1, 1, 0, 0, 0, 0, 0, 0}, []int{1, 0, 1, 1, 0, 0, 0, 0}, 5.0 / 8, 0.4, 2 / math.Sqrt(3*2*6*5)},
		// sklearn.metrics.matthews_corrcoef([0,1,2,2,1,0,2], [0,2,2,2,1,1,0]): right 4, labels 2 2 3, predictions 2 2 3.
		{"three classes", []int{0, 1, 2, 2, 1, 0, 2}, []int{0, 2, 2, 2, 1, 1, 0}, 4.0 / 7, 0.5, (4*7.0 - 17) / (49 - 17)},
	}
	for _, c := range classes {
		for _, m := range []struct {
			name      string
			got, want float64
		}{
			{"accuracy", AccuracyScore(c.labels, c.predictions), c.accuracy},
			{"f1", F1Score(c.labels, c.predictions), c.f1},
			{"matthews", MatthewsCorrelation(c.labels, c.predictions), c.mcc},
		} {
			if !(math.Abs(m.got-m.want) < 1e-12) {
				t.Errorf("%s: %s is %v, want %v", c.name, m.name, m.got, m.want)
			}
		}
	}
	reals := []struct {
		name              string
		x, y              []float64
		pearson, spearman float64
	}{
		{"nothing", nil, nil, 0, 0},
		{"one", []float64{1}, []float64{2}, 0, 0},
		{"a line", []float64{0.1, 0.2, 0.3}, []float64{1, 3, 5}, 1, 1},
		{"falling", []float64{1, 2, 3}, []float64{3, 2, 1}, -1, -1},
		{"constant, with a mean that rounds", []float64{0.1, 0.1, 0.1}, []float64{1, 2, 3}, 0, 0},
		{"constant labels", []float64{1, 2, 3}, []float64{5, 5, 5}, 0, 0},
		{"monotonic", []float64{1, 2, 3}, []float64{0, 0, 3}, math.Sqrt(3) / 2, math.Sqrt(3) / 2},
		{"ties on both sides", []float64{1, 1, 2, 2}, []float64{1, 2, 2, 3}, 1 / math.Sqrt(2), 1 / math.Sqrt(2)},
		{"far from zero", []float64{1e9, 1e9 + 1, 1e9 + 2}, []float64{1, 2, 3}, 1, 1},
	}
	for _, c := range reals {
		if p, s := PearsonCorrelation(c.x, c.y), SpearmanCorrelation(c.x, c.y); !(math.Abs(p-c.pearson) < 1e-12 && math.Abs(s-c.spearman) < 1e-12) {
			t.Errorf("%s: %v and %v, want %v and %v", c.name, p, s, c.pearson, c.spearman)
		}
	}
}

func TestEvaluate(t *testing.T) {
	task := func(name string) *Task {
		found, err := FindTask(name)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	nan := float32(math.NaN())
	cases := []struct {
		name       string
		task       *Task
		outputs    [][]float32
		examples   []Example
		want       Scores
		degenerate bool
		kind       fault.Kind
		fails      bool
	}{
		{name: "classes", task: task("mrpc"), outputs: [][]float32{{1, 2}, {3, 2}, {0, 1}}, examples: []Example{{Label: 1}, {Label: 0}, {Label: 0}},
			want: Scores{Accuracy: 2.0 / 3, F1: 2.0 / 3}},
		{name: "the first of equal outputs", task: task("mnli"), outputs: [][]float32{{1, 1, 1}, {0, 2, 2}}, examples: []Example{{Label: 0}, {Label: 1}},
			want: Scores{Accuracy: 1}},
		{name: "one class", task: task("cola"), outputs: [][]float32{{0, 1}, {0, 2}}, examples: []Example{{Label: 1}, {Label: 0}},
			want: Scores{Accuracy: 0.5, Matthews: 0}, degenerate: true},
		{name: "scores out of range are not clipped", task: task("stsb"), outputs: [][]float32{{-0.5}, {0}, {1.5}}, examples: []Example{{Score: 0}, {Score: 1}, {Score: 4}},
			want: Scores{Pearson: 1, Spearman: 1}},
		{name: "one score", task: task("stsb"), outputs: [][]float32{{0.5}, {0.5}}, examples: []Example{{Score: 0}, {Score: 1}},
			want: Scores{Pearson: 0, Spearman: 0}, degenerate: true},
		{name: "not a number", task: task("stsb"), outputs: [][]float32{{nan}, {0.5}}, examples: []Example{{Score: 0}, {Score: 1}}, fails: true, kind: fault.Diverged, degenerate: true},
		{name: "missing outputs", task: task("cola"), outputs: [][]float32{{1, 0}}, examples: make([]Example, 2), fails: true, kind: fault.Internal, degenerate: true},
		{name: "wrong number of classes", task: task("mnli"), outputs: [][]float32{{1, 0}}, examples: make([]Example, 1), fails: true, kind: fault.Internal, degenerate: true},
	}
	for _, c := range cases {
		got, err := Evaluate(c.task, c.outputs, c.examples)
		if (err != nil) != c.fails || c.fails && fault.KindOf(err) != c.kind {
			t.Errorf("%s: error %v", c.name, err)
		}
		for m, want := range c.want {
			if v, ok := got[m]; !ok || math.Abs(v-want) > 1e-12 {
				t.Errorf("%s: %s is %v, want %v", c.name, m, v, want)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if got := Degenerate(c.task, c.outputs); got != c.degenerate {
			t.Errorf("%s: degenerate is %v", c.name, got)
		}
	}
}
