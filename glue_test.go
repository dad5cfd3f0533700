package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/janpfeifer/must"
)

// TestFromTextToZip pre-trains for a moment and fine-tunes what came out, from the command line, and looks at the zip.
func TestFromTextToZip(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	var text, train, test strings.Builder
	for i := range 400 {
		fmt.Fprintf(&text, "The %s resin of tree %d was %s amber once, and amber it will be.\n", [2]string{"golden", "dark"}[i%2], i, [2]string{"clear", "cloudy"}[i%2])
		if i%10 == 9 {
			text.WriteString("\n")
		}
	}
	train.WriteString("index\tsentence1\tsentence2\tlabel\n")
	test.WriteString("index\tsentence1\tsentence2\n")
	for i := range 146 {
		row := fmt.Sprintf("%d\tthe resin was %s\tamber it will be", i, [2]string{"clear", "cloudy"}[i%2])
		fmt.Fprintf(&train, "%s\t%d\n", row, i%2)
		fmt.Fprintf(&test, "%s\n", row)
	}
	write(folder, "text/a.txt", text.String())
	write(folder, "GLUE/WNLI/train.tsv", train.String())
	write(folder, "GLUE/WNLI/dev.tsv", train.String())
	write(folder, "GLUE/WNLI/test.tsv", test.String())
	narrow := []string{"--set", "model.hidden_size=32", "--set", "model.embedding_size=16", "--set", "model.intermediate_size=32", "--set", "data.vocab_size=200"}
	said, err := elektron(append(narrow, "--platform=go", "--data=text", "--steps=3", "--batch-size=8", "--seq-len=16", "--set", "data.cache=cache", "--set", "run.eval_batches=1", "--set", "data.valid_share=0.1")...)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, out := range []string{"first", "again"} {
		said, err = elektron("glue", "--model", "run", "--data-dir", "GLUE", "--task", "wnli", "--seeds", "2", "--platform", "go", "--out", "results",
			"--set", "finetune.lr=5e-3", "--set", "finetune.layer_decay=1", "--set", "finetune.epochs=2", "--set", "finetune.dropout=0")
		if err != nil || !strings.Contains(said, "INCOMPLETE, 1 of the 11 files that the GLUE server wants: WNLI.tsv") || !strings.Contains(said, "WNLI  dev        accuracy  2") {
			t.Fatalf("%s: %v\n%s", out, err, said)
		}
	}
	var results struct {
		Tasks []struct {
			Runs []struct{ Dev map[string]map[string]float64 }
		}
	}
	must.M(json.Unmarshal(must.M1(os.ReadFile(filepath.Join("results", "results.json"))), &results))
	if len(results.Tasks) != 1 || len(results.Tasks[0].Runs) != 2 || results.Tasks[0].Runs[0].Dev["dev"]["accuracy"] < 0.9 {
		t.Errorf("%+v", results)
	}
	for _, file := range []string{"submission.zip", "WNLI.tsv", "results.md", "config.yaml"} {
		if _, err := os.Stat(filepath.Join("results", file)); err != nil {
			t.Error(err)
		}
	}
}

// TestReproduceRefusals are calls of scripts/reproduce_small.sh that end with a sentence, before anything is built.
func TestReproduceRefusals(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	for args, says := range map[string]string{
		"":                                    "--data is missing",
		"--data x --glue GLUE":                "--out is missing",
		"--data x --glue nowhere --out out":   "download_glue.sh nowhere fetches the files",
		"--smok":                              "unknown flag --smok",
		"--data x --glue GLUE --out":          "--out needs a value",
		"--smoke --offline --data x --out no": "--glue is missing",
	} {
		command := exec.CommandContext(t.Context(), "bash", append([]string{filepath.Join("scripts", "reproduce_small.sh")}, strings.Fields(args)...)...)
		said, err := command.CombinedOutput()
		if err == nil || command.ProcessState.ExitCode() != 2 || !strings.Contains(string(said), says) {
			t.Errorf("%q: %v, said %s", args, err, said)
		}
	}
}
