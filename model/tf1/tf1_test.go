package tf1

import (
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
	"elektron/internal/testdata"
	"elektron/model"
	"elektron/model/hf"
	"elektron/model/tf1/tf1test"
)

// smallConfig is a model whose heads are as wide as the official ones.
func smallConfig(edit func(*model.Config)) model.Config {
	c, _ := model.Preset("small")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.Layers, c.Heads, c.IntermediateSize, c.MaxPositions = 50, 8, 128, 2, 2, 24, 32
	c.Generator = model.Generator{Size: 0.5, HiddenSize: 64, Layers: 3, Heads: 1, IntermediateSize: 20}
	edit(&c)
	return c
}

func drawn(c *model.Config) map[string][]float32 {
	weights := map[string][]float32{}
	for _, w := range c.Weights() {
		w.Init = model.InitTruncatedNormal
		weights[w.Name] = w.Initialize(3, 1)
	}
	return weights
}

func equalBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// TestNames spells out the official code's names, one of every kind.
func TestNames(t *testing.T) {
	for weight, want := range map[string]string{
		"discriminator.electra.embeddings.word_embeddings.weight":             "electra/embeddings/word_embeddings",
		"discriminator.electra.embeddings.LayerNorm.weight":                   "electra/embeddings/LayerNorm/gamma",
		"discriminator.electra.embeddings.LayerNorm.bias":                     "electra/embeddings/LayerNorm/beta",
		"discriminator.electra.embeddings_project.weight":                     "electra/embeddings_project/kernel T",
		"generator.electra.embeddings_project.bias":                           "generator/embeddings_project/bias",
		"generator.electra.embeddings.position_embeddings.weight":             "generator/embeddings/position_embeddings",
		"discriminator.electra.encoder.layer.0.attention.self.query.weight":   "electra/encoder/layer_0/attention/self/query/kernel T",
		"generator.electra.encoder.layer.11.attention.output.dense.bias":      "generator/encoder/layer_11/attention/output/dense/bias",
		"generator.electra.encoder.layer.3.attention.output.LayerNorm.weight": "generator/encoder/layer_3/attention/output/LayerNorm/gamma",
		"discriminator.electra.encoder.layer.1.intermediate.dense.weight":     "electra/encoder/layer_1/intermediate/dense/kernel T",
		"discriminator.electra.encoder.layer.1.output.LayerNorm.bias":         "electra/encoder/layer_1/output/LayerNorm/beta",
		"discriminator.discriminator_predictions.dense.weight":                "discriminator_predictions/dense/kernel T",
		"discriminator.discriminator_predictions.dense_prediction.weight":     "discriminator_predictions/dense_1/kernel T",
		"discriminator.discriminator_predictions.dense_prediction.bias":       "discriminator_predictions/dense_1/bias",
		"generator.generator_predictions.dense.bias":                          "generator_predictions/dense/bias",
		"generator.generator_predictions.LayerNorm.weight":                    "generator_predictions/LayerNorm/gamma",
		"generator.generator_lm_head.bias":                                    "generator_predictions/output_bias",
	} {
		got, transposed := variableName(weight)
		if transposed {
			got += " T"
		}
		if got != want {
			t.Errorf("%s is %s, want %s", weight, got, want)
		}
	}
}

// TestRoundTrip reads what was written, in every layout and of every kind of model.
func TestRoundTrip(t *testing.T) {
	same := func(*model.Config) {}
	for name, c := range map[string]struct {
		layout tf1test.Options
		edit   func(*model.Config)
	}{
		"one block":               {tf1test.Options{}, same},
		"blocks":                  {tf1test.Options{BlockSize: 300}, same},
		"two shards, compressed":  {tf1test.Options{BlockSize: 300, Snappy: true, Shards: 2}, same},
		"a block each":            {tf1test.Options{BlockSize: 1, Shards: 3}, same},
		"equal width":             {tf1test.Options{}, func(c *model.Config) { c.EmbeddingSize = 128 }},
		"untied embeddings":       {tf1test.Options{}, func(c *model.Config) { c.Sharing = model.SharingNone }},
		"everything tied":         {tf1test.Options{}, func(c *model.Config) { c.Sharing = model.SharingAll }},
		"a masked language model": {tf1test.Options{}, func(c *model.Config) { c.Objective = model.ObjectiveMLM }},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := filepath.Join(t.TempDir(), "model.ckpt-1000")
			config := smallConfig(c.edit)
			weights := drawn(&config)
			tf1test.Write(t, prefix, c.layout, append(tf1test.Model(&config, weights, ""), tf1test.Integer(stepName, 1000))...)
			got := must.M1(Import(prefix))
			if !maps.EqualFunc(got.Weights, weights, equalBits) {
				t.Error("the weights are not the same")
			}
			if got.Step != 1000 || len(got.Unused) > 0 || got.FirstMoments != nil || got.SecondMoments != nil {
				t.Errorf("step %d, unused %q, moments of %d and %d", got.Step, got.Unused, len(got.FirstMoments), len(got.SecondMoments))
			}
			if g, w := got.Config.DiscriminatorEncoder(), config.DiscriminatorEncoder(); g != w {
				t.Errorf("discriminator %+v, want %+v", g, w)
			}
			if g, w := got.Config.GeneratorEncoder(), config.GeneratorEncoder(); g != w {
				t.Errorf("generator %+v, want %+v", g, w)
			}
			if got.Config.Sharing != config.Sharing || got.Config.Objective != config.Objective || got.Config.MaxPositions != config.MaxPositions {
				t.Errorf("configuration %+v, want %+v", got.Config, config)
			}
		})
	}
}

