package glue

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/testdata"
)

// download runs scripts/download_glue.sh where it can reach no network, and returns what it says.
func download(t *testing.T, args ...string) (said string, err error) {
	t.Helper()
	for _, program := range []string{"bash", "awk", "unzip", "sha256sum", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed, which download_glue.sh needs", program)
		}
	}
	command := exec.CommandContext(t.Context(), "bash", append([]string{filepath.Join("..", "scripts", "download_glue.sh")}, args...)...)
	const nowhere = "http://127.0.0.1:9"
	command.Env = append(os.Environ(), "https_proxy="+nowhere, "HTTPS_PROXY="+nowhere, "ALL_PROXY="+nowhere, "no_proxy=", "NO_PROXY=")
	out, err := command.CombinedOutput()
	return string(out), err
}

// archives are small files in the shape of the official ones, by their names.
func archives(t *testing.T) map[string]string {
	t.Helper()
	mrpc := "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
	pair := "index\tsentence1\tsentence2"
	mnli := "i\tp\tq\tg\t1b\t2b\t1p\t2p\tsentence1\tsentence2"
	row := "0\t0\t0\t0\t0\t0\t0\t0\ta\tb"
	entailment := map[string]string{"train": pair + "\tlabel\n0\ta\tb\tentailment\n", "dev": pair + "\tlabel\n0\ta\tb\tentailment\n", "test": pair + "\n0\ta\tb\n"}
	return map[string]string{
		"CoLA.zip":  zipped(t, "CoLA", map[string]string{"train": "g\t1\t\ta\n", "dev": "g\t0\t*\ta", "test": "index\tsentence\n0\ta\n", "original/raw/in_domain_dev": "x"}),
		"SST-2.zip": zipped(t, "SST-2", map[string]string{"train": "sentence\tlabel\na\t1\n", "dev": "sentence\tlabel\na\t1\n", "test": "index\tsentence\n0\ta\n"}),
		"STS-B.zip": zipped(t, "STS-B", map[string]string{"train": "i\ta\tb\tscore\n0\ta\tb\t5\n", "dev": "i\ta\tb\tscore\n0\ta\tb\t5\n", "test": "i\ta\tb\n0\ta\tb\n"}),
		"QQP-clean.zip": zipped(t, "QQP", map[string]string{"train": "id\tq\tr\ta\tb\tis_duplicate\n0\t0\t0\ta\tb\t1\n", "dev": "id\tq\tr\ta\tb\tis_duplicate\n0\t0\t0\ta\tb\t1\n",
			"test": "id\ta\tb\n0\ta\tb\n"}),
		"MNLI.zip": zipped(t, "MNLI", map[string]string{"train": mnli + "\tgold_label\n" + row + "\tneutral\n", "dev_matched": mnli + "\tgold_label\n" + row + "\tneutral\n",
			"dev_mismatched": mnli + "\tgold_label\n" + row + "\tneutral\n", "test_matched": mnli + "\n" + row + "\n", "test_mismatched": mnli + "\n" + row + "\n"}),
		"QNLIv2.zip":               zipped(t, "QNLI", entailment),
		"RTE.zip":                  zipped(t, "RTE", entailment),
		"WNLI.zip":                 zipped(t, "WNLI", map[string]string{"train": pair + "\tlabel\n0\ta\tb\t1\n", "dev": pair + "\tlabel\n0\ta\tb\t1\n", "test": pair + "\n0\ta\tb\n"}),
		"AX.tsv":                   pair + "\n0\ta\tb\n",
		"msr_paraphrase_train.txt": "\uFEFF" + mrpc + "\r\n1\t7\t8\ta\tb\r\n0\t9\t8\tc \"d\tb\r\n1\t8\t7\te\tf\r\n",
		"msr_paraphrase_test.txt":  "\uFEFF" + mrpc + "\r\n1\t1\t2\ta\tb\r\n0\t3\t4\tc\td\r\n",
		"mrpc_dev_ids.tsv":         "8\t7\n9\t9\n",
	}
}

