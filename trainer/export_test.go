package trainer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/dataset/wordpiece"
	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/internal/settings"
	"elektron/internal/testdata"
	"elektron/model"
	"elektron/model/hf"
	"elektron/model/hf/safetensors"
	"elektron/model/tf1/tf1test"
	"elektron/trainer/checkpoint"
	"elektron/trainer/optimizer"
)

// importInto imports folders as `elektron import` does, with assignments of --set.
func importInto(out, source, generator string, step int64, assignments ...string) (string, error) {
	c := must.M1(Preset("small"))
	s := settings.New(&c)
	must.M(s.Set(append(assignments, "run.out="+out)...))
	var said strings.Builder
	i := importing{source: source, generator: generator, step: step, config: &c, settings: s}
	err := i.run(&said)
	return said.String(), err
}

func sides(folder string) (discriminator, generator string) {
	return filepath.Join(folder, "discriminator"), filepath.Join(folder, "generator")
}

// TestImportExportParity brings the reference folders through a run and finds every tensor again, bit by bit.
func TestImportExportParity(t *testing.T) {
	reference, folder := filepath.Join(testdata.Parity(t), "electra"), t.TempDir()
	disc, gen := sides(reference)
	said := must.M1(importInto(filepath.Join(folder, "run"), disc, gen, 7))
	if strings.Contains(said, "missing") || strings.Contains(said, "unused") || !strings.Contains(said, "no vocabulary") {
		t.Errorf("import says %q", said)
	}
	m := must.M1(LoadModel(filepath.Join(folder, "run"), ""))
	if m.Step != 7 {
		t.Errorf("step %d, want 7", m.Step)
	}
	must.M(Export(m, filepath.Join(folder, "out"), io.Discard))
	for _, side := range []string{"discriminator", "generator"} {
		want := must.M1(safetensors.Read(filepath.Join(reference, side, "model.safetensors")))
		got := must.M1(safetensors.Read(filepath.Join(folder, "out", side, "model.safetensors")))
		if len(got.Tensors) != len(want.Tensors) {
			t.Errorf("%s: %d tensors, want %d", side, len(got.Tensors), len(want.Tensors))
		}
		for _, w := range want.Tensors {
			if g := got.Tensor(w.Name); g == nil || !slices.Equal(g.Shape, w.Shape) || string(g.Data) != string(w.Data) {
				t.Errorf("%s: %s is not the same", side, w.Name)
			}
		}
	}
	if exists(filepath.Join(folder, "out", "generator", "vocab.txt")) {
		t.Error("a vocabulary was written where there was none")
	}
}

// trained is a run of a few steps, and its export.
func trained(t *testing.T, encoder string) (c Config, exported string) {
	t.Helper()
	folder := t.TempDir()
	writeText(t, folder)
	c = pulseConfig(folder)
	c.Model.Encoder, c.Model.EmbeddingSize, c.Run.Steps = encoder, 16, 6
	must.M(pretrain(context.Background(), c))
	exported = filepath.Join(folder, "exported")
	must.M(Export(must.M1(LoadModel(c.Run.Out, "")), exported, io.Discard))
	return c, exported
}

// TestImportGoesOn exports a run, imports it as another, and trains that further with its own config.yaml.
func TestImportGoesOn(t *testing.T) {
	for _, encoder := range []string{"bert", "albert"} {
		t.Run(encoder, func(t *testing.T) {
			c, exported := trained(t, encoder)
			disc, gen := sides(exported)
			out := filepath.Join(t.TempDir(), "further")
			said := must.M1(importInto(out, disc, gen, 6, "run.steps=10", "run.platform=go", "run.eval_batches=1", "data.batch_size=4",
				"data.seq_len=32", "data.paths="+c.Data.Paths[0], "data.cache="+c.Data.Cache))
			if strings.Contains(said, "missing") || strings.Contains(said, "unused") || strings.Contains(said, "note") {
				t.Errorf("import says %q", said)
			}
			before, after := must.M1(LoadModel(c.Run.Out, "")), must.M1(LoadModel(out, ""))
			for name, values := range before.Weights {
				if !slices.EqualFunc(values, after.Weights[name], func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
					t.Errorf("%s is not the same", name)
				}
			}
			if before.Vocabulary.Hash() != after.Vocabulary.Hash() {
				t.Error("the vocabulary is not the same")
			}
			next := defaults()
			s := settings.New(&next)
			must.M(s.LoadYAML(filepath.Join(out, "config.yaml")))
			must.M(Pretrain(context.Background(), &next, s, io.Discard, io.Discard))
			if m := must.M1(LoadModel(out, "")); m.Step != 10 {
				t.Errorf("the run went on to step %d, want 10", m.Step)
			}
		})
	}
}

