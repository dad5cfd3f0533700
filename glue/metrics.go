package glue

import (
	"math"
	"slices"

	"elektron/internal/fault"
)

// Metric is a measure of predictions against labels, at most 1. Each is defined for every input, so that a run that
// went wrong has a score and stays in its table: where the formula divides by zero the score is 0.
type Metric string

// The metrics of GLUE.
const (
	Accuracy Metric = "accuracy" // share of the predictions that are right
	F1       Metric = "f1"       // harmonic mean of precision and recall: of class 1; in SQuAD of an answer's words
	Matthews Metric = "matthews" // Matthews correlation coefficient
	Pearson  Metric = "pearson"  // linear correlation
	Spearman Metric = "spearman" // correlation of ranks
)

// ofClasses are the metrics of classification; those of regression are the others.
var ofClasses = map[Metric]func(labels, predictions []int) float64{
	Accuracy: AccuracyScore, F1: F1Score, Matthews: MatthewsCorrelation,
}

var ofScores = map[Metric]func(x, y []float64) float64{
	Pearson: PearsonCorrelation, Spearman: SpearmanCorrelation,
}

// Scores are the values of a task's metrics.
type Scores map[Metric]float64

// Evaluate measures a model's outputs [N][task.Outputs()] for labelled examples. Regression is measured as the
// model put it out, not clipped to the range of the scores (as the official code does). An output that is not
// finite is an error of kind fault.Diverged.
func Evaluate(t *Task, outputs [][]float32, examples []Example) (Scores, error) {
	if err := checkOutputs(t, outputs, len(examples)); err != nil {
		return nil, err
	}
	scores := Scores{}
	if t.Regression() {
		want, got := make([]float64, len(examples)), make([]float64, len(examples))
		for i, e := range examples {
			want[i], got[i] = e.Score, t.Score(float64(outputs[i][0]))
		}
		for _, m := range t.Metrics {
			scores[m] = ofScores[m](want, got)
		}
		return scores, nil
	}
	labels, predictions := make([]int, len(examples)), Classes(outputs)
	for i, e := range examples {
		labels[i] = e.Label
	}
	for _, m := range t.Metrics {
		scores[m] = ofClasses[m](labels, predictions)
	}
	return scores, nil
}

// checkOutputs checks the shape and that every number is finite.
func checkOutputs(t *Task, outputs [][]float32, examples int) error {
	if len(outputs) != examples {
		return fault.New(fault.Internal, "glue: %s: %d outputs for %d examples", t.Name, len(outputs), examples)
	}
	for i, row := range outputs {
		if len(row) != t.Outputs() {
			return fault.New(fault.Internal, "glue: %s: %d outputs for an example, want %d", t.Name, len(row), t.Outputs())
		}
		for _, x := range row {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return fault.New(fault.Diverged, "glue: %s: the model's output for example %d is %v; fine-tune with a lower learning rate", t.Name, i, x)
			}
		}
	}
	return nil
}

// Classes is the number of the largest output of each row; of several the first.
func Classes(outputs [][]float32) []int {
	classes := make([]int, len(outputs))
	for i, row := range outputs {
		for c, x := range row {
			if x > row[classes[i]] {
				classes[i] = c
			}
		}
	}
	return classes
}

// Degenerate says whether a model puts out the same for all examples: one class, or one number (within 1e-6 of the
// range) for regression. Such runs are known from fine-tuning large models on little data.
func Degenerate(t *Task, outputs [][]float32) bool {
	if len(outputs) == 0 {
		return false
	}
	if t.Regression() {
		low, high := outputs[0][0], outputs[0][0]
		for _, row := range outputs {
			low, high = min(low, row[0]), max(high, row[0])
		}
		return !(high-low > 1e-6) // true for NaN too
	}
	classes := Classes(outputs)
	return !slices.ContainsFunc(classes, func(c int) bool { return c != classes[0] })
}

// AccuracyScore is the share of predictions that equal their label; 0 for none at all.
func AccuracyScore(labels, predictions []int) float64 {
	right := 0
	for i, label := range labels {
		if predictions[i] == label {
			right++
		}
	}
	return ratio(float64(right), float64(len(labels)))
}

// F1Score is 2 tp / (2 tp + fp + fn) of class 1; 0 if neither the labels nor the predictions have that class.
func F1Score(labels, predictions []int) float64 {
	hits, both := 0, 0
	for i, label := range labels {
		if label == 1 && predictions[i] == 1 {
			hits++
		}
		if label == 1 {
			both++
		}
		if predictions[i] == 1 {
			both++
		}
	}
	return ratio(float64(2*hits), float64(both))
}

// MatthewsCorrelation is the correlation of two labelings, for any number of classes (J. Gorodkin, "Comparing two
// K-category assignments by a K-category correlation coefficient", 2004, equation 8); for two classes it is
// (tp tn - fp fn) / sqrt((tp+fp)(tp+fn)(tn+fp)(tn+fn)). It is 0 if the labels or the predictions are all of one class.
func MatthewsCorrelation(labels, predictions []int) float64 {
	var right, n float64
	labelled, predicted := map[int]float64{}, map[int]float64{}
	for i, label := range labels {
		n++
		labelled[label]++
		predicted[predictions[i]]++
		if label == predictions[i] {
			right++
		}
	}
	var product, squareL, squareP float64 // sums of whole numbers below 2^53: exact in any order of the map
	for class, count := range labelled {
		product += count * predicted[class]
		squareL += count * count
	}
	for _, count := range predicted {
		squareP += count * count
	}
	return ratio(right*n-product, math.Sqrt(n*n-squareL)*math.Sqrt(n*n-squareP))
}

// PearsonCorrelation is the linear correlation of x and y; 0 if one of them is constant, where SciPy gives NaN.
func PearsonCorrelation(x, y []float64) float64 {
	meanX, meanY := mean(x), mean(y)
	var product, squareX, squareY float64
	for i := range x {
		dx, dy := x[i]-meanX, y[i]-meanY
		product += dx * dy
		squareX += dx * dx
		squareY += dy * dy
	}
	if constant(x) || constant(y) { // the mean's rounding would leave a little of them
		return 0
	}
	return max(-1, min(1, ratio(product, math.Sqrt(squareX)*math.Sqrt(squareY))))
}

// SpearmanCorrelation is Pearson's of the ranks, where equal numbers share the mean of their ranks; 0 if one of x
// and y is constant.
func SpearmanCorrelation(x, y []float64) float64 {
	return PearsonCorrelation(ranks(x), ranks(y))
}

// ranks numbers x from 1 by size; equal numbers get the mean of their places.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case x[i] < x[j]:
			return -1
		case x[i] > x[j]:
			return 1
		}
		return 0
	})
	ranked := make([]float64, len(x))
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && x[order[end]] == x[order[start]] {
			end++
		}
		for _, i := range order[start:end] {
			ranked[i] = float64(start+1+end) / 2
		}
		start = end
	}
	return ranked
}

func constant(x []float64) bool {
	return !slices.ContainsFunc(x, func(v float64) bool { return v != x[0] })
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return ratio(sum, float64(len(x)))
}

// ratio is a / b, and 0 where b is 0.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
