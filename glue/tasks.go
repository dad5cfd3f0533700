// Package glue takes a pre-trained model to the GLUE benchmark (A. Wang et al., "GLUE", 2018, arXiv 1804.07461) and
// to tasks of the user's own: it reads a task's files, makes batches of its texts, measures predictions, and writes
// tables of results and the zip that the GLUE server takes.
package glue

import (
	"slices"
	"strings"

	"elektron/glue/squad"
	"elektron/internal/fault"
	"elektron/internal/settings"
)

// Role says what a split is for.
type Role int

// The roles, in the order in which splits are used.
const (
	Train Role = iota
	Dev
	Test
)

func (r Role) String() string { return [...]string{"train", "dev", "test"}[r] }

// Column names a column of a table: by its place from 0 ("3"), by its place from the end ("-1" is the last one), or
// by its name in the header. The empty Column is none.
type Column string

// Columns says where the parts of an example stand. B is none for single texts, Label is none in test splits, and
// without Index examples are numbered from 0.
type Columns struct{ A, B, Label, Index Column }

// Split is one file of a task.
type Split struct {
	Name       string // "train", "dev", "dev_matched", ...
	Role       Role
	File       string // in the task's folder
	Header     bool   // the first line names the columns
	Columns    Columns
	Parquet    string // how Hugging Face's file names for it begin: "validation_matched"
	Rows       int    // of the official file, what the server wants of a test split; 0 if nobody says
	Submission string // file of the predictions; "" for splits that need none
}

// Task is a row of the table of tasks.
type Task struct {
	Name, Title     string   // "sst2" as on the command line, "SST-2" as in papers
	Folders         []string // names its folder goes by; the first is the official one
	Splits          []Split  // train, then dev, then test
	Parquet         Columns  // columns of Hugging Face's files, by name
	Labels          []string // classes in the order of their numbers, as the server writes them; none for regression
	Low, High       float64  // range of the scores, for regression
	Metrics         []Metric // the first one chooses between runs
	DoubleUnordered bool     // train on (b, a) beside (a, b): the task is symmetric
	Epochs          int      // ELECTRA's, paper table 7
	Model           string   // name of the task whose model predicts this one; "" if it has its own

	Spans squad.Version // of tasks whose answers are parts of a text (see spanTasks); 0 for the others

	folder string // of an own task: where its description is
}

// Regression says whether the task is to predict a number instead of a class.
func (t *Task) Regression() bool { return len(t.Labels) == 0 && t.Spans == 0 }

// Pair says whether examples are pairs of texts.
func (t *Task) Pair() bool { return t.Splits[0].Columns.B != "" }

// Outputs is the number of logits a model needs for an example: one a class, one for regression. Answers that are parts
// of a text have none: see squad.Windows.
func (t *Task) Outputs() int { return max(1, len(t.Labels)) }

// Main is the metric that chooses between runs.
func (t *Task) Main() Metric { return t.Metrics[0] }

// SplitsOf lists the task's splits of a role.
func (t *Task) SplitsOf(role Role) []Split {
	var found []Split
	for _, s := range t.Splits {
		if s.Role == role {
			found = append(found, s)
		}
	}
	return found
}

// Target scales a score to [0, 1], what a model of a regression task learns.
func (t *Task) Target(score float64) float64 { return (score - t.Low) / (t.High - t.Low) }

// Score scales a model's output back to a score, which may be a little out of range.
func (t *Task) Score(output float64) float64 { return t.Low + output*(t.High-t.Low) }

// threeSplits are the train, dev and test files of most tasks: the columns with and without labels, the official
// numbers of rows, and the name of the submission.
func threeSplits(labelled, unlabelled Columns, train, dev, test int, submission string) []Split {
	return []Split{
		{Name: "train", Role: Train, File: "train.tsv", Header: true, Columns: labelled, Parquet: "train", Rows: train},
		{Name: "dev", Role: Dev, File: "dev.tsv", Header: true, Columns: labelled, Parquet: "validation", Rows: dev},
		{Name: "test", Role: Test, File: "test.tsv", Header: true, Columns: unlabelled, Parquet: "test", Rows: test, Submission: submission},
	}
}