func TestImportStartsFresh(t *testing.T) {
	_, exported := trained(t, "bert")
	disc, _ := sides(exported)
	out := filepath.Join(t.TempDir(), "run")
	said := must.M1(importInto(out, disc, "", 0))
	if n := strings.Count(said, "missing, drawn anew: generator."); n < 20 {
		t.Errorf("%d weights of the generator are said to be missing in %q", n, said)
	}
	state, _, _, err := checkpoint.Restore(checkpointFolder(out))
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range state.Tensors {
		zero := strings.Trim(string(tensor.Data), "\x00") == ""
		if moment := slotOf(tensor.Name) != optimizer.Values; moment != zero && !strings.HasSuffix(tensor.Name, "bias") {
			t.Errorf("%s: zero is %t", tensor.Name, zero)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	c, exported := trained(t, "bert")
	disc, gen := sides(exported)
	folder := t.TempDir()
	large := filepath.Join(folder, "vocab.txt")
	must.M(os.WriteFile(large, []byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"+strings.Repeat("x", 1)+"\n"+manyTokens(400)), 0o644))
	for name, e := range map[string]struct {
		run  func() error
		code int
		says string
	}{
		"a folder with a run": {func() error { _, err := importInto(c.Run.Out, disc, gen, 0); return err }, 2, "holds a run"},
		"step past the end":   {func() error { _, err := importInto(filepath.Join(folder, "a"), disc, gen, 500_000); return err }, 2, "--step"},
		"swapped folders":     {func() error { _, err := importInto(filepath.Join(folder, "b"), gen, disc, 0); return err }, 65, "it is no discriminator"},
		"pickle":              {func() error { _, err := importInto(filepath.Join(folder, "c"), "pytorch_model.bin", "", 0); return err }, 65, "pickle"},
		"nothing there":       {func() error { _, err := importInto(filepath.Join(folder, "d"), folder, "", 0); return err }, 69, "no model folder"},
		"other vocabulary":    {func() error { _, err := LoadModel(c.Run.Out, large); return err }, 65, "is not the vocabulary"},
		"no model":            {func() error { _, err := LoadModel(folder, ""); return err }, 65, "holds no checkpoint"},
		"no folder":           {func() error { _, err := LoadModel(filepath.Join(folder, "e"), ""); return err }, 69, "no run"},
		"large vocabulary":    {func() error { _, err := LoadModel(exported, large); return err }, 65, "belongs to another model"},
	} {
		if err := e.run(); fault.ExitCode(err) != e.code || !strings.Contains(fmt.Sprint(err), e.says) {
			t.Errorf("%s: %v; want exit code %d and %q", name, err, e.code, e.says)
		}
	}
	for _, left := range []string{"a", "b", "c", "d"} {
		if entries, _ := checkpoint.List(checkpointFolder(filepath.Join(folder, left))); len(entries) > 0 {
			t.Errorf("%s: a refused import left a checkpoint", left)
		}
	}
}

func manyTokens(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "token%d\n", i)
	}
	return b.String()
}

// TestCard: the card says what the model is and how it was trained.
func TestCard(t *testing.T) {
	_, exported := trained(t, "bert")
	card := string(must.M1(os.ReadFile(filepath.Join(exported, "discriminator", "README.md"))))
	for _, part := range []string{"library_name: transformers", "ElectraForPreTraining", "hidden size 32", "| steps | 6 |", "uncased", "lamb", "AUC"} {
		if !strings.Contains(card, part) {
			t.Errorf("the card does not say %q:\n%s", part, card)
		}
	}
}

// madeUp is a model with random weights and a small vocabulary.
func madeUp(t *testing.T, edit func(*model.Config)) *Model {
	t.Helper()
	c, _ := model.Preset("tiny")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.Heads, c.IntermediateSize, c.MaxPositions = 60, 16, 32, 2, 48, 24
	edit(&c)
	m := &Model{Path: "made up", Config: c, Weights: map[string][]float32{}, Vocabulary: smallVocabulary(t)}
	for _, w := range c.Weights() {
		w.Init = model.InitTruncatedNormal
		m.Weights[w.Name] = w.Initialize(3, 0.3)
	}
	return m
}

func smallVocabulary(t *testing.T) *wordpiece.Vocabulary {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vocab.txt")
	words := "[PAD] [UNK] [CLS] [SEP] [MASK] , . ' ! ? the amber old trees resin under na ##ive ##s 1 ##9 ##84 a b c d e"
	must.M(os.WriteFile(path, []byte(strings.ReplaceAll(words, " ", "\n")+"\n"), 0o644))
	return must.M1(wordpiece.Load(path))
}

// referenceModels are the reference folders as runs, with a small vocabulary. What ALBERT's folder lacks is drawn.
func referenceModels(t *testing.T) map[string]*Model {
	t.Helper()
	folder, reference := t.TempDir(), testdata.Parity(t)
	vocabulary := filepath.Join(folder, "vocab.txt")
	must.M(smallVocabulary(t).Save(vocabulary))
	disc, gen := sides(filepath.Join(reference, "electra"))
	must.M1(importInto(filepath.Join(folder, "pair"), disc, gen, 0))
	must.M1(importInto(filepath.Join(folder, "albert"), filepath.Join(reference, "albert"), "", 0))
	return map[string]*Model{"reference pair": must.M1(LoadModel(filepath.Join(folder, "pair"), vocabulary)),
		"reference albert": must.M1(LoadModel(filepath.Join(folder, "albert"), vocabulary))}
}

// kinds are models of every sort that can be exported.
var kinds = map[string]func(*model.Config){
	"bert":                    func(c *model.Config) {},
	"albert":                  func(c *model.Config) { c.Encoder = "albert" },
	"albert guesses for bert": func(c *model.Config) { c.Generator.Encoder = "albert" },
	"bert guesses for albert": func(c *model.Config) { c.Encoder, c.Generator.Encoder = "albert", "bert" },
	"untied":                  func(c *model.Config) { c.Sharing = model.SharingNone },
	"all tied":                func(c *model.Config) { c.Sharing = model.SharingAll },
	"gdes":                    func(c *model.Config) { c.Sharing = model.SharingGDES },
	"mlm":                     func(c *model.Config) { c.Objective = model.ObjectiveMLM },
}

// said is what a model says of texts, as `demo --json` does.
func said(t *testing.T, m *Model) []demoResult {
	t.Helper()
	d := must.M1(NewDemo(t.Context(), m, device.Options{Platform: platform.Go}))
	defer d.Close()
	var list []demoResult
	for _, text := range []string{"The amber, under old TREES!", "naïve trees' resin? 1984 漢字 [MASK].", "a"} {
		r := demoResult{Text: text, FillText: text + " [MASK] resin [MASK]"}
		if m.Config.Objective != model.ObjectiveMLM {
			r.Tokens = must.M1(d.Detect(t.Context(), r.Text))
		}
		r.FillIDs, r.Fillings = must.M2(d.Fill(t.Context(), r.FillText))
		list = append(list, r)
	}
	return list
}

// TestExportKinds exports models of every sort; what is read again says the same of texts, to the last bit.
func TestExportKinds(t *testing.T) {
	for name, edit := range kinds {
		t.Run(name, func(t *testing.T) {
			m, out := madeUp(t, edit), t.TempDir()
			must.M(Export(m, out, io.Discard))
			folder := out
			if m.Config.Objective == model.ObjectiveMLM {
				folder = filepath.Join(out, "generator")
			}
			again := must.M1(LoadModel(folder, ""))
			if before, after := said(t, m), said(t, again); !reflect.DeepEqual(before, after) {
				t.Errorf("the model says %+v, its export %+v", before, after)
			}
		})
	}
	out := filepath.Join(t.TempDir(), "out")
	err := Export(madeUp(t, func(c *model.Config) { c.Generator.Encoder = "modern" }), out, io.Discard)
	if fault.ExitCode(err) != 2 || !strings.Contains(err.Error(), "modern") || exists(out) {
		t.Errorf("an encoder that transformers does not have: %v; a folder is there: %t", err, exists(out))
	}
}

// TestImportTensorFlow brings the reference model, saved as the official code does, through a run and finds
// every tensor of its folders again, bit by bit.
func TestImportTensorFlow(t *testing.T) {
	reference, folder := filepath.Join(testdata.Parity(t), "electra"), t.TempDir()
	config, weights, err := hf.Read(sides(reference))
	must.M(err)
	list := append(tf1test.Model(&config, weights, ""), tf1test.Integer("global_step", 9))
	released, fresh := filepath.Join(folder, "released"), filepath.Join(folder, "fresh")
	must.M(os.Mkdir(released, 0o755))
	must.M(os.Mkdir(fresh, 0o755))
	tf1test.Write(t, filepath.Join(released, "electra_small"), tf1test.Options{}, list...)
	list = append(list, append(tf1test.Model(&config, weights, "/adam_m"), tf1test.Model(&config, weights, "/adam_v")...)...)
	tf1test.Write(t, filepath.Join(fresh, "model.ckpt-9"), tf1test.Options{Shards: 2, Snappy: true, BlockSize: 500}, list...)
	heads := []string{fmt.Sprintf("model.heads=%d", config.DiscriminatorEncoder().Heads), fmt.Sprintf("model.generator.heads=%d", config.GeneratorEncoder().Heads)}
	for _, c := range []struct {
		source string
		step   int64
		says   string
		moment func(float32) float32
	}{
		{released, 0, "has 9 steps behind it", func(float32) float32 { return 0 }},
		{filepath.Join(released, "electra_small"), 9, "", func(float32) float32 { return 0 }},
		{fresh, 0, "--step 9", func(float32) float32 { return 0 }},
		{fresh, 9, "goes on with", func(x float32) float32 { return x }},
	} {
		out := t.TempDir()
		said := must.M1(importInto(out, c.source, "", c.step, append(heads, "model.activation="+config.Activation)...))
		if !strings.Contains(said, c.says) || strings.Contains(said, "missing") || strings.Contains(said, "unused") {
			t.Errorf("%s at %d: import says %q, want %q", c.source, c.step, said, c.says)
		}
		state, _, _, err := checkpoint.Restore(checkpointFolder(out))
		must.M(err)
		if state.Step != c.step || len(state.Tensors) != int(optimizer.Slots)*len(weights) {
			t.Errorf("step %d, %d tensors; want %d, %d", state.Step, len(state.Tensors), c.step, int(optimizer.Slots)*len(weights))
		}
		for _, tensor := range state.Tensors {
			name, _, isMoment := strings.Cut(tensor.Name, "#")
			for i, x := range decodeFloats(tensor.Data) {
				want := weights[name][i]
				if isMoment {
					want = c.moment(want)
				}
				if math.Float32bits(x) != math.Float32bits(want) {
					t.Fatalf("%s at %d: %s[%d] is %g, want %g", c.source, c.step, tensor.Name, i, x, want)
				}
			}
		}
	}
	for says, assignments := range map[string][]string{"set model.heads": nil, "does not divide": {"model.heads=5", "model.generator.heads=3"}} {
		if _, err := importInto(t.TempDir(), released, "", 0, assignments...); fault.ExitCode(err) != 2 || !strings.Contains(err.Error(), says) {
			t.Errorf("with %q: %v; want exit code 2 and %q", assignments, err, says)
		}
	}
	if _, err := importInto(t.TempDir(), released, released, 0); fault.ExitCode(err) != 2 {
		t.Errorf("with a generator of its own: %v", err)
	}
}

// TestTransformers loads exports with transformers and compares its logits and ids, where Python has it.
// ELEKTRON_PYTHON names the interpreter.
func TestTransformers(t *testing.T) {
	python := os.Getenv("ELEKTRON_PYTHON")
	if python == "" {
		python = "python3"
	}
	script := filepath.Join("..", "scripts", "reference", "check_hf.py")
	if out, err := exec.Command(python, script, "--can-run").CombinedOutput(); err != nil {
		t.Skipf("%s cannot load models with transformers (ELEKTRON_PYTHON names another): %s", python, strings.TrimSpace(string(out)))
	}
	compare := func(t *testing.T, models map[string]*Model) {
		folder, args := t.TempDir(), []string{script}
		for name, m := range models {
			out := filepath.Join(folder, name)
			args = append(args, out)
			must.M(Export(m, out, io.Discard))
			for i, result := range said(t, m) {
				must.M(os.WriteFile(filepath.Join(out, fmt.Sprintf("demo%d.json", i)), must.M1(json.Marshal(result)), 0o644))
			}
		}
		out, err := exec.Command(python, args...).CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Errorf("transformers finds other logits or ids: %v", err)
		}
	}
	t.Run("kinds", func(t *testing.T) {
		c, _ := trained(t, "bert")
		models := map[string]*Model{"trained": must.M1(LoadModel(c.Run.Out, ""))}
		for name, edit := range kinds {
			models[name] = madeUp(t, edit)
		}
		compare(t, models)
	})
	t.Run("reference", func(t *testing.T) { compare(t, referenceModels(t)) })
}
