package glue

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"elektron/internal/fault"
)

func TestAnswers(t *testing.T) {
	cases := []struct {
		task    string
		outputs [][]float32
		want    string
	}{
		{"cola", [][]float32{{2, 1}, {1, 2}}, "0 1"},
		{"mnli", [][]float32{{2, 1, 0}, {1, 2, 0}, {0, 1, 2}}, "entailment neutral contradiction"},
		{"ax", [][]float32{{0, 0, 1}}, "contradiction"},
		{"qnli", [][]float32{{2, 1}, {1, 2}}, "entailment not_entailment"},
		{"rte", [][]float32{{2, 1}, {1, 2}}, "entailment not_entailment"},
		{"wnli", [][]float32{{2, 1}, {1, 2}}, "0 1"},
		{"stsb", [][]float32{{0.76}, {-0.01}, {1.5}, {1}}, "3.80000 0.00000 5.00000 5.00000"},
	}
	for _, c := range cases {
		task, err := FindTask(c.task)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(task.Answers(c.outputs), " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.task, got, c.want)
		}
	}
}

// testExamples are those of a test split of n rows, with outputs that answer the classes in turn.
func testExamples(split submissionSplit, n int) (*Examples, [][]float32) {
	e := &Examples{Task: split.task, Split: split.Split}
	outputs := make([][]float32, n)
	for i := range n {
		e.List = append(e.List, Example{Index: i})
		outputs[i] = make([]float32, split.task.Outputs())
		outputs[i][i%split.task.Outputs()] = 1
	}
	return e, outputs
}

// TestSubmission writes predictions of all tasks, then spoils some files.
func TestSubmission(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "out")
	empty, err := WriteSubmission(t.Context(), folder)
	if err != nil || empty.Path != "" || len(empty.Missing) != 11 || empty.Complete() {
		t.Fatalf("empty folder: %+v, %v", empty, err)
	}
	want := map[string]int{"CoLA.tsv": 1063, "SST-2.tsv": 1821, "MRPC.tsv": 1725, "STS-B.tsv": 1379, "QQP.tsv": 390965, "MNLI-m.tsv": 9796,
		"MNLI-mm.tsv": 9847, "QNLI.tsv": 5463, "RTE.tsv": 3000, "WNLI.tsv": 146, "AX.tsv": 1104}
	for _, split := range submissionSplits() {
		e, outputs := testExamples(split, split.Rows)
		path, err := WritePredictions(t.Context(), folder, e, outputs)
		if err != nil || path != filepath.Join(folder, split.Submission) {
			t.Fatal(path, err)
		}
	}
	s, err := WriteSubmission(t.Context(), folder)
	if err != nil || !s.Complete() || !strings.Contains(s.Summary()[0], "complete, all 11") {
		t.Fatalf("%+v, %v", s, err)
	}
	first := checkZip(t, s.Path, want)
	if _, err := WriteSubmission(t.Context(), folder); err != nil || !bytes.Equal(first, checkZip(t, s.Path, want)) {
		t.Errorf("other bytes the second time: %v", err)
	}

	spoil := map[string]struct{ text, why string }{
		"WNLI.tsv":   {predictionsHeader + "\n0\t1\n", "1 rows, but the server wants 146"},
		"CoLA.tsv":   {"0\t1\n", `line 1 is "0\t1"`},
		"AX.tsv":     {predictionsHeader + strings.Repeat("\n5\tneutral", 1104), "line 3: index \"5\" is not one of 0 to 1103, each once"},
		"STS-B.tsv":  {predictionsHeader + strings.Repeat("\n0\tNaN", 1379), `line 2: "NaN" is no answer of STS-B`},
		"MNLI-m.tsv": {predictionsHeader + strings.Repeat("\n0\t1", 9796) + "\n", `line 2: "1" is no answer of MNLI`},
		"RTE.tsv":    {predictionsHeader + strings.Repeat("\n3000\tentailment", 3000) + "\n", `index "3000"`},
	}
	for name, file := range spoil {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(file.text), 0o644); err != nil {
			t.Fatal(err)
		}
		delete(want, name)
	}
	if err := os.Remove(filepath.Join(folder, "QQP.tsv")); err != nil {
		t.Fatal(err)
	}
	delete(want, "QQP.tsv")
	s, err = WriteSubmission(t.Context(), folder)
	if err != nil || s.Complete() || !slices.Equal(s.Missing, []string{"QQP.tsv"}) || len(s.Rejected) != len(spoil) {
		t.Fatalf("%+v, %v", s, err)
	}
	checkZip(t, s.Path, want)
	summary := strings.Join(s.Summary(), "\n")
	for name, file := range spoil {
		if !strings.Contains(s.Rejected[name], file.why) || !strings.Contains(summary, name+" was left out") {
			t.Errorf("%s: rejected because %q, want %q", name, s.Rejected[name], file.why)
		}
	}
	if !strings.Contains(summary, "INCOMPLETE, 4 of the 11") || !strings.Contains(summary, "also wants QQP.tsv") {
		t.Errorf("summary: %s", summary)
	}
}

// checkZip reads a zip: names in the server's order, numbers of rows, no times. It returns the bytes.
func checkZip(t *testing.T, path string, rows map[string]int) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, file := range archive.File {
		in, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		found[file.Name] = strings.Count(string(text), "\n") - 1
		if !strings.HasPrefix(string(text), "index\tprediction\n0\t") || file.Modified.After(time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: begins with %.30q, time %v", file.Name, text, file.Modified)
		}
	}
	if !maps.Equal(found, rows) {
		t.Errorf("zip holds %v, want %v", found, rows)
	}
	return data
}

func TestWritePredictionsRefusals(t *testing.T) {
	split := submissionSplits()[0]
	e, outputs := testExamples(split, 3)
	outputs[1][0] = float32(math.Inf(1))
	cases := []struct {
		name     string
		examples *Examples
		outputs  [][]float32
		kind     fault.Kind
	}{
		{"not finite", e, outputs, fault.Diverged},
		{"too few", e, outputs[:2], fault.Internal},
		{"not to be predicted", &Examples{Task: split.task, Split: split.task.Splits[0]}, nil, fault.Internal},
	}
	for _, c := range cases {
		folder := t.TempDir()
		if _, err := WritePredictions(t.Context(), folder, c.examples, c.outputs); err == nil || fault.KindOf(err) != c.kind {
			t.Errorf("%s: error %v", c.name, err)
		}
		if entries, _ := os.ReadDir(folder); len(entries) > 0 {
			t.Errorf("%s: wrote %v", c.name, entries)
		}
	}
}

func TestMeanOutputs(t *testing.T) {
	got, err := MeanOutputs([][]float32{{1, 0}, {2, 4}}, [][]float32{{3, 1}, {0, 0}})
	if err != nil || fmt.Sprint(got) != "[[2 0.5] [1 2]]" {
		t.Errorf("%v, %v", got, err)
	}
	for _, models := range [][][][]float32{nil, {{{1}}, {{1}, {2}}}, {{{1}}, {{1, 2}}}} {
		if got, err := MeanOutputs(models...); fault.KindOf(err) != fault.Internal {
			t.Errorf("%v gives %v, %v", models, got, err)
		}
	}
}
