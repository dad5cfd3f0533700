package glue

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
	"elektron/model"
	"elektron/trainer"
)

// TestLearns fine-tunes two seeds on a task that can be learnt, for models of every encoder and some sharings, and looks
// at all that is left.
func TestLearns(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*model.Config)
	}{
		{"bert", nil},
		{"bert, gdes", func(m *model.Config) { m.Sharing = model.SharingGDES }},
		{"bert, nothing shared, official decay, sum", func(m *model.Config) { m.Sharing = model.SharingNone }},
		{"albert", func(m *model.Config) { m.Encoder = "albert" }},
		{"modern, mlm, bf16", func(m *model.Config) { m.Encoder, m.Objective = "modern", model.ObjectiveMLM }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := toyConfig(t, toyModel(t, c.change), toyTask(t, ""))
			seeds := 1
			if c.change == nil {
				seeds = 2
			}
			config.Run.Seeds, config.Run.Ensemble = seeds, seeds
			if strings.Contains(c.name, "official") {
				config.Finetune.Loss, config.Finetune.LayerDecayVariant, config.Finetune.LayerDecay = "sum", "official", 0.9
			}
			if strings.Contains(c.name, "bf16") {
				config.Run.DType = "bf16"
			}
			results, said := fineTune(t, config)
			task := results.Tasks[0]
			s := task.Statistics["dev"][Accuracy]
			if s.Count != seeds || s.Best != 1 || s.Degenerate != 0 {
				t.Errorf("%+v\n%s", s, said)
			}
			if e := task.Ensemble; (e != nil) != (seeds > 1) || e != nil && (len(e.Seeds) != 2 || e.Dev["dev"][Accuracy] < 0.9) {
				t.Errorf("ensemble %+v", e)
			}
			lines := strings.Split(string(must.M1(os.ReadFile(filepath.Join(config.Run.Out, "mine.tsv")))), "\n")
			wrong := 0
			for i := 126; i < 150; i++ {
				_, label := toyText(i)
				if want := fmt.Sprintf("%d\t%s", 1000+i, [2]string{"no", "yes"}[label]); lines[i-125] != want {
					wrong++
				}
			}
			if wrong > 2 || len(lines) != 26 || lines[0] != predictionsHeader {
				t.Errorf("%d predictions are wrong of\n%s", wrong, lines)
			}
			for _, file := range []string{ResultsJSON, ResultsText, ScoresPlot, CurvesPlot} {
				if _, err := os.Stat(filepath.Join(config.Run.Out, file)); err != nil {
					t.Error(err)
				}
			}
			for _, run := range task.Runs {
				if run.Steps != 36 || len(run.Curve) != 12 || len(run.Loss) != 36 || run.Loss[0].Value <= run.Loss[35].Value || !(run.TokensPerS > 0) {
					t.Errorf("run %+v", run)
				}
			}
		})
	}
}

// TestRegression learns scores that four letters stand for.
func TestRegression(t *testing.T) {
	var rows [2]strings.Builder
	for i := range 160 {
		place := i * 7 % 4
		fmt.Fprintf(&rows[i/128], "%s %s\t%d\n", toySafe.Replace(strings.TrimSpace(words(i, 1+i%5))), [4]string{"x", "x y", "y", "y y"}[place], 2*place)
	}
	folder := writeFiles(t, map[string]string{"count.yaml": "train: train.tsv\ndev: dev.tsv\nheader: false\ncolumns: {text: 0, label: 1}\nlow: 0\nhigh: 6\n",
		"train.tsv": rows[0].String(), "dev.tsv": rows[1].String()})
	config := toyConfig(t, toyModel(t, nil), filepath.Join(folder, "count.yaml"))
	config.Finetune.Epochs, config.Finetune.LR = 8, 1e-3
	results, said := fineTune(t, config)
	if s := results.Tasks[0].Statistics["dev"]; s[Spearman].Best < 0.9 || s[Pearson].Best < 0.9 {
		t.Errorf("%+v\n%s", s, said)
	}
	if results.Submission != nil || strings.Contains(said, "submission") {
		t.Errorf("a submission without a task of GLUE:\n%s", said)
	}
}

// timeless removes what differs from one run to another.
func timeless(r *Results) *Results {
	for _, task := range r.Tasks {
		for i := range task.Runs {
			task.Runs[i].Seconds, task.Runs[i].TokensPerS = 0, 0
		}
	}
	return r
}

// cancelAt is a terminal that ends a context when a text is written to it.
type cancelAt struct {
	bytes.Buffer
	text   string
	cancel context.CancelFunc
}

func (c *cancelAt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.text) {
		c.cancel()
	}
	return c.Buffer.Write(p)
}

