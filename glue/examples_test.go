package glue

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestDoubleUnordered(t *testing.T) {
	pairs := []Example{{A: "a", B: "b", Label: 1, Index: 3}, {A: "c", B: "d", Score: 2}}
	want := []Example{pairs[0], pairs[1], {A: "b", B: "a", Label: 1, Index: 3}, {A: "d", B: "c", Score: 2}}
	checkExamples(t, "doubled", DoubleUnordered(pairs), want)
	checkExamples(t, "the pairs themselves", pairs, want[:2])
}

// TestRowsOfOfficialFile: a part of a file is read, and said to be one.
func TestRowsOfOfficialFile(t *testing.T) {
	for text, want := range map[string]string{
		"index\tsentence1\tsentence2\tlabel\n" + strings.Repeat("0\ta\tb\t1\n", 71): "",
		"index\tsentence1\tsentence2\tlabel\n0\ta\tb\t1\n":                          "dev.tsv: 1 rows; the official file has 71",
	} {
		e, err := readText(t, "wnli", "dev", text)
		if err != nil || strings.Join(e.Warnings(), "") != want {
			t.Errorf("warnings %q, %v, want %q", e.Warnings(), err, want)
		}
	}
}

// TestOwnTaskElsewhere: files of an own task may be named by their full path.
func TestOwnTaskElsewhere(t *testing.T) {
	data := writeFiles(t, map[string]string{"train.tsv": "a\t1\n"})
	file := filepath.Join(data, "train.tsv")
	folder := writeFiles(t, map[string]string{"x.yaml": "train: " + file + "\ndev: " + file + "\nheader: false\ncolumns: {text: 0, label: 1}\nlabels: [0, 1]\n"})
	task, err := LoadTask(filepath.Join(folder, "x.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := readSplit(t.Context(), "", task, "dev")
	if err != nil {
		t.Fatal(err)
	}
	checkExamples(t, "dev", e.List, []Example{{A: "a", Label: 1}})
}

func TestJoin(t *testing.T) {
	for _, c := range []struct{ folder, name, want string }{
		{"gs://bucket/glue", "CoLA", "gs://bucket/glue/CoLA"},
		{"gs://bucket/", "CoLA", "gs://bucket/CoLA"},
		{filepath.Join("a", "b"), "c", filepath.Join("a", "b", "c")},
	} {
		if got := join(c.folder, c.name); got != c.want {
			t.Errorf("%s below %s: %s", c.name, c.folder, got)
		}
	}
}
