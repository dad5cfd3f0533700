package glue

import (
	"bytes"
	"encoding/json"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// runsOf makes runs of a task with these scores of its main metric on the dev split, from seed 1.
func runsOf(t *Task, split string, scores ...float64) []Run {
	var runs []Run
	for i, score := range scores {
		dev := Scores{}
		for _, m := range t.Metrics {
			dev[m] = score
		}
		runs = append(runs, Run{Task: t.Name, Seed: int64(i + 1), LearningRate: 3e-4, Epochs: float64(t.Epochs), Steps: 100, Chosen: 50, Seconds: 12.6, Dev: map[string]Scores{split: dev}, Last: dev})
	}
	return runs
}

func TestSummarize(t *testing.T) {
	failed := Run{Seed: 9, Failure: "diverged"}
	cases := []struct {
		name   string
		scores []float64
		extra  []Run
		want   Statistics
	}{
		{"none", nil, nil, Statistics{}},
		{"one", []float64{0.5}, nil, Statistics{Count: 1, Median: 0.5, Mean: 0.5, Best: 0.5, BestSeed: 1}},
		{"even", []float64{0.4, 0.1, 0.3, 0.2}, nil, Statistics{Count: 4, Median: 0.25, Mean: 0.25, SD: math.Sqrt(0.05 / 3), StandardError: math.Sqrt(0.05/3) / 2, Best: 0.4, BestSeed: 1}},
		{"odd, the first of two best", []float64{0.1, 0.3, 0.3}, nil, Statistics{Count: 3, Median: 0.3, Mean: 0.7 / 3, SD: math.Sqrt(0.04 / 3), StandardError: math.Sqrt(0.04) / 3, Best: 0.3, BestSeed: 2}},
		{"a failed run", []float64{0.2, 0.2}, []Run{failed}, Statistics{Count: 2, Median: 0.2, Mean: 0.2, Best: 0.2, BestSeed: 1, Failed: 1}},
		{"all failed", nil, []Run{failed, failed}, Statistics{Failed: 2}},
		{"below zero", []float64{-0.3, -0.1}, nil, Statistics{Count: 2, Median: -0.2, Mean: -0.2, SD: math.Sqrt(0.02), StandardError: 0.1, Best: -0.1, BestSeed: 2}},
		{"degenerate ones count", []float64{0.5, 0.7}, []Run{{Seed: 3, Degenerate: true, Dev: map[string]Scores{"dev": {Matthews: 0}}}},
			Statistics{Count: 3, Median: 0.5, Mean: 0.4, SD: math.Sqrt(0.13), StandardError: math.Sqrt(0.13 / 3), Best: 0.7, BestSeed: 2, Degenerate: 1}},
	}
	for _, c := range cases {
		got := Summarize(append(runsOf(tasks[0], "dev", c.scores...), c.extra...), "dev", Matthews)
		a, b := reflect.ValueOf(got), reflect.ValueOf(c.want)
		for i := range a.NumField() {
			if x, y := a.Field(i), b.Field(i); x.CanFloat() && math.Abs(x.Float()-y.Float()) > 1e-12 || x.CanInt() && x.Int() != y.Int() {
				t.Errorf("%s: %s is %v, want %v", c.name, a.Type().Field(i).Name, x, y)
			}
		}
	}
}

func TestBestRuns(t *testing.T) {
	runs := append([]Run{{Seed: 0, Failure: "diverged"}}, runsOf(tasks[0], "dev", 0.2, 0.5, 0.4, 0.5)...)
	cases := map[int]string{0: "", 1: "2", 3: "2 4 3", 9: "2 4 3 1", -1: ""}
	for k, want := range cases {
		var seeds []string
		for _, r := range BestRuns(runs, "dev", Matthews, k) {
			seeds = append(seeds, number(float64(r.Seed)))
		}
		if got := strings.Join(seeds, " "); got != want {
			t.Errorf("best %d: %s, want %s", k, got, want)
		}
	}
}

// TestPublishedRows: the average of each row is that of its scores, as far as its source rounds.
func TestPublishedRows(t *testing.T) {
	for _, p := range publishedRows {
		if p.scores != nil && (len(p.scores) != len(comparedTasks) || math.Abs(mean(p.scores)-p.average) > 0.051) {
			t.Errorf("%s: the mean of %v is %.3f, not %v", p.model, p.scores, mean(p.scores), p.average)
		}
		if p.source == "" || p.protocol == "" {
			t.Errorf("%s: no source", p.model)
		}
	}
	for _, c := range comparedTasks {
		task, err := FindTask(c.task)
		if err != nil || task.Main() != c.metric {
			t.Errorf("%s is chosen by another metric than it is compared by (%v)", c.task, err)
		}
	}
}

// allResults are three runs of every task that has a model of its own.
func allResults() *Results {
	r := &Results{Model: "tiny | 2,000 steps"}
	for i, task := range tasks {
		if task.Model != "" {
			continue
		}
		x := 0.5 + float64(i)/100
		runs := runsOf(task, task.SplitsOf(Dev)[0].Name, x, x+0.02, x+0.1)
		if task.Name == "mnli" {
			for k := range runs {
				runs[k].Dev["dev_mismatched"] = Scores{Accuracy: 0.44}
			}
		}
		r.Tasks = append(r.Tasks, NewTaskResult(task, runs))
	}
	return r
}

func TestMarkdown(t *testing.T) {
	all := allResults().Markdown()
	few := &Results{Model: "small", Submission: &Submission{Missing: []string{"AX.tsv"}}}
	own := &Task{Name: "mine", Title: "mine", Metrics: []Metric{F1, Accuracy}, Labels: []string{"a", "b"}, Splits: []Split{{Name: "dev", Role: Dev}}}
	runs := runsOf(tasks[0], "dev", 0.4, 0)
	runs[1].Degenerate = true
	runs = append(runs, Run{Task: "cola", Seed: 3, Failure: "loss is\nNaN"})
	few.Tasks = append(few.Tasks, NewTaskResult(tasks[0], runs), NewTaskResult(tasks[3], runsOf(tasks[3], "dev", 0.8)), NewTaskResult(own, runsOf(own, "dev", 0.3)))
	few.Tasks[0].Notes = []string{"MNLI: dev_mismatched.tsv is not there"}
	few.Tasks[1].Search = &Search{Points: []SearchPoint{{LearningRate: 1e-4, Epochs: 3, Runs: 2, Mean: 0.71}, {LearningRate: 3e-4, Epochs: 3, Runs: 2, Mean: 0.8, Chosen: true}}}
	few.Tasks[1].Start = "mnli"
	few.Tasks[0].Ensemble = &Ensemble{Seeds: []int64{1, 2}, Dev: map[string]Scores{"dev": {Matthews: 0.41}}}
	cases := []struct{ name, text, want string }{
		{"head of all", all, "| Model | CoLA (Matthews) | SST-2 (accuracy) | MRPC (accuracy) | STS-B (Spearman) | QQP (accuracy) | MNLI-m (accuracy) | QNLI (accuracy) | RTE (accuracy) | Average | Which run | Source |\n"},
		{"median of all", all, `| **tiny \| 2,000 steps** | 52.00 | 53.00 | 54.00 | 55.00 | 56.00 | 57.00 | 58.00 | 59.00 | 55.50 | median of 3 | here |`},
		{"deviation has no average", all, " | – | standard deviation of a run | here |"},
		{"published", all, "| ELECTRA-small, official code on OpenWebText, 1M steps | 56.8 | 88.3 | 87.4 | 86.8 | 88.3 | 78.9 | 87.9 | 68.5 | 80.36 |"},
		{"published average only", all, "| BERT-small, paper | – | – | – | – | – | – | – | – | 75.1 |"},
		{"the paper's average", all, "| 85.1 | median of 10 | Clark"},
		{"mismatched", all, "| MNLI | dev_mismatched | accuracy | 3 | 44.00 | 44.00 | 0.00 | 0.00 | 44.00 (1) | 0 | 0 |"},
		{"WNLI is not compared, but there", all, "| WNLI | dev | accuracy | 3 |"},
		{"two metrics", all, "| MRPC | 1 | 0.0003 | 3 | 100 | 50 | 13 | accuracy 52.00, F1 52.00 | 52.00 |  |"},
		{"head of a few", few.Markdown(), "| Model | CoLA (Matthews) | STS-B (Spearman; from mnli) | Average of these 2 |"},
		{"average of a few", few.Markdown(), "| **small** | 20.00 | 80.00 | 50.00 | median of 1 to 2 at rate and epochs that were best on the dev set | here |"},
		{"published of a few", few.Markdown(), "| ELECTRA-small, official code on OpenWebText, 1M steps | 56.8 | 86.8 | 71.80 |"},
		{"one run has no deviation", few.Markdown(), "| STS-B | dev | Spearman | 1 | 80.00 | 80.00 | – | – | 80.00 (1) | 0 | 0 |"},
		{"degenerate", few.Markdown(), "| CoLA | 2 | 0.0003 | 3 | 100 | 50 | 13 | Matthews 0.00, accuracy 0.00 | 0.00 | degenerate: the same output for every dev example |"},
		{"failed", few.Markdown(), "| CoLA | 3 |  |  |  |  |  |  |  | loss is NaN |"},
		{"failed is counted", few.Markdown(), "| 40.00 (1) | 1 | 1 |"},
		{"own task", few.Markdown(), "| mine | dev | F1 | 1 | 30.00 |"},
		{"submission", few.Markdown(), "- the server also wants AX.tsv"},
		{"after the last step", all, "| 55.50 | median of 3, each after its last step | here |"},
		{"search", few.Markdown(), "| STS-B | 0.0001 | 3 | 2 | 71.00 |  |\n| STS-B | 0.0003 | 3 | 2 | 80.00 | yes |"},
		{"notes", few.Markdown(), "- MNLI: dev_mismatched.tsv is not there\n"},
	}
	for _, c := range cases {
		if !strings.Contains(c.text, c.want) {
			t.Errorf("%s: no %q in\n%s", c.name, c.want, c.text)
		}
	}
	if text := few.Markdown(); strings.Contains(text, "BERT-small") || strings.Contains(text, "ensemble") {
		t.Errorf("averages of other tasks, or an ensemble of one task:\n%s", text)
	}
	few.Tasks[1].Ensemble = &Ensemble{Seeds: []int64{1}, Dev: map[string]Scores{"dev": {Spearman: 0.81}}}
	if want := "| 41.00 | 81.00 | 61.00 | ensemble of the best 2, chosen on the dev set | here |"; !strings.Contains(few.Markdown(), want) {
		t.Errorf("no %q in\n%s", want, few.Markdown())
	}
	for _, line := range strings.Split(all, "\n") {
		if bars := strings.Count(line, "|") - strings.Count(line, `\|`); bars != 0 && bars != 11 && bars != 12 && bars != 13 {
			t.Errorf("a row of %d cells: %s", bars-1, line)
		}
	}
	if empty := (&Results{Model: "none"}).Markdown(); strings.Contains(empty, "##") {
		t.Errorf("no results: %s", empty)
	}
}

// TestWriteResults: JSON that reads back, and pictures.
func TestWriteResults(t *testing.T) {
	r := allResults()
	nan := math.NaN()
	r.Tasks[0].Runs[0].Loss = []Point{{1, 0.7}, {2, 0.5}}
	r.Tasks[0].Runs[0].Curve = []Point{{2, 0.6}}
	r.Tasks[0].Runs[1].Degenerate = true
	r.Tasks[1] = NewTaskResult(tasks[1], []Run{{Task: "sst2", Seed: 1, Failure: "diverged", Loss: []Point{{1, 0.7}, {2, nan}, {3, math.Inf(1)}}}})
	cases := []struct {
		name    string
		results *Results
		files   string
	}{
		{"all", r, "curves.png results.json results.md scores.png"},
		{"no curves", allResults(), "results.json results.md scores.png"},
		{"only a failure", &Results{Tasks: r.Tasks[1:2]}, "curves.png results.json results.md"},
		{"nothing", &Results{}, "results.json results.md"},
	}
	for _, c := range cases {
		folder := t.TempDir()
		if err := c.results.Write(t.Context(), folder); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, entry := range entries {
			names = append(names, entry.Name())
			data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			checkResultFile(t, c.name, entry.Name(), data, c.results)
		}
		if got := strings.Join(names, " "); got != c.files {
			t.Errorf("%s: %s, want %s", c.name, got, c.files)
		}
	}
}

func checkResultFile(t *testing.T, name, file string, data []byte, results *Results) {
	t.Helper()
	switch filepath.Ext(file) {
	case ".png":
		picture, err := png.Decode(bytes.NewReader(data))
		if err != nil || picture.Bounds().Dx() < 300 {
			t.Errorf("%s: %s: %v", name, file, err)
		}
	case ".json":
		var back Results
		if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(&back, results) {
			t.Errorf("%s: %s reads back as %+v, %v", name, file, back, err)
		}
	case ".md":
		if string(data) != results.Markdown() {
			t.Errorf("%s: %s is not its Markdown", name, file)
		}
	}
}
