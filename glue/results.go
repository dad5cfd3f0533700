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
	Weights    string        `json:"weights,omitempty"` // tells the model apart from others
	Tasks      []*TaskResult `json:"tasks"`
	Submission *Submission   `json:"submission,omitempty"`
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
	Search     *Search                          `json:"search,omitempty"`
	Runs       []Run                            `json:"runs"`
	Start      string                           `json:"start,omitempty"`    // name of the task from whose model runs started; "" for the pre-trained one
	Notes      []string                         `json:"notes,omitempty"`    // what a reader should know: files and rows left out, another start
	Settings   map[string]string                `json:"settings,omitempty"` // configuration keys by which it was trained
}

// Ensemble is the mean of the outputs of the best runs.
type Ensemble struct {
	Seeds []int64           `json:"seeds"`
	Dev   map[string]Scores `json:"dev"`
}

// Search is what a grid search found before the runs of a task.
type Search struct {
	Points []SearchPoint `json:"points"`
}

// SearchPoint is a point of the grid.
type SearchPoint struct {
	LearningRate float64 `json:"learning_rate"`
	Epochs       float64 `json:"epochs"`
	Runs         int     `json:"runs"` // with a score
	Mean         float64 `json:"mean"` // of the metric by which runs are compared
	Chosen       bool    `json:"chosen,omitempty"`
}

// ReadResults reads the results.json of a folder. Where there is none, errors.Is takes the error for fs.ErrNotExist; one
// that cannot be understood is an error of kind fault.Data.
func ReadResults(ctx context.Context, folder string) (*Results, error) {
	path := join(folder, ResultsJSON)
	text, err := readAll(ctx, path)
	if err != nil {
		return nil, err
	}
	var r Results
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fault.New(fault.Data, "glue: %s: these are no results: %v; remove the file, or choose another --out", path, err)
	}
	return &r, nil
}

// put takes a task's result in, in the order of the benchmark's tables, own tasks last.
func (r *Results) put(result *TaskResult) {
	r.Tasks = slices.DeleteFunc(r.Tasks, func(t *TaskResult) bool { return t.Task == result.Task })
	place := func(t *TaskResult) int {
		if i := slices.Index(taskNames(), t.Task); i >= 0 {
			return i
		}
		return len(tasks)
	}
	r.Tasks = append(r.Tasks, result)
	slices.SortStableFunc(r.Tasks, func(a, b *TaskResult) int { return place(a) - place(b) })
}

// failed is an error of kind fault.Diverged if all runs of a task failed.
func (r *Results) failed() error {
	for _, t := range r.Tasks {
		if len(t.Runs) > 0 && t.Split == "" {
			return fault.New(fault.Diverged, "glue: all %d runs of %s failed, the first one because %s", len(t.Runs), t.Title, t.Runs[0].Failure)
		}
	}
	return nil
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
