package glue

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"elektron/internal/fault"
)

// predictionsHeader begins every file of predictions that the server takes.
const predictionsHeader = "index\tprediction"

// Answers are a model's outputs [N][t.Outputs()] as the server reads them: the label's text, or a number within the
// range of the scores, to which others are clipped.
func (t *Task) Answers(outputs [][]float32) []string {
	answers := make([]string, len(outputs))
	if t.Regression() {
		for i, row := range outputs {
			score := max(t.Low, min(t.High, t.Score(float64(row[0]))))
			answers[i] = strconv.FormatFloat(score, 'f', 5, 64)
		}
		return answers
	}
	for i, class := range Classes(outputs) {
		answers[i] = t.Labels[class]
	}
	return answers
}

// WritePredictions writes a model's outputs for a test split into a folder, under the name and in the format of the
// server, a row for each example in the order of the file. It returns the file's path.
func WritePredictions(ctx context.Context, folder string, e *Examples, outputs [][]float32) (path string, err error) {
	if err := checkOutputs(e.Task, outputs, len(e.List)); err != nil {
		return "", err
	}
	if e.Split.Submission == "" {
		return "", fault.New(fault.Internal, "glue: %s of %s is not to be predicted", e.Split.Name, e.Task.Name)
	}
	var text bytes.Buffer
	fmt.Fprintln(&text, predictionsHeader)
	for i, answer := range e.Task.Answers(outputs) {
		fmt.Fprintf(&text, "%d\t%s\n", e.List[i].Index, answer)
	}
	path = join(folder, e.Split.Submission)
	return path, writeFile(ctx, path, text.Bytes())
}

// checkPredictions holds a file of predictions against what the server wants of a split: the header, one row for
// each example of the official file, indexes that differ, answers that there are.
func checkPredictions(t *Task, split Split, text []byte) error {
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if lines[0] != predictionsHeader {
		return fmt.Errorf("line 1 is %s, not %q", quoted(lines[0]), predictionsHeader)
	}
	if rows := len(lines) - 1; rows != split.Rows {
		return fmt.Errorf("%d rows, but the server wants %d: predict the complete official test file", rows, split.Rows)
	}
	seen := make([]bool, split.Rows)
	for i, line := range lines[1:] {
		index, answer, _ := strings.Cut(line, "\t")
		number, err := strconv.Atoi(index)
		if err != nil || number < 0 || number >= split.Rows || seen[number] {
			return fmt.Errorf("line %d: index %s is not one of 0 to %d, each once", i+2, quoted(index), split.Rows-1)
		}
		seen[number] = true
		if !t.isAnswer(answer) {
			return fmt.Errorf("line %d: %s is no answer of %s", i+2, quoted(answer), t.Title)
		}
	}
	return nil
}

func (t *Task) isAnswer(text string) bool {
	if t.Regression() {
		score, err := strconv.ParseFloat(text, 64)
		return err == nil && score >= t.Low && score <= t.High
	}
	for _, label := range t.Labels {
		if text == label {
			return true
		}
	}
	return false
}

// MeanOutputs is the ensemble of several models: the mean of their outputs for the same examples.
func MeanOutputs(models ...[][]float32) ([][]float32, error) {
	if len(models) == 0 {
		return nil, fault.New(fault.Internal, "glue: an ensemble of no models")
	}
	sum := make([][]float32, len(models[0]))
	for i := range sum {
		sum[i] = make([]float32, len(models[0][i]))
		for _, outputs := range models {
			if len(outputs) != len(sum) || len(outputs[i]) != len(sum[i]) {
				return nil, fault.New(fault.Internal, "glue: an ensemble of outputs of different shapes")
			}
			for c, x := range outputs[i] {
				sum[i][c] += x / float32(len(models))
			}
		}
	}
	return sum, nil
}

// readAll reads a whole file.
func readAll(ctx context.Context, name string) (data []byte, err error) {
	err = readFile(ctx, name, func(in io.Reader) error {
		data, err = io.ReadAll(in)
		return fault.Wrap(fault.Storage, err, "glue: %s: cannot be read", name)
	})
	return data, err
}
