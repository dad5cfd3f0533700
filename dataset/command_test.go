package dataset

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"elektron/internal/fault"

	"github.com/urfave/cli/v2"
)

// data runs `elektron data ...` and returns what it prints.
func data(t *testing.T, arguments ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, progress bytes.Buffer
	app := &cli.App{Writer: &out, ErrWriter: &progress, Commands: []*cli.Command{Command()}, ExitErrHandler: func(*cli.Context, error) {}}
	err = app.RunContext(t.Context(), append([]string{"elektron", "data"}, arguments...))
	return out.String(), progress.String(), err
}

func TestCommands(t *testing.T) {
	texts, folder := writeTexts(t, 3, 20, 6), t.TempDir()
	vocab, shards := filepath.Join(folder, "vocab.txt"), filepath.Join(folder, "shards")
	lines := filepath.Join(folder, "lines.jsonl")
	var objects strings.Builder
	for i := range 40 {
		fmt.Fprintf(&objects, "{\"id\": %d, \"body\": \"amber of %d shores\\nsilver of %d seas\"}\n", i, i, i)
	}
	writeFile(t, lines, objects.String())
	steps := []struct {
		arguments []string
		out       []string // patterns, all of which must be there
	}{
		{[]string{"vocab", "--data", texts, "--size", "150", "--out", vocab}, []string{`vocab\.txt: \d+ tokens, hash [0-9a-f]{64}`}},
		{[]string{"build", "--data", texts, "--vocab", vocab, "--out", shards, "--workers", "2"}, []string{`3 files`, `60 documents`, `train: 1 shards, \d+ documents`, `valid: 1 shards`}},
		{[]string{"build", "--data", texts, "--size", "120", "--out", shards + "2"}, []string{`60 documents`}},
		{[]string{"inspect", "--seq-len", "64", "--examples", "12", shards}, []string{
			`60 documents`, `two segments +\d+\.\d %`, `one segment +\d+\.\d %`, `≤8/8 \d+\.\d %`, `step 0`, `(?m)^  A .*\{\S+\}`, `(?m)^  B `, `\[short.*: the document ends here\]`,
		}},
		{[]string{"build", "--data", lines, "--text-field", "body", "--vocab", vocab, "--out", shards + "3"}, []string{`1 files`, `40 documents, 80 sentences`}},
		{[]string{"build", "--data", texts, "--document-per-file", "--vocab", vocab, "--out", shards + "4"}, []string{`3 files`, ` 3 documents`}},
		{[]string{"build", "--data", texts, "--cased", "--size", "150", "--out", shards + "5"}, []string{`60 documents`}},
		{[]string{"inspect", "--seq-len", "64", "--one-segment", "--valid", "--whole-word", "--step", "3", shards}, []string{`examples of valid`, `step 3`, `one segment 100\.0 %`}},
	}
	for _, step := range steps {
		out, _, err := data(t, step.arguments...)
		if err != nil {
			t.Fatalf("%v: %v", step.arguments, err)
		}
		for _, pattern := range step.out {
			if !regexp.MustCompile(pattern).MatchString(out) {
				t.Errorf("%v: no %q in\n%s", step.arguments, pattern, out)
			}
		}
	}
}

// The text that inspect shows is the text of the corpus, and its marks agree with its counts.
func TestInspectShowsTheText(t *testing.T) {
	_, folder, err := buildTest(t, writeTexts(t, 2, 20, 6), nil)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := data(t, "inspect", "--examples", "30", "--seq-len", "48", folder)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile(`(?m)^example \d+: (\d+) tokens, (\d+) to predict \((\d+) of them shown\).*\n((?:  [AB] .*\n)+)`).FindAllStringSubmatch(out, -1)
	if len(examples) != 30 {
		t.Fatalf("%d examples of 30 in\n%s", len(examples), out)
	}
	for _, e := range examples {
		text := e[4]
		if strings.Count(text, "{")+strings.Count(text, "<") != atoi(t, e[2]) || strings.Count(text, "<") != atoi(t, e[3]) {
			t.Errorf("marks do not agree with the counts: %s", e[0])
		}
		if regexp.MustCompile(`(?m)^  . .+ [{<]?##`).MatchString(text) { // only a segment may begin inside a word
			t.Errorf("not readable: %s", text)
		}
	}
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

func TestCommandErrors(t *testing.T) {
	texts, folder := writeTexts(t, 1, 5, 3), t.TempDir()
	lines := filepath.Join(folder, "lines.jsonl")
	writeFile(t, lines, "{\"body\": \"amber\"}\n")
	cases := []struct {
		arguments []string
		want      fault.Kind
		says      string
	}{
		{[]string{"inspect"}, fault.Usage, "takes a folder"},
		{[]string{"inspect", folder}, fault.Data, "no manifest.json"},
		{[]string{"inspect", "--seq-len", "1000", folder}, fault.Usage, "8 to 512"},
		{[]string{"inspect", "--step", "-1", folder}, fault.Usage, "step -1"},
		{[]string{"build", texts}, fault.Usage, "--data"},
		{[]string{"build", "--data", filepath.Join(folder, "missing"), "--out", filepath.Join(folder, "x")}, fault.Usage, "missing"},
		{[]string{"build", "--data", texts, "--vocab", filepath.Join(folder, "missing"), "--out", filepath.Join(folder, "x")}, fault.Storage, "missing"},
		{[]string{"build", "--data", texts, "--size", "100", "--out", texts}, fault.Usage, "not empty"},
		{[]string{"build", "--data", lines, "--size", "100", "--out", filepath.Join(folder, "x")}, fault.Data, "--text-field"},
		{[]string{"vocab", "--data", texts, "--size", "2"}, fault.Usage, "2 tokens"},
		{[]string{"vocab", "--data", texts, "--out", filepath.Join(folder, "no", "such", "vocab.txt")}, fault.Storage, "vocab.txt"},
	}
	for _, c := range cases {
		_, _, err := data(t, c.arguments...)
		if err == nil || fault.KindOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: error %v of kind %v, want kind %v that says %q", c.arguments, err, fault.KindOf(err), c.want, c.says)
		}
	}
}