// TestResume stops at several points and goes on: what comes out must be that of a run that was not stopped, and what
// was finished must not be run again. Dropout is on.
func TestResume(t *testing.T) {
	folder, task := toyModel(t, nil), toyTask(t, "")
	config := func() *Config {
		c := toyConfig(t, folder, task)
		c.Run.Seeds, c.Finetune.Dropout, c.Finetune.Epochs = 3, 0.1, 2
		return c
	}
	whole := config()
	want, _ := fineTune(t, whole)
	stopped := config()
	for _, at := range []string{"seed 1 (1 of 3), learning rate 0.005, 2 epochs: begins", "seed 1 (1 of 3), learning rate 0.005, 2 epochs: dev", "seed 3 (3 of 3), learning rate 0.005, 2 epochs: begins"} {
		ctx, cancel := context.WithCancel(t.Context())
		progress := &cancelAt{text: at, cancel: cancel}
		if err := FineTune(ctx, stopped, nil, progress, &bytes.Buffer{}); fault.ExitCode(err) != 75 {
			t.Fatalf("stopped at %q: %v\n%s", at, err, progress.String())
		}
	}
	got, said := fineTune(t, stopped)
	if !reflect.DeepEqual(timeless(got), timeless(want)) {
		t.Errorf("resumed: %+v\nat once: %+v", got, want)
	}
	if strings.Count(said, "finished earlier") != 2 || strings.Count(said, "begins") != 1 {
		t.Errorf("finished runs were run again:\n%s", said)
	}
	for _, file := range []string{"mine.tsv", ResultsText} {
		a, b := string(must.M1(os.ReadFile(filepath.Join(whole.Run.Out, file)))), string(must.M1(os.ReadFile(filepath.Join(stopped.Run.Out, file))))
		if file == ResultsText { // seconds are in it
			a, b = a[:strings.Index(a, "## Every run")], b[:strings.Index(b, "## Every run")]
		}
		if a != b {
			t.Errorf("%s differs", file)
		}
	}
	t.Run("refusals", func(t *testing.T) { refusedResumes(t, stopped) })
	t.Run("another task beside it", func(t *testing.T) {
		other := *stopped
		other.Run.Tasks = []string{toyTask(t, "name: other\n")}
		if r, _ := fineTune(t, &other); len(r.Tasks) != 2 || !reflect.DeepEqual(timeless(r).Tasks[0], got.Tasks[0]) {
			t.Errorf("results of the first task are lost: %+v", r)
		}
	})
}

// refusedResumes are other configurations in the folder of finished runs.
func refusedResumes(t *testing.T, finished *Config) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		code   int
		says   string
	}{
		{"another rate", func(c *Config) { c.Finetune.LR = 1e-3 }, 2, "finetune.lr is 0.005 there and 0.001 here"},
		{"another optimizer", func(c *Config) { c.Optim.BiasCorrection = true }, 2, "optim.bias_correction is false there and true here"},
		{"another model", func(c *Config) { c.Run.Model = toyModel(t, func(m *model.Config) { m.Layers = 1 }) }, 2, "results of another model"},
		{"from scratch", func(c *Config) { c.Run.FromScratch = true }, 2, "results of another model"},
		{"other data", func(c *Config) { c.Finetune.TrainRows = 50 }, 2, "finetune.train_rows is 0 there and 50 here"},
		{"damaged", func(c *Config) {
			must.M(os.WriteFile(filepath.Join(c.Run.Out, "runs", "mine", "seed-2.json"), []byte("{"), 0o644))
		}, 65, "remove it to run it again"},
		{"damaged results", func(c *Config) { must.M(os.WriteFile(filepath.Join(c.Run.Out, ResultsJSON), nil, 0o644)) }, 65, "these are no results"},
	} {
		config := *finished
		config.Run.Out = t.TempDir()
		must.M(os.CopyFS(config.Run.Out, os.DirFS(finished.Run.Out)))
		c.change(&config)
		_, _, err := tryFineTune(t.Context(), &config)
		if fault.ExitCode(err) != c.code || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: exit code %d, want %d and %q in: %v", c.name, fault.ExitCode(err), c.code, c.says, err)
		}
	}
}

// TestDiverged runs at a rate that leaves no finite number: a run that failed is in the table and ends in exit code 76.
func TestDiverged(t *testing.T) {
	config := toyConfig(t, toyModel(t, nil), toyTask(t, ""))
	config.Finetune.LR, config.Optim.ClipNorm, config.Finetune.Warmup = 1e38, 0, 0
	_, said, err := tryFineTune(t.Context(), config)
	if fault.ExitCode(err) != 76 || !strings.Contains(said, "all 1 runs failed") {
		t.Errorf("exit code %d: %v\n%s", fault.ExitCode(err), err, said)
	}
	r := must.M1(ReadResults(t.Context(), config.Run.Out))
	if run := r.Tasks[0].Runs[0]; run.Failure == "" || run.Dev != nil || r.Tasks[0].Statistics["dev"] != nil {
		t.Errorf("%+v", r.Tasks[0])
	}
	if _, err := os.Stat(filepath.Join(config.Run.Out, "mine.tsv")); err == nil {
		t.Error("predictions of a run that failed")
	}
}

