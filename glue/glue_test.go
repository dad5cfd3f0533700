package glue

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/janpfeifer/must"
	"github.com/urfave/cli/v2"

	"elektron/internal/arguments"
	"elektron/internal/fault"
	"elektron/model"
)

// inference is a file of pairs in the layout of MNLI (eight columns before the texts), RTE (one) or AX: texts from two
// sides, and a label, or none in test files.
func inference(before int, rows int, labels ...string) string {
	var b strings.Builder
	row := func(first, a, c, label string) {
		cells := append(append([]string{first}, slices.Repeat([]string{"n/a"}, before-1)...), a, c)
		if labels != nil {
			cells = append(cells, label)
		}
		fmt.Fprintln(&b, strings.Join(cells, "\t"))
	}
	row("index", "sentence1", "sentence2", "gold_label")
	for i := range rows {
		text, place := toyText(i)
		label := ""
		if labels != nil {
			label = labels[place%len(labels)]
		}
		row(fmt.Sprint(i), text, "a b", label)
	}
	return b.String()
}

// toyGLUE has MNLI without its mismatched test file, AX and WNLI with the official numbers of test rows, and RTE.
func toyGLUE(t testing.TB) string {
	mnli, rte, wnli := []string{"entailment", "neutral"}, []string{"entailment", "not_entailment"}, []string{"0", "1"}
	return writeFiles(t, map[string]string{
		"MNLI/train.tsv": inference(8, 48, mnli...), "MNLI/dev_matched.tsv": inference(8, 20, mnli...), "MNLI/dev_mismatched.tsv": inference(8, 12, mnli...),
		"MNLI/test_matched.tsv": inference(8, 5), "diagnostic/diagnostic.tsv": inference(1, 1104),
		"RTE/train.tsv": inference(1, 32, rte...), "RTE/dev.tsv": inference(1, 12, rte...), "RTE/test.tsv": inference(1, 7),
		"WNLI/train.tsv": inference(1, 32, wnli...), "WNLI/dev.tsv": inference(1, 12, wnli...), "WNLI/test.tsv": inference(1, 146),
	})
}

// TestBenchmark runs tasks of GLUE from their files to the zip: MNLI comes first, since AX is predicted by its model and
// RTE starts from it; what is missing is said.
func TestBenchmark(t *testing.T) {
	config := toyConfig(t, toyModel(t, nil), "ax")
	config.Run.Tasks, config.Run.DataDir, config.Run.Seeds = []string{"ax", "wnli", "rte"}, toyGLUE(t), 2
	config.Finetune.Epochs, config.Finetune.InitFromTask, config.Finetune.BatchSize = 2, "mnli", 48
	results, said := fineTune(t, config)
	var order []string
	for _, task := range results.Tasks {
		order = append(order, task.Task+" "+strings.Join(task.Splits, " "))
	}
	if got := strings.Join(order, ", "); got != "mnli dev_matched dev_mismatched, rte dev, wnli dev" {
		t.Errorf("tasks %s", got)
	}
	if strings.Index(said, "MNLI, seed") > strings.Index(said, "WNLI, seed") || strings.Contains(said, "once more") {
		t.Errorf("MNLI does not come first:\n%s", said)
	}
	s := results.Submission
	if got := strings.Join(s.Included, " "); got != "WNLI.tsv AX.tsv" || len(s.Missing) != 7 || s.Rejected["MNLI-m.tsv"] == "" || s.Rejected["RTE.tsv"] == "" {
		t.Errorf("submission %+v", s)
	}
	checkZip(t, filepath.Join(config.Run.Out, SubmissionFile), map[string]int{"WNLI.tsv": 146, "AX.tsv": 1104})
	text := string(must.M1(os.ReadFile(filepath.Join(config.Run.Out, ResultsText))))
	for _, want := range []string{"RTE started from the best model of MNLI", "test_mismatched.tsv is not there; MNLI-mm.tsv is not written", "INCOMPLETE", "48 rows; the official file has 392702"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "WNLI started from") || results.Tasks[2].Settings["finetune.init_from_task"] != `""` || results.Tasks[1].Settings["finetune.init_from_task"] != "mnli" {
		t.Errorf("WNLI started elsewhere too")
	}
	again, said := fineTune(t, config)
	if !reflect.DeepEqual(again, results) || strings.Contains(said, "begins") || strings.Contains(said, "once more") {
		t.Errorf("finished runs were run again:\n%s", said)
	}
	must.M(os.Remove(filepath.Join(config.Run.Out, "runs", "rte", "seed-2.json")))
	again, said = fineTune(t, config)
	if !reflect.DeepEqual(timeless(again), timeless(results)) || strings.Count(said, "begins") != 1 || strings.Count(said, "once more") != 1 {
		t.Errorf("a run from MNLI's model, made again, is another one:\n%s", said)
	}
}

