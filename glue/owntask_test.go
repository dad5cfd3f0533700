package glue

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// writeFiles writes files into a new folder.
func writeFiles(t testing.TB, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

const ownTask = `
train: train.tsv
dev: dev.tsv
test: new/test.tsv
columns: {text: question, pair: answer, label: good}
test_columns: {index: id}
labels: [no, yes]
metrics: [f1, accuracy]
epochs: 4
double_unordered: true
`

func TestLoadTask(t *testing.T) {
	folder := writeFiles(t, map[string]string{
		"mine.yaml":    ownTask,
		"train.tsv":    "question\tanswer\tgood\nq 1\ta 1\tyes\nq 2\ta 2\tno\n",
		"dev.tsv":      "good\tquestion\tanswer\nyes\tq 3\ta 3\n",
		"new/test.tsv": "id\tanswer\tquestion\n7\ta 4\tq 4\n3\ta 5\tq 5\n",
	})
	task, err := LoadTask(filepath.Join(folder, "mine.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if task.Name != "mine" || task.Main() != F1 || task.Epochs != 4 || !task.DoubleUnordered || !task.Pair() || task.Outputs() != 2 {
		t.Errorf("%+v", task)
	}
	source, err := Locate(t.Context(), "", task)
	if err != nil || len(source.Missing) > 0 {
		t.Fatal(err, source)
	}
	want := map[string][]Example{
		"train": {{A: "q 1", B: "a 1", Label: 1, Index: 0}, {A: "q 2", B: "a 2", Label: 0, Index: 1}},
		"dev":   {{A: "q 3", B: "a 3", Label: 1}},
		"test":  {{A: "q 4", B: "a 4", Index: 7}, {A: "q 5", B: "a 5", Index: 3}},
	}
	for _, split := range task.Splits {
		got, err := source.Read(t.Context(), split)
		if err != nil {
			t.Errorf("%s: %v", split.Name, err)
			continue
		}
		checkExamples(t, split.Name, got.List, want[split.Name])
	}
}

// TestLoadTaskRegression: no labels, no header, a Parquet file, defaults.
func TestLoadTaskRegression(t *testing.T) {
	folder := writeFiles(t, map[string]string{
		"rating.yaml": "train: a.tsv\ndev: b.tsv\nheader: false\ncolumns: {text: 1, label: -1}\nlow: -1\nhigh: 3\n",
		"a.tsv":       "x\tgood\t2.5\nx\tbad\t-1",
	})
	task, err := LoadTask(filepath.Join(folder, "rating.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !task.Regression() || task.Pair() || task.Main() != Spearman || task.Target(3) != 1 || task.Score(0.5) != 1 || len(task.Splits) != 2 {
		t.Errorf("%+v", task)
	}
	source, err := Locate(t.Context(), "", task)
	if err != nil {
		t.Fatal(err)
	}
	got, err := source.Read(t.Context(), task.Splits[0])
	if err != nil {
		t.Fatal(err)
	}
	checkExamples(t, "train", got.List, []Example{{A: "good", Score: 2.5}, {A: "bad", Score: -1, Index: 1}})
	if err := source.Need(Train); err != nil {
		t.Error(err)
	}
	if err := source.Need(Train, Dev); fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), "b.tsv") {
		t.Errorf("missing dev file: %v", err)
	}
}

func TestLoadTaskRefusals(t *testing.T) {
	edit := func(old, new string) string { return strings.Replace(ownTask, old, new, 1) }
	cases := []struct{ name, text, want string }{
		{"unknown key", ownTask + "epoch: 2\n", "did you mean epochs?"},
		{"line of the unknown key", "\nlabls: [a]\n" + ownTask, "task.yaml:2"},
		{"no train", edit("train: train.tsv", ""), "train is missing"},
		{"no text", edit("text: question, ", ""), "columns.text is missing"},
		{"several", "metrics: [pearson]\nlabels: [a, a]\n", "problems"},
		{"metric of regression", edit("f1, accuracy", "pearson"), "choose accuracy, f1, matthews"},
		{"metric of classification", edit("labels: [no, yes]", ""), "choose spearman, pearson"},
		{"f1 of three", edit("[no, yes]", "[no, yes, maybe]"), "there are 3"},
		{"one class", edit("[no, yes]", "[yes]"), "one class"},
		{"class twice", edit("[no, yes]", "[no, no]"), "is there twice"},
		{"no range", edit("labels: [no, yes]", "low: 2\nhigh: 2") + "", "range of the scores"},
		{"pair of the test only", edit("pair: answer, ", "") + "", ""},
		{"no epochs", edit("epochs: 4", "epochs: 0"), "at least 1"},
		{"a name that is no file name", "name: a/b\n" + ownTask, "letters, digits"},
		{"another metric", edit("f1, accuracy", "bleu"), "is not one of accuracy, f1"},
		{"no YAML", "train: [", "task.yaml"},
		{"nothing", "", "train is missing"},
	}
	for _, c := range cases {
		_, err := LoadTask(filepath.Join(writeFiles(t, map[string]string{"task.yaml": c.text}), "task.yaml"))
		if (err != nil) != (c.want != "") || err != nil && (!strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Usage) {
			t.Errorf("%s: error %v (kind %d), want %q", c.name, err, fault.KindOf(err), c.want)
		}
	}
}

func checkExamples(t *testing.T, name string, got, want []Example) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d examples, want %d", name, len(got), len(want))
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: example %d is %+v, want %+v", name, i, got[i], want[i])
		}
	}
}
