package glue

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/fault"
	"elektron/internal/testdata"
)

// TestOriginalFiles reads the files of the GLUE server as they are, every row of them.
func TestOriginalFiles(t *testing.T) {
	folder := filepath.Join(testdata.Data(t), "glue")
	cases := map[string]struct {
		rows      string // of the splits that are there
		label     string // of the first row of dev
		a, b      string // of the first row of dev
		testIndex int    // of the last row of test
	}{
		"cola": {rows: "train 8551, dev 1043, test 1063", label: "1", a: "The sailors rode the breeze clear of the rocks.", testIndex: 1062},
		"sst2": {rows: "train 67349, dev 872, test 1821", label: "1", a: "it 's a charming and often affecting journey . ", testIndex: 1820},
		"mrpc": {rows: "train 3668, dev 408, test 1725", label: "1",
			a: "He said the foodservice pie business doesn 't fit the company 's long-term growth strategy .",
			b: `" The foodservice pie business does not fit our long-term growth strategy .`, testIndex: 1724},
		"stsb": {rows: "train 5749, dev 1500, test 1379", label: "5", a: "A man with a hard hat is dancing.", b: "A man wearing a hard hat is dancing.", testIndex: 1378},
		"mnli": {rows: "train *, dev_matched 9815", label: "neutral", a: "The new rights are nice enough", b: "Everyone really likes the newest benefits "},
	}
	for _, task := range tasks {
		c, ok := cases[task.Name]
		if _, err := os.Stat(filepath.Join(folder, task.Folders[0])); !ok || err != nil {
			continue
		}
		source, err := Locate(t.Context(), folder, task)
		if err != nil {
			t.Error(err)
			continue
		}
		var rows []string
		for _, split := range task.Splits {
			if source.files[split.Name] == nil {
				continue
			}
			e, err := source.Read(t.Context(), split)
			if err != nil {
				t.Error(err)
				continue
			}
			if e.Malformed > 0 || e.Extra > 0 {
				t.Errorf("%s: %v", task.Name, e.Warnings())
			}
			count := fmt.Sprint(len(e.List))
			if strings.Contains(c.rows, split.Name+" *") {
				count = "*"
			}
			rows = append(rows, split.Name+" "+count)
			first, last := e.List[0], e.List[len(e.List)-1]
			label := fmt.Sprint(first.Score)
			if !task.Regression() {
				label = task.Labels[first.Label]
			}
			if split.Role == Dev && (label != c.label || first.A != c.a || first.B != c.b) {
				t.Errorf("%s: dev begins with %q %q %q", task.Name, label, first.A, first.B)
			}
			if split.Role == Test && (first.Index != 0 || last.Index != c.testIndex) {
				t.Errorf("%s: test indexes from %d to %d", task.Name, first.Index, last.Index)
			}
		}
		if got := strings.Join(rows, ", "); got != c.rows {
			t.Errorf("%s: %s, want %s", task.Name, got, c.rows)
		}
	}
}

