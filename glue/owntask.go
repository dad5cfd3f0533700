package glue

import (
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"elektron/internal/fault"
	"elektron/internal/settings"
)

// description is the YAML file of an own task. Columns are named by place from 0 ("-1" is the last one) or, where
// there is a header, by name.
type description struct {
	Name            string     `yaml:"name" doc:"name in results; default: the file's name"`
	Train           string     `yaml:"train" doc:"file with labels to train on (.tsv or .parquet), beside this one"`
	Dev             string     `yaml:"dev" doc:"file with labels to measure on"`
	Test            string     `yaml:"test" doc:"file without labels to predict, if any"`
	Header          bool       `yaml:"header" doc:"the first line of each file names the columns"`
	Columns         ofLabelled `yaml:"columns"`
	TestColumns     ofTest     `yaml:"test_columns"`
	Labels          []string   `yaml:"labels" doc:"the classes; none for regression"`
	Low             float64    `yaml:"low" doc:"lowest score, for regression"`
	High            float64    `yaml:"high" doc:"highest score, for regression"`
	Metrics         []string   `yaml:"metrics" oneof:"accuracy,f1,matthews,pearson,spearman" doc:"the first one chooses between runs; default: accuracy, or spearman and pearson"`
	DoubleUnordered bool       `yaml:"double_unordered" doc:"train on both orders of a pair"`
	Epochs          int        `yaml:"epochs" doc:"passes over the training data"`
}

type ofLabelled struct {
	Text  string `yaml:"text" doc:"column of the text"`
	Pair  string `yaml:"pair" doc:"column of the second text, for tasks of pairs"`
	Label string `yaml:"label" doc:"column of the class or score"`
}

type ofTest struct {
	Text  string `yaml:"text" doc:"column of the text in the test file; default: as in the others"`
	Pair  string `yaml:"pair" doc:"column of the second text in the test file; default: as in the others"`
	Index string `yaml:"index" doc:"column of a whole number that identifies the row; default: rows are numbered from 0"`
}

// LoadTask reads the description of an own task, a YAML file such as
//
//	train: train.tsv
//	dev: dev.tsv
//	test: test.tsv
//	columns: {text: question, pair: answer, label: good}
//	labels: [no, yes]
//	metrics: [f1, accuracy]
//	epochs: 3
//
// Files are looked for beside it. Unknown keys and everything else that is wrong are reported together, as an error of
// kind fault.Usage.
func LoadTask(path string) (*Task, error) {
	d := description{Header: true, Epochs: 3, High: 1}
	if err := settings.New(&d).LoadYAML(path); err != nil {
		return nil, fault.Wrap(fault.Usage, err, "glue: own task %s", path)
	}
	if d.Name == "" {
		d.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	if err := d.check(); err != nil {
		return nil, fault.Wrap(fault.Usage, err, "glue: own task %s", path)
	}
	return d.task(filepath.Dir(path)), nil
}

// ownName is what a task may be called: files are named after it.
var ownName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// check reports all that is wrong.
func (d *description) check() error {
	var problems settings.Problems
	if !ownName.MatchString(d.Name) {
		problems.Addf("name %q: want letters, digits, _ . and - only; files are named after it", d.Name)
	}
	if _, err := FindTask(d.Name); err == nil {
		problems.Addf("name %s is that of a task of GLUE; choose another one", d.Name)
	}
	for _, needed := range []struct{ key, value string }{
		{"train", d.Train}, {"dev", d.Dev}, {"columns.text", d.Columns.Text}, {"columns.label", d.Columns.Label},
	} {
		if needed.value == "" {
			problems.Addf("%s is missing", needed.key)
		}
	}
	if d.TestColumns.Pair != "" && d.Columns.Pair == "" {
		problems.Addf("test_columns.pair is set, but columns.pair is not: are the examples pairs?")
	}
	if d.Epochs < 1 {
		problems.Addf("epochs is %d; want at least 1", d.Epochs)
	}
	d.checkLabels(&problems)
	for _, m := range d.Metrics {
		if isForClasses := ofClasses[Metric(m)] != nil; isForClasses != (len(d.Labels) > 0) {
			problems.Addf("metrics: %s does not suit a task %s; choose %s", m, d.kind(), strings.Join(d.suitable(), ", "))
		}
	}
	if slices.Contains(d.Metrics, string(F1)) && len(d.Labels) > 2 {
		problems.Addf("metrics: f1 is that of the second of two classes, but there are %d; choose accuracy or matthews", len(d.Labels))
	}
	return problems.Err()
}

func (d *description) checkLabels(problems *settings.Problems) {
	if len(d.Labels) == 1 {
		problems.Addf("labels: one class is nothing to predict; name all, or none for regression")
	}
	for i, label := range d.Labels {
		if slices.Contains(d.Labels[:i], label) {
			problems.Addf("labels: %q is there twice", label)
		}
	}
	if len(d.Labels) == 0 && (!(d.Low < d.High) || math.IsInf(d.High-d.Low, 0)) {
		problems.Addf("low is %g and high is %g; for regression the range of the scores is needed", d.Low, d.High)
	}
}

func (d *description) kind() string {
	if len(d.Labels) == 0 {
		return "of regression (without labels)"
	}
	return "of classification (with labels)"
}

// suitable are the metrics for the task's kind; the default ones come first.
func (d *description) suitable() []string {
	if len(d.Labels) == 0 {
		return []string{string(Spearman), string(Pearson)}
	}
	return []string{string(Accuracy), string(F1), string(Matthews)}
}

// task makes the row of the table.
func (d *description) task(folder string) *Task {
	t := &Task{
		Name: d.Name, Title: d.Name, Folders: []string{folder}, folder: folder,
		Labels: d.Labels, Low: d.Low, High: d.High, DoubleUnordered: d.DoubleUnordered, Epochs: d.Epochs,
	}
	if len(d.Metrics) == 0 {
		d.Metrics = d.suitable()
		if len(d.Labels) > 0 {
			d.Metrics = d.Metrics[:1]
		}
	}
	for _, m := range d.Metrics {
		t.Metrics = append(t.Metrics, Metric(m))
	}
	labelled := Columns{A: Column(d.Columns.Text), B: Column(d.Columns.Pair), Label: Column(d.Columns.Label)}
	unlabelled := Columns{A: labelled.A, B: labelled.B, Index: Column(d.TestColumns.Index)}
	if d.TestColumns.Text != "" {
		unlabelled.A = Column(d.TestColumns.Text)
	}
	if d.TestColumns.Pair != "" {
		unlabelled.B = Column(d.TestColumns.Pair)
	}
	t.Splits = []Split{
		{Name: "train", Role: Train, File: d.Train, Header: d.Header, Columns: labelled},
		{Name: "dev", Role: Dev, File: d.Dev, Header: d.Header, Columns: labelled},
	}
	if d.Test != "" {
		t.Splits = append(t.Splits, Split{Name: "test", Role: Test, File: d.Test, Header: d.Header, Columns: unlabelled, Submission: d.Name + ".tsv"})
	}
	return t
}