// tasks is the table. Columns, labels and numbers of rows are those of the files that the GLUE server offers; the
// Parquet columns are those of the data set "glue" on the Hugging Face hub, whose class numbers are the order of
// Labels here.
var tasks = []*Task{
	{
		Name: "cola", Title: "CoLA", Folders: []string{"CoLA", "cola"},
		Splits:  colaSplits(),
		Parquet: Columns{A: "sentence", Label: "label", Index: "idx"},
		Labels:  []string{"0", "1"}, Metrics: []Metric{Matthews, Accuracy}, Epochs: 3,
	},
	{
		Name: "sst2", Title: "SST-2", Folders: []string{"SST-2", "sst2", "sst"},
		Splits:  threeSplits(Columns{A: "0", Label: "1"}, Columns{A: "1", Index: "0"}, 67349, 872, 1821, "SST-2.tsv"),
		Parquet: Columns{A: "sentence", Label: "label", Index: "idx"},
		Labels:  []string{"0", "1"}, Metrics: []Metric{Accuracy}, Epochs: 3,
	},
	{
		Name: "mrpc", Title: "MRPC", Folders: []string{"MRPC", "mrpc"},
		Splits:  threeSplits(Columns{A: "3", B: "4", Label: "0"}, Columns{A: "3", B: "4", Index: "0"}, 3668, 408, 1725, "MRPC.tsv"),
		Parquet: Columns{A: "sentence1", B: "sentence2", Label: "label", Index: "idx"},
		Labels:  []string{"0", "1"}, Metrics: []Metric{Accuracy, F1}, Epochs: 3, DoubleUnordered: true,
	},
	{
		Name: "stsb", Title: "STS-B", Folders: []string{"STS-B", "stsb", "sts"},
		Splits:  threeSplits(Columns{A: "-3", B: "-2", Label: "-1"}, Columns{A: "-2", B: "-1", Index: "0"}, 5749, 1500, 1379, "STS-B.tsv"),
		Parquet: Columns{A: "sentence1", B: "sentence2", Label: "label", Index: "idx"},
		Low:     0, High: 5, Metrics: []Metric{Spearman, Pearson}, Epochs: 10, DoubleUnordered: true,
	},
	{
		Name: "qqp", Title: "QQP", Folders: []string{"QQP", "qqp"},
		Splits:  threeSplits(Columns{A: "3", B: "4", Label: "5"}, Columns{A: "1", B: "2", Index: "0"}, 363846, 40430, 390965, "QQP.tsv"),
		Parquet: Columns{A: "question1", B: "question2", Label: "label", Index: "idx"},
		Labels:  []string{"0", "1"}, Metrics: []Metric{Accuracy, F1}, Epochs: 3,
	},
	{
		Name: "mnli", Title: "MNLI", Folders: []string{"MNLI", "mnli"},
		Splits:  mnliSplits(),
		Parquet: Columns{A: "premise", B: "hypothesis", Label: "label", Index: "idx"},
		Labels:  []string{"entailment", "neutral", "contradiction"}, Metrics: []Metric{Accuracy}, Epochs: 3,
	},
	{
		Name: "qnli", Title: "QNLI", Folders: []string{"QNLI", "qnli"},
		Splits:  threeSplits(Columns{A: "1", B: "2", Label: "3"}, Columns{A: "1", B: "2", Index: "0"}, 104743, 5463, 5463, "QNLI.tsv"),
		Parquet: Columns{A: "question", B: "sentence", Label: "label", Index: "idx"},
		Labels:  []string{"entailment", "not_entailment"}, Metrics: []Metric{Accuracy}, Epochs: 3,
	},
	{
		Name: "rte", Title: "RTE", Folders: []string{"RTE", "rte"},
		Splits:  threeSplits(Columns{A: "1", B: "2", Label: "3"}, Columns{A: "1", B: "2", Index: "0"}, 2490, 277, 3000, "RTE.tsv"),
		Parquet: Columns{A: "sentence1", B: "sentence2", Label: "label", Index: "idx"},
		Labels:  []string{"entailment", "not_entailment"}, Metrics: []Metric{Accuracy}, Epochs: 10,
	},
	{
		Name: "wnli", Title: "WNLI", Folders: []string{"WNLI", "wnli"},
		Splits:  threeSplits(Columns{A: "1", B: "2", Label: "3"}, Columns{A: "1", B: "2", Index: "0"}, 635, 71, 146, "WNLI.tsv"),
		Parquet: Columns{A: "sentence1", B: "sentence2", Label: "label", Index: "idx"},
		Labels:  []string{"0", "1"}, Metrics: []Metric{Accuracy}, Epochs: 3,
	},
	{
		Name: "ax", Title: "AX", Folders: []string{"diagnostic", "AX", "ax", "MNLI"}, Model: "mnli",
		Splits: []Split{{Name: "diagnostic", Role: Test, File: "diagnostic.tsv", Header: true,
			Columns: Columns{A: "1", B: "2", Index: "0"}, Parquet: "test", Rows: 1104, Submission: "AX.tsv"}},
		Parquet: Columns{A: "premise", B: "hypothesis", Label: "label", Index: "idx"},
		Labels:  []string{"entailment", "neutral", "contradiction"}, Metrics: []Metric{Accuracy},
	},
}