func zipped(t *testing.T, folder string, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for name, text := range files {
		file, err := archive.Create(folder + "/" + name + ".tsv")
		if err == nil {
			_, err = file.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// checksums writes the sums of files as sha256sum does.
func checksums(t *testing.T, files map[string]string) string {
	t.Helper()
	var text strings.Builder
	for name, data := range files {
		fmt.Fprintf(&text, "%x *%s\n", sha256.Sum256([]byte(data)), name)
	}
	return filepath.Join(writeFiles(t, map[string]string{"sums": text.String()}), "sums")
}

// TestDownloadScript: what the script lays out is what Locate finds and Read reads, every split of every task.
func TestDownloadScript(t *testing.T) {
	files := archives(t)
	from, folder := writeFiles(t, files), filepath.Join(t.TempDir(), "new", "glue")
	if said, err := download(t, "--from", from, "--checksums", checksums(t, files), folder); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, task := range tasks {
		source, err := Locate(t.Context(), folder, task)
		if err != nil || len(source.Missing) > 0 {
			t.Errorf("%s: %v, %+v", task.Name, err, source)
			continue
		}
		for _, split := range task.Splits {
			e, err := source.Read(t.Context(), split)
			if err != nil || task.Name != "mrpc" && (len(e.List) != 1 || e.List[0].A != "a") {
				t.Errorf("%s %s: %v, %+v", task.Name, split.Name, err, e)
			}
		}
	}
	for name, want := range map[string][]Example{
		"train": {{A: "a", B: "b", Label: 1}, {A: `c "d`, B: "b", Index: 1}}, "dev": {{A: "e", B: "f", Label: 1}}, "test": {{A: "a", B: "b"}, {A: "c", B: "d", Index: 1}},
	} {
		e, err := readSplit(t.Context(), folder, tasks[2], name)
		if err != nil {
			t.Error(err)
			continue
		}
		checkExamples(t, "mrpc "+name, e.List, want)
	}
	if _, err := os.Stat(filepath.Join(folder, "SQuAD")); err == nil {
		t.Error("SQuAD came with GLUE unasked")
	}
	if said, err := download(t, folder); err != nil || strings.Count(said, "there already") != 10 {
		t.Errorf("a second time: %v: %s", err, said)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 10 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}

// TestDownloadMRPC puts the original corpus together again from MRPC's files and takes it apart with the script.
func TestDownloadMRPC(t *testing.T) {
	original := filepath.Join(testdata.Data(t), "glue", "MRPC")
	read := func(folder, name string) string {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Skip(err)
		}
		return string(text)
	}
	train, dev, test := read(original, "train.tsv"), read(original, "dev.tsv"), read(original, "test.tsv")
	header, rows, _ := strings.Cut(dev, "\n")
	var ids, labelled strings.Builder
	for line := range strings.Lines(rows) {
		columns := strings.Split(line, "\t")
		fmt.Fprintf(&ids, "%s\t%s\n", columns[1], columns[2])
	}
	labelled.WriteString(header + "\n")
	_, rest, _ := strings.Cut(test, "\n")
	for line := range strings.Lines(rest) {
		_, columns, _ := strings.Cut(line, "\t")
		labelled.WriteString("1\t" + columns)
	}
	files := map[string]string{"msr_paraphrase_train.txt": train + rows, "msr_paraphrase_test.txt": labelled.String(), "mrpc_dev_ids.tsv": ids.String()}
	folder := t.TempDir()
	if said, err := download(t, "--from", writeFiles(t, files), "--checksums", checksums(t, files), folder, "MRPC"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for name, want := range map[string]string{"train.tsv": train, "dev.tsv": dev, "test.tsv": test} {
		if got := read(filepath.Join(folder, "MRPC"), name); got != want {
			t.Errorf("%s: %d bytes differ from the official %d", name, len(got), len(want))
		}
	}
}

// TestDownloadSQuAD: both versions lie where the tasks look for them.
func TestDownloadSQuAD(t *testing.T) {
	files := map[string]string{}
	for _, split := range []string{"train", "dev"} {
		for _, version := range []string{"v1.1", "v2.0"} {
			files[split+"-"+version+".json"] = `{"version":"` + version + `","data":[]}`
		}
	}
	from, folder := writeFiles(t, files), t.TempDir()
	if said, err := download(t, "--from", from, "--checksums", checksums(t, files), folder, "SQuAD"); err != nil || strings.Count(said, " bytes") != 4 {
		t.Fatalf("%v: %s", err, said)
	}
	for _, task := range spanTasks {
		source, err := Locate(t.Context(), folder, task)
		if err != nil || len(source.Missing) > 0 {
			t.Errorf("%s: %v, %+v", task.Name, err, source)
		}
	}
	if said, err := download(t, "--from", from, t.TempDir(), "SQuAD"); err == nil || !strings.Contains(said, "train-v1.1.json: SHA-256 is") {
		t.Errorf("another file: %v: %s", err, said)
	}
	if said, err := download(t, "--list", "SQuAD"); err != nil || strings.Count(said, "SQuAD-explorer/dataset/") != 4 {
		t.Errorf("--list: %v: %s", err, said)
	}
}

func TestDownloadScriptRefusals(t *testing.T) {
	files := archives(t)
	from, sums := writeFiles(t, files), checksums(t, files)
	cut := writeFiles(t, map[string]string{"CoLA.zip": files["CoLA.zip"][:50], "RTE.zip": files["RTE.zip"]})
	cases := []struct {
		name string
		args []string
		want string
		left string // of the folder
	}{
		{"no connection", []string{"FOLDER", "RTE"}, "--list, then --from", ""},
		{"another sum", []string{"--from", from, "FOLDER", "WNLI"}, "WNLI.zip: SHA-256 is", ""},
		{"one cut off, one good", []string{"--from", cut, "--checksums", sums, "FOLDER", "CoLA", "RTE"}, "not fetched: CoLA.", "RTE"},
		{"file that is not there", []string{"--from", cut, "FOLDER", "AX"}, "AX.tsv is not there; get it from https://", ""},
		{"unknown task", []string{"FOLDER", "cola"}, "there is no task cola", ""},
		{"unknown option", []string{"--form", "x", "FOLDER"}, "unknown option --form", ""},
		{"no value", []string{"FOLDER", "--from"}, "--from needs a value", ""},
		{"no folder", nil, "usage:", ""},
		{"no such sums", []string{"--checksums", "absent", "FOLDER"}, "absent cannot be read", ""},
	}
	for _, c := range cases {
		folder := t.TempDir()
		for i := range c.args {
			c.args[i] = strings.Replace(c.args[i], "FOLDER", folder, 1)
		}
		said, err := download(t, c.args...)
		entries, readErr := os.ReadDir(folder)
		var left []string
		for _, entry := range entries {
			left = append(left, entry.Name())
		}
		if err == nil || readErr != nil || !strings.Contains(said, c.want) || strings.Join(left, " ") != c.left {
			t.Errorf("%s: %v, left %v, said %s", c.name, err, left, said)
		}
	}
	if said, err := download(t, "--list"); err != nil || strings.Count(said, "https://") != 12 {
		t.Errorf("--list: %v: %s", err, said)
	}
}