// TestReadRows reads rows in the layouts of the original files that TestOriginalFiles may not find.
func TestReadRows(t *testing.T) {
	cases := []struct {
		task, split, text string
		want              []Example
		warning           string
	}{
		{"qqp", "train", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n" +
			"133273\t213221\t213222\tHow is \"life?\tWhat's up?\t0\n402555\t536040\t536041\tHow \\n?\tWhy?\t1\n",
			[]Example{{A: `How is "life?`, B: "What's up?"}, {A: `How \n?`, B: "Why?", Label: 1, Index: 1}}, ""},
		{"qqp", "train", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n" + strings.Repeat("1\t2\t3\ta\tb\t1\n", 20) +
			"97\t98\t99\t\"Was he real?\n\"\tWas he?\t0\n",
			repeated(Example{A: "a", B: "b", Label: 1}, 20), "2 of 22 rows are malformed and were left out (line 22: 4 columns instead of 6; line 23: 3 columns instead of 6)"},
		{"qqp", "dev", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\t\tb\t1\n", []Example{{B: "b", Label: 1}}, "1 texts are empty (first in line 2)"},
		{"qqp", "test", "id\tquestion1\tquestion2\n0\tWould I?\tDo I?\n1\t\"\tb", []Example{{A: "Would I?", B: "Do I?"}, {A: `"`, B: "b", Index: 1}}, ""},
		{"qnli", "train", "index\tquestion\tsentence\tlabel\n0\tWhen?\tNow.\tentailment\n1\tWho?\tHere.\tnot_entailment\n",
			[]Example{{A: "When?", B: "Now."}, {A: "Who?", B: "Here.", Label: 1, Index: 1}}, ""},
		{"qnli", "test", "index\tquestion\tsentence\n0\tWhen?\tNow.\n", []Example{{A: "When?", B: "Now."}}, ""},
		{"rte", "dev", "index\tsentence1\tsentence2\tlabel\n0\tDana died.\tHe lives.\tnot_entailment\n", []Example{{A: "Dana died.", B: "He lives.", Label: 1}}, ""},
		{"rte", "test", "index\tsentence1\tsentence2\r\n0\tDana died.\tHe lives.\r\n", []Example{{A: "Dana died.", B: "He lives."}}, ""},
		{"wnli", "train", "index\tsentence1\tsentence2\tlabel\n0\tI stuck a pin.\tIt had a hole.\t1\n", []Example{{A: "I stuck a pin.", B: "It had a hole.", Label: 1}}, ""},
		{"wnli", "test", "index\tsentence1\tsentence2\n0\tMaude met Dora.\tDora froze.\n", []Example{{A: "Maude met Dora.", B: "Dora froze."}}, ""},
		{"ax", "diagnostic", "index\tsentence1\tsentence2\n0\tThe cat sat.\tThe cat did not sit.\n", []Example{{A: "The cat sat.", B: "The cat did not sit."}}, ""},
		{"mnli", "test_mismatched", "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\n" +
			"0\t9\t9e\tfiction\t( a )\t( b )\t(a)\t(b)\tA.\tB.\n", []Example{{A: "A.", B: "B."}}, ""},
		{"mnli", "dev_mismatched", "i\tp\tq\tg\t1b\t2b\t1p\t2p\tsentence1\tsentence2\tl1\tl2\tl3\tl4\tl5\tgold_label\n" +
			"0\t9\t9e\tfiction\t( a )\t( b )\t(a)\t(b)\tA.\tB.\tneutral\tneutral\tentailment\tneutral\tneutral\tcontradiction\n", []Example{{A: "A.", B: "B.", Label: 2}}, ""},
		{"cola", "train", "gj04\t1\t\tFine.\r\ngj04\t0\t*\tBad are.\n\n\r\n", []Example{{A: "Fine.", Label: 1}, {A: "Bad are.", Index: 1}}, ""},
		{"cola", "train", strings.Repeat("gj04\t1\t\tFine.\n", 9) + "\n" + "gj04\t1\t\tFine.\n", repeated(Example{A: "Fine.", Label: 1}, 10), "line 10: empty"},
		{"sst2", "test", "\uFEFFindex\tsentence\n0\tnot\tbad\n", []Example{{A: "not"}}, "1 test rows have too many columns; they were read as far as needed (line 2: 3 columns instead of 2)"},
		{"stsb", "train", "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n0\tg\tf\t2012\t0001\tn\tn\tA.\tB.\t3.800\n", []Example{{A: "A.", B: "B.", Score: 3.8}}, ""},
	}
	for _, c := range cases {
		e, err := readText(t, c.task, c.split, c.text)
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

func repeated(e Example, n int) []Example {
	list := make([]Example, n)
	for i := range list {
		list[i] = e
		list[i].Index = i
	}
	return list
}

// readText reads a text as a split of a task of GLUE.
func readText(t testing.TB, name, split, text string) (*Examples, error) {
	t.Helper()
	task, err := FindTask(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range task.Splits {
		if s.Name == split {
			e := &Examples{Task: task, Split: s, Path: split + ".tsv"}
			return e, readTSV(e, strings.NewReader(text))
		}
	}
	t.Fatalf("%s has no split %s", name, split)
	return nil, nil
}

func TestReadRefusals(t *testing.T) {
	cases := []struct{ task, split, text, want string }{
		{"cola", "train", "gj04\t1\t\tFine.\ngj04\t2\t\tFine.\n", `train.tsv:2: label "2" is not one of 0, 1`},
		{"cola", "train", "gj04\t" + strings.Repeat("x", 1000) + "\t\tFine.\n", `x…" is not one of`},
		{"qnli", "train", "index\tquestion\tsentence\tlabel\n0\ta\tb\tentailmen\n", "train.tsv:2: label \"entailmen\" is not one of entailment, not_entailment; is this the train file of QNLI"},
		{"stsb", "dev", "a\tb\tscore\nx\ty\t5.1\n", `score "5.1" is not a number from 0 to 5`},
		{"stsb", "dev", "a\tb\tscore\nx\ty\tNaN\n", `score "NaN" is not`},
		{"stsb", "dev", "a\tb\tscore\nx\ty\t\n", `score "" is not`},
		{"mrpc", "test", "index\t1\t2\ta\tb\nx\t1\t2\ta\tb\n", `test.tsv:2: index "x" is not a number`},
		{"mrpc", "test", "index\t1\t2\ta\tb\n4\t1\t2\ta\tb\n4\t1\t2\ta\tb\n", "row 2: index 4 is there twice"},
		{"mrpc", "test", "index\t1\t2\ta\tb\n0\t1\t2\ta\tb\n1\t1\t2\ta\n", "1 of 2 rows are malformed (line 3: 4 columns instead of 5)"},
		{"cola", "dev", "a,1,,Fine.\n", "dev.tsv:1: 1 columns, and none that is number 4, where the text should be"},
		{"sst2", "train", "sentence\tlabel\n", "no rows"},
		{"sst2", "train", "", "no rows"},
		{"sst2", "train", "fine film\t1\nbad film\t0\n", "train.tsv:1: the first line is a row"},
		{"sst2", "test", "0\tfine film\n1\tbad film\n", "test.tsv:1: the first line is a row"},
		{"sst2", "train", "sentence\tlabel\na\t1\nb\nc\nd\ne\nf\ng\n", "6 of 7 rows are malformed (line 3: 1 columns instead of 2; line 4: 1 columns instead of 2; line 5: 1 columns instead of 2; line 6: 1 columns instead of 2; line 7: 1 columns instead of 2); is this"},
		{"sst2", "train", "sentence\tlabel\n" + strings.Repeat("a", maxLine+1), "train.tsv:2: a line of over 1048576 bytes"},
		{"sst2", "train", "\xff\xfes\x00e\x00n\x00", "1 columns, and none"},
	}
	for _, c := range cases {
		_, err := readText(t, c.task, c.split, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Data {
			t.Errorf("%s %s: error %v (kind %d), want %q", c.task, c.split, err, fault.KindOf(err), c.want)
		}
	}
}

// FuzzTSV: whatever the file, there are sound examples or an error of kind Data, and no row gets lost.
func FuzzTSV(f *testing.F) {
	f.Add("gj04\t1\t\tFine.\r\n\ngj04\t0\t*\tBad", "cola", true)
	f.Add("\uFEFFindex\tsentence\n0\tnot\tbad\n", "sst2", false)
	f.Add("a\tb\tscore\nx\ty\t2.5\n\xff\t\t0\n", "stsb", true)
	f.Fuzz(func(t *testing.T, text, name string, labelled bool) {
		task, err := FindTask(name)
		if err != nil {
			return
		}
		split := task.Splits[len(task.Splits)-1]
		if labelled {
			split = task.Splits[0]
		}
		e := &Examples{Task: task, Split: split, Path: "x.tsv"}
		if err := readTSV(e, strings.NewReader(text)); err != nil {
			if fault.KindOf(err) != fault.Data {
				t.Errorf("kind %d of %v", fault.KindOf(err), err)
			}
			return
		}
		header := 0
		if split.Header {
			header = 1
		}
		lines := strings.Split(text, "\n")
		for len(lines) > 0 && strings.TrimSuffix(lines[len(lines)-1], "\r") == "" {
			lines = lines[:len(lines)-1]
		}
		if rows := len(e.List) + e.Malformed; rows != len(lines)-header {
			t.Errorf("%d rows of %d lines", rows, len(lines))
		}
		for _, x := range e.List {
			if strings.ContainsAny(x.A+x.B, "\t\n") || x.Label < 0 || x.Label >= task.Outputs() || x.Score < task.Low || x.Score > task.High || x.Index < 0 {
				t.Errorf("example %+v", x)
			}
		}
	})
}