// TestNewTestFile: a test file that came later is predicted by making the run again, with the same scores.
func TestNewTestFile(t *testing.T) {
	task := toyTask(t, "")
	test := filepath.Join(filepath.Dir(task), "test.tsv")
	text := must.M1(os.ReadFile(test))
	must.M(os.Remove(test))
	config := toyConfig(t, toyModel(t, nil), task)
	config.Finetune.Epochs = 1
	before, _ := fineTune(t, config)
	must.M(os.WriteFile(test, append(text, "1150\ta b c d e f g h i j k l x\n"...), 0o644)) // longer than the others
	after, said := fineTune(t, config)
	after.Tasks[0].Notes, before.Tasks[0].Notes = nil, nil
	if !reflect.DeepEqual(timeless(before), timeless(after)) || !strings.Contains(said, "begins") {
		t.Errorf("%+v\n%+v\n%s", before.Tasks[0], after.Tasks[0], said)
	}
	if rows := bytes.Count(must.M1(os.ReadFile(filepath.Join(config.Run.Out, "mine.tsv"))), []byte("\n")); rows != 26 {
		t.Errorf("%d lines of predictions", rows)
	}
}

func TestRecipes(t *testing.T) {
	file := filepath.Join(writeFiles(t, map[string]string{"tasks.yaml": "rte: {epochs: 20, init_from_task: \"\"}\nmine: {lr: 1e-3, init_from_task: mnli}\ncola: {batch_size: 8}\n"}), "tasks.yaml")
	own := must.M1(LoadTask(toyTask(t, "epochs: 4\n")))
	find := func(name string) *Task {
		if name == "mine" {
			return own
		}
		return must.M1(FindTask(name))
	}
	for _, c := range []struct {
		task   string
		hidden int
		file   string
		want   FinetuneConfig // what differs from the defaults
	}{
		{"cola", 128, "", FinetuneConfig{LR: 3e-4, LayerDecay: 0.8, Epochs: 3, BatchSize: 32}},
		{"rte", 256, "", FinetuneConfig{LR: 3e-4, LayerDecay: 0.8, Epochs: 10, BatchSize: 32, InitFromTask: "mnli"}},
		{"stsb", 768, "", FinetuneConfig{LR: 1e-4, LayerDecay: 0.8, Epochs: 10, BatchSize: 32, InitFromTask: "mnli", DoubleUnordered: true}},
		{"mrpc", 1024, "", FinetuneConfig{LR: 5e-5, LayerDecay: 0.9, Epochs: 3, BatchSize: 32, InitFromTask: "mnli", DoubleUnordered: true}},
		{"qqp", 1024, file, FinetuneConfig{LR: 5e-5, LayerDecay: 0.9, Epochs: 3, BatchSize: 32}},
		{"rte", 256, file, FinetuneConfig{LR: 3e-4, LayerDecay: 0.8, Epochs: 20, BatchSize: 32}},
		{"cola", 256, file, FinetuneConfig{LR: 3e-4, LayerDecay: 0.8, Epochs: 3, BatchSize: 8}},
		{"mine", 256, file, FinetuneConfig{LR: 1e-3, LayerDecay: 0.8, Epochs: 4, BatchSize: 32, InitFromTask: "mnli"}},
	} {
		config := Defaults()
		config.Run.TaskConfig, config.Finetune.InitFromTask = c.file, "mnli"
		recipes, err := config.recipes(own)
		if err != nil {
			t.Fatal(err)
		}
		got, want := recipes[c.task].resolved(find(c.task), &model.Config{HiddenSize: c.hidden, MaxPositions: 200 - c.hidden/10}), Defaults().Finetune
		want.LR, want.LayerDecay, want.Epochs, want.BatchSize = c.want.LR, c.want.LayerDecay, c.want.Epochs, c.want.BatchSize
		want.MaxSeqLen = min(128, 200-c.hidden/10)
		want.InitFromTask, want.DoubleUnordered = c.want.InitFromTask, c.want.DoubleUnordered
		if got != want {
			t.Errorf("%s, width %d: %+v, want %+v", c.task, c.hidden, got, want)
		}
	}
}