// colaSplits: only the test file has a header.
func colaSplits() []Split {
	splits := threeSplits(Columns{A: "3", Label: "1"}, Columns{A: "1", Index: "0"}, 8551, 1043, 1063, "CoLA.tsv")
	splits[0].Header, splits[1].Header = false, false
	return splits
}

// mnliSplits: a matched (genres of the training set) and a mismatched (other genres) dev and test split. The train
// and dev files differ in the labels of single annotators that they list; the last column is the gold label in both.
func mnliSplits() []Split {
	labelled, unlabelled := Columns{A: "8", B: "9", Label: "-1"}, Columns{A: "8", B: "9", Index: "0"}
	split := func(role Role, which, parquet string, columns Columns, rows int, submission string) Split {
		name := role.String() + "_" + which
		return Split{name, role, name + ".tsv", true, columns, parquet + "_" + which, rows, submission}
	}
	return []Split{
		{Name: "train", Role: Train, File: "train.tsv", Header: true, Columns: labelled, Parquet: "train", Rows: 392702},
		split(Dev, "matched", "validation", labelled, 9815, ""),
		split(Dev, "mismatched", "validation", labelled, 9832, ""),
		split(Test, "matched", "test", unlabelled, 9796, "MNLI-m.tsv"),
		split(Test, "mismatched", "test", unlabelled, 9847, "MNLI-mm.tsv"),
	}
}

// Tasks lists the tasks of the benchmark in the order of tables: a task comes after the one whose model predicts it.
func Tasks() []*Task { return slices.Clone(tasks) }

// taskNames are the names of the benchmark's tasks.
func taskNames() []string {
	var names []string
	for _, t := range tasks {
		names = append(names, t.Name)
	}
	return names
}

// FindTask finds a task of the benchmark or of SQuAD, whose version 1.1 is also called squad; case and hyphens in the
// name do not matter ("SST-2" is sst2). A name that is none gives an error of kind fault.Usage with the nearest one.
func FindTask(name string) (*Task, error) {
	plain := strings.ReplaceAll(strings.ToLower(name), "-", "")
	if plain == "squad" {
		plain = "squad1"
	}
	for _, t := range slices.Concat(tasks, spanTasks) {
		if t.Name == plain {
			return t, nil
		}
	}
	names := append(taskNames(), spanTaskNames()...)
	return nil, fault.New(fault.Usage, "glue: there is no task %q%s (tasks: %s, all, or a .yaml file that describes your own)",
		name, settings.DidYouMean(settings.Nearest(plain, names)), strings.Join(names, " "))
}

// ParseTasks reads what --task takes: names of the benchmark's tasks, "all" for all of them, those of SQuAD, which are not
// among all, and YAML files of own tasks (see LoadTask). Each task is there once: the benchmark's in the order of Tasks,
// then SQuAD's, then own ones as named.
func ParseTasks(names []string) ([]*Task, error) {
	chosen, own := map[string]bool{}, []*Task{}
	var problems settings.Problems
	for _, name := range names {
		switch {
		case strings.EqualFold(name, "all"):
			for _, t := range tasks {
				chosen[t.Name] = true
			}
		case strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml"):
			t, err := LoadTask(name)
			if err == nil && slices.ContainsFunc(own, func(o *Task) bool { return o.Name == t.Name }) {
				err = fault.New(fault.Usage, "glue: %s: another file has a task %s already; give one of them another name", name, t.Name)
			}
			problems.Add(err)
			own = append(own, t)
		default:
			t, err := FindTask(name)
			problems.Add(err)
			if err == nil {
				chosen[t.Name] = true
			}
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	var found []*Task
	for _, t := range slices.Concat(tasks, spanTasks) {
		if chosen[t.Name] {
			found = append(found, t)
		}
	}
	if found = append(found, own...); len(found) == 0 {
		return nil, fault.New(fault.Usage, "glue: no task named; pass --task with some of %s, all, or a .yaml file", strings.Join(taskNames(), " "))
	}
	return found, nil
}