// TestMoments: all of them, or none.
func TestMoments(t *testing.T) {
	config := smallConfig(func(*model.Config) {})
	weights := drawn(&config)
	list := slices.Concat(tf1test.Model(&config, weights, ""), tf1test.Model(&config, weights, firstMoment), tf1test.Model(&config, weights, secondMoment))
	prefix := filepath.Join(t.TempDir(), "model")
	tf1test.Write(t, prefix, tf1test.Options{BlockSize: 4096}, list...)
	got := must.M1(Import(prefix))
	if !maps.EqualFunc(got.FirstMoments, weights, equalBits) || !maps.EqualFunc(got.SecondMoments, weights, equalBits) || len(got.Unused) > 0 {
		t.Errorf("the moments are not the same; unused %q", got.Unused)
	}
	tf1test.Write(t, prefix, tf1test.Options{}, list[:len(list)-1]...)
	got = must.M1(Import(prefix))
	if got.FirstMoments != nil || len(got.Unused) != 2*len(weights)-1 {
		t.Errorf("of incomplete moments %d are taken and %d listed", len(got.FirstMoments), len(got.Unused))
	}
}

// TestParts: heads and the whole generator may be missing, other variables are left over.
func TestParts(t *testing.T) {
	config := smallConfig(func(*model.Config) {})
	var kept []tf1test.Variable
	for _, v := range tf1test.Model(&config, drawn(&config), "") {
		if strings.HasPrefix(v.Name, discriminatorScope) {
			kept = append(kept, v)
		}
	}
	prefix := filepath.Join(t.TempDir(), "model")
	tf1test.Write(t, prefix, tf1test.Options{}, append(kept, tf1test.Floats("generator_ltr/x", []int{0}, nil), tf1test.Integer("beta", 1))...)
	got := must.M1(Import(prefix))
	if len(got.Weights) != len(kept) || fmt.Sprint(got.Unused) != "[beta generator_ltr/x]" {
		t.Errorf("%d weights, want %d; unused %q", len(got.Weights), len(kept), got.Unused)
	}
	if !slices.Contains(got.Guessed, "model.generator.size") || got.Config.Objective != model.ObjectiveELECTRA {
		t.Errorf("guessed %q, objective %s", got.Guessed, got.Config.Objective)
	}
}