func TestGrid(t *testing.T) {
	for _, c := range []struct {
		sweep  SweepConfig
		hidden int
		points int
		first  point
		wrong  string
	}{
		{SweepConfig{}, 256, 8, point{lr: 1e-4, epochs: 3}, ""},
		{SweepConfig{}, 1024, 6, point{lr: 3e-5, epochs: 3}, ""},
		{SweepConfig{LR: []string{"1e-3", "2e-3"}, Epochs: []string{"0.5"}}, 256, 2, point{lr: 1e-3, epochs: 0.5}, ""},
		{SweepConfig{LR: []string{"fast"}, Epochs: []string{"-1"}}, 256, 0, point{}, `"fast" is no positive number`},
	} {
		points, err := c.sweep.grid(c.hidden)
		if c.wrong != "" {
			if fault.ExitCode(err) != 2 || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%+v: %v", c.sweep, err)
			}
		} else if err != nil || len(points) != c.points || points[0] != c.first {
			t.Errorf("%+v: %v, %v", c.sweep, points, err)
		}
	}
}

// TestCommandRefusals are command lines that must end with one clear error and its exit code, before anything is trained.
func TestCommandRefusals(t *testing.T) {
	run, task, folder := toyModel(t, nil), toyTask(t, ""), toyGLUE(t)
	bare := toyModel(t, nil)
	must.M(os.Remove(filepath.Join(bare, "vocab.txt")))
	files := writeFiles(t, map[string]string{
		"vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nother\n", "tasks.yaml": "rte: {epocs: 3}\n", "self.yaml": "rte: {init_from_task: rte}\n", "chain.yaml": "rte: {init_from_task: mrpc}\n",
		"hollow/x": "", "labels/WNLI/train.tsv": inference(1, 4, "0", "2"), "labels/WNLI/dev.tsv": inference(1, 4, "0", "1"),
		"empty/WNLI/train.tsv": inference(1, 4, "0", "1"), "empty/WNLI/dev.tsv": "index\tsentence1\tsentence2\tlabel\n",
		"cut/WNLI/train.tsv": inference(1, 4, "0", "1"), "taken": "",
	})
	in := func(name string) string { return filepath.Join(files, name) }
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--task cola", 2, "--model"},
		{"--model " + run, 2, "no task named"},
		{"--model " + run + " --task cola", 2, "--data-dir"},
		{"--model " + run + " --task colla --data-dir " + folder, 2, "did you mean cola"},
		{"--model " + run + " --task cola --data-dir " + in("nowhere"), 2, "no such folder"},
		{"--model " + run + " --task cola --data-dir " + folder, 65, "CoLA"},
		{"--model " + run + " --task all --data-dir " + folder, 65, "task cola"},
		{"--model " + run + " --task wnli --data-dir " + in("labels"), 65, `train.tsv:3: label "2"`},
		{"--model " + run + " --task wnli --data-dir " + in("empty"), 65, "dev.tsv: no rows"},
		{"--model " + run + " --task wnli --data-dir " + in("cut"), 65, "has no dev data"},
		{"--model " + in("nowhere") + " --task " + task, 69, "nowhere"},
		{"--model " + in("hollow") + " --task " + task, 65, "no checkpoint"},
		{"--model " + bare + " --task " + task, 65, "no vocabulary beside it"},
		{"--model " + run + " --vocab " + in("vocab.txt") + " --task " + task, 65, "is not the vocabulary"},
		{"--model " + run + " --task " + task + " --max-seq-len 65", 2, "64 positions"},
		{"--model " + run + " --task " + task + " --max-seq-len 4", 2, "at least 5"},
		{"--model " + run + " --task " + task + " --seeds 0", 2, "run.seeds"},
		{"--model " + run + " --task " + task + " --ensemble 2", 2, "raise --seeds"},
		{"--model " + run + " --task " + task + " --loss median", 2, "mean, sum"},
		{"--model " + run + " --task " + task + " --layer-decay-variant wrong", 2, "correct, official"},
		{"--model " + run + " --task " + task + " --set finetune.epoch=1", 2, "did you mean finetune.epochs"},
		{"--model " + run + " --task " + task + " --set finetune.dropout=1", 2, "finetune.dropout is 1"},
		{"--model " + run + " --task " + task + " --set sweep.lr=fast", 2, "sweep.lr"},
		{"--model " + run + " --task " + task + " --init-from-task mnli", 2, "none of them is run"},
		{"--model " + run + " --task " + task + " --task-config " + in("tasks.yaml"), 2, "rte.epochs"},
		{"--model " + run + " --task " + task + " --task-config " + in("none.yaml"), 69, "none.yaml"},
		{"--model " + run + " --task rte --data-dir " + folder + " --task-config " + in("self.yaml"), 2, "another task"},
		{"--model " + run + " --task rte --data-dir " + folder + " --init-from-task mrpc --task-config " + in("chain.yaml"), 2, "trained from the pre-trained model"},
		{"--model " + run + " --task rte --data-dir " + folder + " --init-from-task mli", 2, "did you mean mnli"},
		{"--model " + run + " --task " + task + " --out " + in("taken"), 69, "taken"},
		{"--model " + run + " --task " + task + " --platform abacus", 2, "abacus"},
		{"--mdel x", 2, "--model"},
		{"words", 2, "flags only"},
	} {
		args := append([]string{"elektron", "glue"}, strings.Fields(c.args)...)
		if !strings.Contains(c.args, "--out") {
			args = append(args, "--out", t.TempDir())
		}
		app := &cli.App{Name: "elektron", Commands: []*cli.Command{Command()}, DisableSliceFlagSeparator: true}
		out := &bytes.Buffer{}
		app.Writer, app.ErrWriter = out, out
		err := arguments.Run(t.Context(), app, args)
		if fault.ExitCode(err) != c.code || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: exit code %d, want %d and %q in: %v", c.args, fault.ExitCode(err), c.code, c.says, err)
		}
	}
}

// TestFromScratch: other weights for each seed, and none of the model's.
func TestFromScratch(t *testing.T) {
	task := toyTask(t, "")
	scores := map[string][]Run{}
	for name, seed := range map[string]float64{"a": 0.2, "b": 0.5} { // two models of one shape
		config := toyConfig(t, toyModel(t, func(m *model.Config) { m.GeneratorWeight = seed }), task)
		config.Run.FromScratch, config.Run.Seeds, config.Finetune.Epochs = true, 2, 1
		results, _ := fineTune(t, config)
		scores[name] = timeless(results).Tasks[0].Runs
		if !strings.Contains(results.Model, "random weights") {
			t.Errorf("model %s", results.Model)
		}
	}
	if !reflect.DeepEqual(scores["a"], scores["b"]) || reflect.DeepEqual(scores["a"][0].Loss, scores["a"][1].Loss) {
		t.Errorf("runs %v", slices.Collect(maps.Values(scores)))
	}
}
