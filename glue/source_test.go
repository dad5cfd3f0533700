package glue

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"elektron/internal/fault"
)

// inParquet writes rows as the Hugging Face hub does.
func inParquet[Row any](t testing.TB, rows ...Row) string {
	t.Helper()
	var out bytes.Buffer
	if err := parquet.Write(&out, rows, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(2)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

type hubSingle struct {
	Sentence string `parquet:"sentence"`
	Label    int64  `parquet:"label"`
	Index    int32  `parquet:"idx"`
}

type hubScore struct {
	A     string  `parquet:"sentence1"`
	B     string  `parquet:"sentence2"`
	Label float32 `parquet:"label"`
	Index int32   `parquet:"idx"`
}

type hubInference struct {
	A     string `parquet:"premise"`
	B     string `parquet:"hypothesis"`
	Label int64  `parquet:"label"`
	Index int32  `parquet:"idx"`
}

type ownRow struct {
	Question, Answer *string
	Good             string
}

// TestReadParquet reads Hugging Face's layout: texts, class numbers and scores, splits of several files.
func TestReadParquet(t *testing.T) {
	text := func(s string) *string { return &s }
	folder := writeFiles(t, map[string]string{
		"sst2/train-00000-of-00002.parquet":              inParquet(t, hubSingle{"fine ", 1, 0}, hubSingle{"bad", 0, 1}, hubSingle{"", 0, 2}),
		"sst2/train-00001-of-00002.parquet":              inParquet(t, hubSingle{"good", 1, 3}),
		"sst2/validation-00000-of-00001.parquet":         inParquet(t, hubSingle{"dull", 0, 0}),
		"sst2/test-00000-of-00001.parquet":               inParquet(t, hubSingle{"odd", -1, 5}, hubSingle{"even", -1, 6}),
		"stsb/train.parquet":                             inParquet(t, hubScore{"a", "b", 3.8, 0}, hubScore{"c", "d", 0, 1}),
		"stsb/validation/0000.parquet":                   inParquet(t, hubScore{"e", "f", 4.75, 0}),
		"mnli/validation_matched-00000-of-00001.parquet": inParquet(t, hubInference{"a", "b", 2, 0}, hubInference{"c", "d", 0, 1}),
		"mnli/test_matched-00000-of-00001.parquet":       inParquet(t, hubInference{"a", "b", -1, 7}),
		"ax/test-00000-of-00001.parquet":                 inParquet(t, hubInference{"a", "b", -1, 0}),
		"own/own.yaml":                                   "train: a.parquet\ndev: a.parquet\ncolumns: {text: Question, pair: Answer, label: Good}\nlabels: [no, yes]\n",
		"own/a.parquet":                                  inParquet(t, ownRow{text("q"), text("a"), "yes"}, ownRow{text("q"), nil, "no"}),
	})
	cases := []struct {
		task, split string
		want        []Example
		warning     string
	}{
		{"sst2", "train", []Example{{A: "fine ", Label: 1}, {A: "bad", Index: 1}, {A: "", Index: 2}, {A: "good", Label: 1, Index: 3}}, "1 texts are empty (first in row 3)"},
		{"sst2", "dev", []Example{{A: "dull"}}, ""},
		{"sst2", "test", []Example{{A: "odd", Index: 5}, {A: "even", Index: 6}}, ""},
		{"stsb", "train", []Example{{A: "a", B: "b", Score: 3.8}, {A: "c", B: "d", Index: 1}}, ""},
		{"stsb", "dev", []Example{{A: "e", B: "f", Score: 4.75}}, ""},
		{"mnli", "dev_matched", []Example{{A: "a", B: "b", Label: 2}, {A: "c", B: "d", Index: 1}}, ""},
		{"mnli", "test_matched", []Example{{A: "a", B: "b", Index: 7}}, ""},
		{"ax", "diagnostic", []Example{{A: "a", B: "b"}}, ""},
		{filepath.Join(folder, "own", "own.yaml"), "train", nil, "1 of 2 rows are malformed (row 2: no text)"},
	}
	for _, c := range cases {
		task, err := ParseTasks([]string{c.task})
		if err != nil {
			t.Fatal(err)
		}
		e, err := readSplit(t.Context(), folder, task[0], c.split)
		if c.want == nil {
			if err == nil || !strings.Contains(err.Error(), c.warning) {
				t.Errorf("%s %s: error %v, want %q", c.task, c.split, err, c.warning)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", c.task, c.split, err)
			continue
		}
		checkExamples(t, c.task+" "+c.split, e.List, c.want)
		e.Split.Rows = 0
		if got := strings.Join(e.Warnings(), "\n"); (got == "") != (c.warning == "") || !strings.Contains(got, c.warning) {
			t.Errorf("%s %s: warnings %q, want %q", c.task, c.split, got, c.warning)
		}
	}
}

func readSplit(ctx context.Context, folder string, task *Task, name string) (*Examples, error) {
	source, err := Locate(ctx, folder, task)
	if err != nil {
		return nil, err
	}
	for _, split := range task.Splits {
		if split.Name == name {
			return source.Read(ctx, split)
		}
	}
	return nil, fault.New(fault.Internal, "no split %s", name)
}

func TestReadParquetRefusals(t *testing.T) {
	sound := inParquet(t, hubSingle{"fine", 1, 0}, hubSingle{"bad", 0, 1}, hubSingle{"good", 1, 2})
	cut := sound[:len(sound)/2]
	broken := []byte(sound)
	for i := 8; i < len(broken)/3; i++ {
		broken[i] ^= 0x5a
	}
	cases := []struct{ name, file, want string }{
		{"class that is none", inParquet(t, hubSingle{"fine", 2, 0}), "row 1: label 2 is not the number of a class, 0 to 1"},
		{"test labels in train", inParquet(t, hubSingle{"fine", -1, 0}), "label -1 is not the number"},
		{"score for a class", inParquet(t, struct {
			Sentence string  `parquet:"sentence"`
			Label    float64 `parquet:"label"`
			Index    int64   `parquet:"idx"`
		}{"fine", 0.5, 0}), "label 0.5 is not the number"},
		{"no such column", inParquet(t, hubScore{"a", "b", 1, 0}), `no column "sentence" (it has sentence1, sentence2, label, idx)`},
		{"no rows", inParquet[hubSingle](t), "no rows"},
		{"cut off", cut, "not a sound Parquet file"},
		{"damaged", string(broken), "not a sound Parquet file"},
		{"empty", "", "not a sound Parquet file"},
	}
	for _, c := range cases {
		folder := writeFiles(t, map[string]string{"sst2/train-00000-of-00001.parquet": c.file})
		_, err := readSplit(t.Context(), folder, tasks[1], "train")
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Data {
			t.Errorf("%s: error %v (kind %d), want %q", c.name, err, fault.KindOf(err), c.want)
		}
	}
}

func TestLocate(t *testing.T) {
	cases := []struct {
		name, task, files string
		folder, found     string
		problem           string
		need              string // what Need(Train, Dev) says
	}{
		{"original", "cola", "CoLA/train.tsv CoLA/dev.tsv CoLA/test.tsv CoLA/original/raw/in_domain_dev.tsv", "CoLA", "train dev test", "", ""},
		{"by the name of the task", "sst2", "sst2/train.tsv sst2/dev.tsv", "sst2", "train dev", "", ""},
		{"as ELECTRA's code names it", "stsb", "sts/train.tsv sts/dev.tsv", "sts", "train dev", "", ""},
		{"both layouts", "rte", "RTE/dev.tsv RTE/train-0-of-1.parquet RTE/train.tsv RTE/validation-0-of-1.parquet", "RTE", "train dev", "", ""},
		{"Parquet", "qnli", "qnli/train-0-of-1.parquet qnli/validation-0-of-1.parquet", "qnli", "train dev", "", ""},
		{"some files", "mnli", "MNLI/train.tsv MNLI/dev_matched.tsv", "MNLI", "train dev_matched", "", ""},
		{"a split's name that another begins with", "mnli", "mnli/validation_mismatched-0.parquet mnli/train-0.parquet", "mnli", "train dev_mismatched", "", ""},
		{"no dev", "mnli", "MNLI/train.tsv", "MNLI", "train", "", "dev_matched.tsv, "},
		{"only a test file", "wnli", "WNLI/test.tsv", "WNLI", "test", "", "has no train data"},
		{"AX in its folder", "ax", "diagnostic/diagnostic.tsv", "diagnostic", "diagnostic", "", "has no train data"},
		{"AX beside MNLI", "ax", "MNLI/diagnostic.tsv MNLI/train.tsv", "MNLI", "diagnostic", "", "has no train data"},
		{"other tasks only", "qqp", "CoLA/train.tsv QQP/README", "", "", "looked for train.tsv, dev.tsv, test.tsv in ", ""},
	}
	for _, c := range cases {
		files := map[string]string{}
		for _, name := range strings.Fields(c.files) {
			files[name] = "x"
		}
		data := writeFiles(t, files)
		task, err := FindTask(c.task)
		if err != nil {
			t.Fatal(err)
		}
		source, err := Locate(t.Context(), data, task)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) || !strings.Contains(err.Error(), "download_glue.sh "+data) || fault.KindOf(err) != fault.Data {
				t.Errorf("%s: error %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var found []string
		for _, role := range []Role{Train, Dev, Test} {
			for _, split := range source.Splits(role) {
				found = append(found, split.Name)
			}
		}
		if got := strings.Join(found, " "); got != c.found || source.Folder != filepath.Join(data, c.folder) || len(source.Missing)+len(found) != len(task.Splits) || len(source.Warnings()) != len(source.Missing) {
			t.Errorf("%s: %s in %s, missing %v, warnings %q", c.name, got, source.Folder, source.Missing, source.Warnings())
		}
		for _, files := range source.files {
			if len(files) != 1 {
				t.Errorf("%s: a split of %v", c.name, files)
			}
		}
		if err := source.Need(Train, Dev); (err != nil) != (c.need != "") || err != nil && (!strings.Contains(err.Error(), c.need) || fault.KindOf(err) != fault.Data) {
			t.Errorf("%s: Need says %v", c.name, err)
		}
		if len(source.Missing) > 0 {
			if _, err := source.Read(t.Context(), source.Missing[0]); fault.KindOf(err) != fault.Data {
				t.Errorf("%s: reading what is missing: %v", c.name, err)
			}
		}
	}
	if _, err := Locate(t.Context(), filepath.Join(t.TempDir(), "absent"), tasks[0]); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("no such folder: %v", err)
	}
}