// TestRefusals breaks one thing at a time.
func TestRefusals(t *testing.T) {
	config := smallConfig(func(*model.Config) {})
	list := tf1test.Model(&config, drawn(&config), "")
	edit := func(name string, edit func(*tf1test.Variable)) func(t *testing.T, prefix string) {
		return func(t *testing.T, prefix string) {
			tf1test.Write(t, prefix, tf1test.Options{Edit: func(v *tf1test.Variable) {
				if v.Name == name {
					edit(v)
				}
			}}, list...)
		}
	}
	without := func(name string) func(*testing.T, string) {
		return func(t *testing.T, prefix string) {
			tf1test.Write(t, prefix, tf1test.Options{}, slices.DeleteFunc(slices.Clone(list), func(v tf1test.Variable) bool { return v.Name == name })...)
		}
	}
	with := func(o tf1test.Options, more ...tf1test.Variable) func(*testing.T, string) {
		return func(t *testing.T, prefix string) { tf1test.Write(t, prefix, o, append(slices.Clone(list), more...)...) }
	}
	file := func(suffix string, edit func([]byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, prefix string) {
			tf1test.Write(t, prefix, tf1test.Options{}, list...)
			must.M(os.WriteFile(prefix+suffix, edit(must.M1(os.ReadFile(prefix+suffix))), 0o644))
		}
	}
	const query, data = "electra/encoder/layer_1/attention/self/query/kernel", ".data-00000-of-00001"
	for _, c := range []struct {
		name  string
		write func(*testing.T, string)
		says  []string
	}{
		{"partitioned", edit(query, func(v *tf1test.Variable) { v.Slices = 2 }), []string{query, "partitioned"}},
		{"big-endian", with(tf1test.Options{BigEndian: true}), []string{"big-endian"}},
		{"newer format", with(tf1test.Options{Consumer: 2}), []string{"version 2"}},
		{"type", edit(query, func(v *tf1test.Variable) { v.DType, v.Shape = tf1test.Float64, []int{64, 128} }), []string{query, "[64 128]", "expected [128 128]"}},
		{"half the type", edit(query, func(v *tf1test.Variable) { v.DType, v.Size = 19, v.Size/2 }), []string{query, "float16", "expected float32"}},
		{"unknown type", edit(query, func(v *tf1test.Variable) { v.DType = 77 }), []string{query, "type 77", "expected float32"}},
		{"no type", edit(query, func(v *tf1test.Variable) { v.DType = 0 }), []string{query, "type 0"}},
		{"shape", edit(query, func(v *tf1test.Variable) { v.Shape = []int{64, 256} }), []string{query, "[64 256]", "expected [128 128]"}},
		{"size", edit(query, func(v *tf1test.Variable) { v.Size-- }), []string{query, "takes 65536 bytes", "65535"}},
		{"a huge shape", edit(query, func(v *tf1test.Variable) { v.Shape = []int{math.MaxInt64, math.MaxInt64} }), []string{query, "larger than any file"}},
		{"a negative shape", edit(query, func(v *tf1test.Variable) { v.Shape = []int{-1, 128} }), []string{query, "unknown size"}},
		{"overlap", edit(query, func(v *tf1test.Variable) { v.Offset -= 4 }), []string{query, "inside"}},
		{"behind the end", edit(query, func(v *tf1test.Variable) { v.Offset = math.MaxUint64 }), []string{query, "truncated"}},
		{"another data file", edit(query, func(v *tf1test.Variable) { v.Shard = 7 }), []string{query, "data file 7"}},
		{"twice", with(tf1test.Options{}, list[5]), []string{"twice", list[5].Name}},
		{"a missing layer's bias", without("generator/encoder/layer_1/output/dense/bias"), []string{"generator/encoder/layer_1/output/dense/bias [64]"}},
		{"a missing table", without("electra/embeddings/position_embeddings"), []string{"position_embeddings"}},
		{"another model", without("electra/embeddings/word_embeddings"), []string{"no checkpoint of google-research/electra"}},
		{"step of another type", with(tf1test.Options{}, tf1test.Floats(stepName, []int{}, []float32{1})), []string{stepName, "expected one int64"}},
		{"a wide generator", with(tf1test.Options{}, tf1test.Floats("generator/embeddings/word_embeddings", []int{50, 1}, make([]float32, 50))), []string{"width 1"}},
		{"damaged data", file(data, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), []string{"checksum", "damaged"}},
		{"truncated data", file(data, func(b []byte) []byte { return b[:len(b)-1] }), []string{"truncated"}},
		{"no data", func(t *testing.T, prefix string) {
			tf1test.Write(t, prefix, tf1test.Options{}, list...)
			must.M(os.Remove(prefix + data))
		}, []string{data, "copy all files"}},
		{"a damaged index", file(".index", func(b []byte) []byte { b[100] ^= 1; return b }), []string{"checksum"}},
		{"a truncated index", file(".index", func(b []byte) []byte { return b[:len(b)-1] }), []string{"truncated"}},
		{"an empty index", file(".index", func(b []byte) []byte { return nil }), []string{"truncated"}},
		{"some other file", file(".index", func(b []byte) []byte { return make([]byte, 100) }), []string{"no index"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			prefix := filepath.Join(t.TempDir(), "model")
			c.write(t, prefix)
			_, err := Import(prefix)
			if fault.ExitCode(err) != 65 {
				t.Fatalf("error %v, want exit code 65", err)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
}

// TestFind: a prefix, a file, a folder, and what is none of them.
func TestFind(t *testing.T) {
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	for _, prefix := range []string{"one/electra[1]", "two/model.ckpt-1", "two/model.ckpt-2", "three/a", "three/b", "four/gone"} {
		must.M(os.MkdirAll(filepath.Dir(in(prefix)), 0o755))
		tf1test.Write(t, in(prefix), tf1test.Options{}, tf1test.Integer("x", 1))
	}
	must.M(os.Remove(in("four/gone.index")))
	must.M(os.WriteFile(in("two/checkpoint"), []byte("model_checkpoint_path: \"gs://bucket/far/model.ckpt-1\"\nall_model_checkpoint_paths: \"model.ckpt-2\"\n"), 0o644))
	for path, want := range map[string]string{
		"one": "one/electra[1]", "one/electra[1]": "one/electra[1]", "one/electra[1].index": "one/electra[1]", "one/electra[1].data-00000-of-00001": "one/electra[1]",
		"two": "two/model.ckpt-1", "two/model.ckpt-2": "two/model.ckpt-2", "two/model.ckpt": "", ".": "", "nowhere": "", "four": "",
	} {
		if want != "" {
			want = in(want)
		}
		if got, err := Find(in(path)); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	for path, code := range map[string]int{"three": 2, "four/gone": 65, "five.index": 65} {
		if _, err := Find(in(path)); fault.ExitCode(err) != code {
			t.Errorf("%s: %v, want exit code %d", path, err, code)
		}
	}
}

// TestTensorFlow reads what TensorFlow itself wrote, where Python has it. ELEKTRON_PYTHON names the
// interpreter.
func TestTensorFlow(t *testing.T) {
	python := os.Getenv("ELEKTRON_PYTHON")
	if python == "" {
		python = "python3"
	}
	script := filepath.Join("..", "..", "scripts", "reference", "tf1_bundle.py")
	if out, err := exec.Command(python, script, "--can-run").CombinedOutput(); err != nil {
		t.Skipf("%s cannot write checkpoints with TensorFlow (ELEKTRON_PYTHON names another): %s", python, strings.TrimSpace(string(out)))
	}
	pair := filepath.Join(testdata.Parity(t), "electra")
	config, weights, err := hf.Read(filepath.Join(pair, "discriminator"), filepath.Join(pair, "generator"))
	must.M(err)
	for _, flags := range []string{"--step 7", "--step 7 --shards 3", "--step 7 --moments"} {
		t.Run(flags, func(t *testing.T) {
			prefix := filepath.Join(t.TempDir(), "electra")
			out, err := exec.Command(python, append([]string{script, pair, prefix}, strings.Fields(flags)...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got := must.M1(Import(must.M1(Find(filepath.Dir(prefix)))))
			if !maps.EqualFunc(got.Weights, weights, equalBits) || got.Step != 7 || len(got.Unused) > 0 {
				t.Errorf("the weights are not the same; step %d, unused %q", got.Step, got.Unused)
			}
			for _, e := range [][2]model.EncoderConfig{{got.Config.DiscriminatorEncoder(), config.DiscriminatorEncoder()}, {got.Config.GeneratorEncoder(), config.GeneratorEncoder()}} {
				if sizes(e[0]) != sizes(e[1]) {
					t.Errorf("encoder %+v, want %+v", e[0], e[1])
				}
			}
			for name, values := range got.FirstMoments {
				for i, x := range weights[name] {
					if values[i] != x/2 || got.SecondMoments[name][i] != x*x {
						t.Fatalf("moments of %s[%d] are %g and %g, the weight is %g", name, i, values[i], got.SecondMoments[name][i], x)
					}
				}
			}
			if (got.FirstMoments != nil) != strings.Contains(flags, "moments") {
				t.Errorf("%d first moments", len(got.FirstMoments))
			}
		})
	}
}

// sizes are what the shapes of a checkpoint tell of an encoder.
func sizes(e model.EncoderConfig) [4]int {
	return [4]int{e.EmbeddingSize, e.HiddenSize, e.IntermediateSize, e.Layers}
}

// FuzzIndex: no index makes the reader panic, allocate without bound or give a variable whose numbers
// disagree. Texts are tried as whole files and, so that sums do not keep everything out, as the content of a
// block with a right sum, plain and compressed.
func FuzzIndex(f *testing.F) {
	list := []tf1test.Variable{tf1test.Floats("a/kernel", []int{1, 2}, []float32{1, 2}), tf1test.Floats("a/kernel/adam_m", []int{1, 2}, []float32{3, 4}), tf1test.Integer("global_step", 5)}
	for i := range list {
		list[i].Size = uint64(len(list[i].Data))
	}
	for _, o := range []tf1test.Options{{}, {BlockSize: 1, Snappy: true, Shards: 2}} {
		index := tf1test.Index(o, list)
		f.Add(index)
		meta, _, err := parseHandle(index[len(index)-footerSize:]) // it lies behind the data blocks
		must.M(err)
		f.Add(index[:meta.offset-trailerSize])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, index := range [][]byte{data, tf1test.Seal(data, blockPlain), tf1test.Seal(data, blockSnappy)} {
			_, list, err := parseIndex(index)
			if err != nil {
				continue
			}
			for i, v := range list {
				if i > 0 && v.name <= list[i-1].name {
					t.Errorf("%q comes after %q", v.name, list[i-1].name)
				}
				if width, known := typeWidths[v.dtype]; known && uint64(model.Weight{Shape: v.shape}.Size())*width != v.size {
					t.Errorf("%s of shape %v in %d bytes", v.dtype, v.shape, v.size)
				}
			}
		}
	})
}
