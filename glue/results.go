package glue

import (
	"context"
	"encoding/json"
	"math"
	"slices"

	"elektron/internal/fault"
)

// Files that Results.Write makes.
const (
	ResultsJSON = "results.json"
	ResultsText = "results.md"
	ScoresPlot  = "scores.png"
	CurvesPlot  = "curves.png"
)

// Results is what came out of fine-tuning one model on some tasks.
type Results struct {
	Model      string        `json:"model"`
	Tasks      []*TaskResult `json:"tasks"`
	Submission *Submission   `json:"submission,omitempty"`
	Notes      []string      `json:"notes,omitempty"` // what a reader should know: files left out, rows left out
}

// TaskResult is what came out of a task.
type TaskResult struct {
	Task       string                           `json:"task"`
	Title      string                           `json:"title"`
	Metric     Metric                           `json:"metric"` // the one by which runs are compared
	Split      string                           `json:"split"`  // the dev split on which they are
	Metrics    []Metric                         `json:"metrics"`
	Splits     []string                         `json:"splits"`     // the dev splits that runs were measured on
	Statistics map[string]map[Metric]Statistics `json:"statistics"` // by dev split and metric
	Ensemble   *Ensemble                        `json:"ensemble,omitempty"`
	Runs       []Run                            `json:"runs"`
}

// Ensemble is the mean of the outputs of the best runs.
type Ensemble struct {
	Seeds []int64           `json:"seeds"`
	Dev   map[string]Scores `json:"dev"`
}

// NewTaskResult gives runs of a task their statistics. Points of learning curves that are not finite are dropped.
func NewTaskResult(t *Task, runs []Run) *TaskResult {
	runs = slices.Clone(runs)
	for i := range runs {
		runs[i].Loss, runs[i].Curve = finite(runs[i].Loss), finite(runs[i].Curve)
	}
	r := &TaskResult{
		Task: t.Name, Title: t.Title, Metric: t.Main(), Split: MainSplit(t, runs), Metrics: t.Metrics,
		Splits: []string{}, Statistics: map[string]map[Metric]Statistics{}, Runs: runs,
	}
	for _, split := range t.SplitsOf(Dev) {
		if MainSplit(&Task{Splits: []Split{split}}, runs) == "" {
			continue
		}
		r.Splits = append(r.Splits, split.Name)
		r.Statistics[split.Name] = map[Metric]Statistics{}
		for _, m := range t.Metrics {
			r.Statistics[split.Name][m] = Summarize(runs, split.Name, m)
		}
	}
	return r
}

func finite(points []Point) []Point {
	return slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return math.IsNaN(p.Value) || math.IsInf(p.Value, 0) })
}

// Write writes results.json, results.md and the plots into a folder.
func (r *Results) Write(ctx context.Context, folder string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Internal, err, "glue: %s", ResultsJSON)
	}
	if err := writeFile(ctx, join(folder, ResultsJSON), append(text, '\n')); err != nil {
		return err
	}
	if err := writeFile(ctx, join(folder, ResultsText), []byte(r.Markdown())); err != nil {
		return err
	}
	return r.draw(ctx, folder)
}