// TestDegenerate trains on one class only: the run is flagged and counted.
func TestDegenerate(t *testing.T) {
	task := toyTask(t, "")
	train := filepath.Join(filepath.Dir(task), "train.tsv")
	text := must.M1(os.ReadFile(train))
	must.M(os.WriteFile(train, bytes.ReplaceAll(text, []byte("\tno\n"), []byte("\tyes\n")), 0o644))
	results, said := fineTune(t, toyConfig(t, toyModel(t, nil), task))
	if s := results.Tasks[0].Statistics["dev"][Accuracy]; s.Degenerate != 1 || s.Count != 1 || s.Best != 0.5 || !strings.Contains(said, "1 degenerate") {
		t.Errorf("%+v\n%s", s, said)
	}
}

// TestSweep searches a grid with one rate at which nothing is learnt.
func TestSweep(t *testing.T) {
	config := toyConfig(t, toyModel(t, nil), toyTask(t, ""))
	config.Run.Sweep, config.Run.Seeds, config.Sweep.LR, config.Sweep.Epochs = true, 2, []string{"1e-9", "5e-3"}, []string{"1", "6"}
	results, said := fineTune(t, config)
	search := results.Tasks[0].Search
	if len(search.Points) != 4 || !search.Points[3].Chosen || search.Points[3].Mean != 1 || search.Points[0].Mean > 0.8 {
		t.Errorf("%+v\n%s", search, said)
	}
	for _, run := range results.Tasks[0].Runs {
		if run.LearningRate != 5e-3 || run.Epochs != 6 {
			t.Errorf("run %+v", run)
		}
	}
	if strings.Count(said, "begins") != 5 || strings.Count(said, "finished earlier") != 1 {
		t.Errorf("the grid's run of the chosen point was run again:\n%s", said)
	}
	if settings := results.Tasks[0].Settings; settings["finetune.lr"] != "0.005" || settings["finetune.epochs"] != "6.0" {
		t.Errorf("settings %v", settings)
	}
}

// TestChoice: the weights of the best dev score are taken, or the last ones, and the score of the last is kept in any case.
func TestChoice(t *testing.T) {
	folder, task := toyModel(t, nil), toyTask(t, "")
	for _, choose := range []string{"best", "last"} {
		config := toyConfig(t, folder, task)
		config.Finetune.Choose, config.Finetune.LR, config.Finetune.EvalsPerEpoch = choose, 3e-3, 6 // each step
		config.Finetune.Epochs = 3
		results, said := fineTune(t, config)
		run := results.Tasks[0].Runs[0]
		best := slices.MaxFunc(run.Curve, func(a, b Point) int { // the first of the highest
			if a.Value != b.Value {
				return int(math.Copysign(1, a.Value-b.Value))
			}
			return b.Step - a.Step
		})
		if len(run.Curve) != 18 || run.Last[Accuracy] != run.Curve[17].Value {
			t.Errorf("%s: %+v\n%s", choose, run, said)
		}
		if want := map[string]Point{"best": best, "last": run.Curve[17]}[choose]; run.Chosen != want.Step || run.Dev["dev"][Accuracy] != want.Value {
			t.Errorf("%s: took step %d with %v, want %+v", choose, run.Chosen, run.Dev, want)
		}
	}
}

// TestChosenWeights: the outputs that are kept for the dev set are those of the weights that are returned.
func TestChosenWeights(t *testing.T) {
	config := toyConfig(t, toyModel(t, nil), toyTask(t, ""))
	config.Finetune.EvalsPerEpoch, config.Finetune.LR = 6, 3e-3
	a := toyAttempt(t, config)
	found, weights, err := a.finetune(t.Context(), point{seed: 1, lr: config.Finetune.LR, epochs: 3}, start{weights: func(context.Context) (map[string][]float32, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	must.M(a.classifier.start(weights, 99))
	defer a.classifier.release()
	for _, held := range []*heldOut{a.data.dev[0], a.data.test[0]} {
		again := must.M1(a.predict(t.Context(), held))
		if !reflect.DeepEqual(again, found.Outputs[held.key()].of(held)) {
			t.Errorf("%s: outputs are of other weights than those that were chosen (step %d)", held.key(), found.Run.Chosen)
		}
	}
}

// TestModelFolders: a run, its checkpoint and its export in Hugging Face's layout are the same start.
func TestModelFolders(t *testing.T) {
	for _, sharing := range []string{model.SharingEmbeddings, model.SharingGDES} {
		run, exported := toyModel(t, func(m *model.Config) { m.Sharing = sharing }), filepath.Join(t.TempDir(), "exported")
		must.M(trainer.Export(must.M1(trainer.LoadModel(run, "")), exported, io.Discard))
		names := map[string]string{}
		for _, path := range []string{run, filepath.Join(run, "checkpoints", "step-00000003"), exported, filepath.Join(exported, "discriminator")} {
			config := toyConfig(t, path, "")
			s := &session{config: config, progress: io.Discard, starts: map[string]start{}}
			if err := s.loadModel(); err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			names[s.starts[""].name] = path
		}
		if len(names) != 1 {
			t.Errorf("%s: the same weights are several starts: %v", sharing, names)
		}
	}
}
