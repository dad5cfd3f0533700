package hf

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
	"elektron/internal/testdata"
	"elektron/model"
	"elektron/model/hf/safetensors"
)

// writePair writes a small model with random weights as two folders.
func writePair(t *testing.T, folder string, edit func(*model.Config)) (model.Config, map[string][]float32) {
	t.Helper()
	c, _ := model.Preset("tiny")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.Heads, c.IntermediateSize, c.MaxPositions = 50, 8, 16, 2, 24, 32
	edit(&c)
	weights := map[string][]float32{}
	for _, w := range c.Weights() {
		w.Init = model.InitTruncatedNormal
		weights[w.Name] = w.Initialize(3, 1)
	}
	must.M1(Export(folder, &c, weights, 7))
	return c, weights
}

func importFolder(folder string) (*Pair, error) {
	return Import(filepath.Join(folder, "discriminator"), filepath.Join(folder, "generator"))
}

func equalBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// TestRoundTrip writes and reads models of every kind.
func TestRoundTrip(t *testing.T) {
	for name, edit := range map[string]func(*model.Config){
		"bert":              func(c *model.Config) {},
		"bert, equal width": func(c *model.Config) { c.EmbeddingSize = 16 },
		"gelu_new":          func(c *model.Config) { c.Activation = "gelu_new" },
		"generator's sizes": func(c *model.Config) {
			c.Generator = model.Generator{Size: 1, HiddenSize: 12, Layers: 3, Heads: 3, IntermediateSize: 20}
		},
		"dropout and epsilon": func(c *model.Config) { c.HiddenDropout, c.AttentionDropout, c.LayerNormEpsilon = 0.1, 0.2, 1e-5 },
		"albert":              func(c *model.Config) { c.Encoder = "albert" },
		"albert, equal width": func(c *model.Config) { c.Encoder, c.EmbeddingSize = "albert", 16 },
		"albert, groups":      func(c *model.Config) { c.Encoder, c.Layers, c.HiddenGroups, c.InnerGroupNum = "albert", 4, 2, 3 },
		"albert guesses for bert": func(c *model.Config) {
			c.Generator.Encoder, c.Layers, c.HiddenGroups, c.InnerGroupNum = "albert", 4, 2, 3
		},
		"bert guesses for albert":     func(c *model.Config) { c.Encoder, c.Generator.Encoder = "albert", "bert" },
		"one activation of two kinds": func(c *model.Config) { c.Generator.Encoder, c.Activation = "albert", "gelu" },
		"untied":                      func(c *model.Config) { c.Sharing = model.SharingNone },
		"untied, two kinds":           func(c *model.Config) { c.Generator.Encoder, c.Sharing = "albert", model.SharingNone },
		"all tied":                    func(c *model.Config) { c.Sharing = model.SharingAll },
		"all tied, albert":            func(c *model.Config) { c.Encoder, c.Sharing = "albert", model.SharingAll },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			c, weights := writePair(t, folder, edit)
			p, err := importFolder(folder)
			if err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(p.Weights, weights, equalBits) {
				t.Error("the weights are not the same")
			}
			if extra := fmt.Sprint(p.Missing, p.Unused, p.Differs); extra != "[] [] []" {
				t.Errorf("missing, unused, differing: %s", extra)
			}
			if got, want := p.Config.DiscriminatorEncoder(), c.DiscriminatorEncoder(); got != want {
				t.Errorf("discriminator %+v, want %+v", got, want)
			}
			if got, want := p.Config.GeneratorEncoder(), c.GeneratorEncoder(); got != want {
				t.Errorf("generator %+v, want %+v", got, want)
			}
			if p.Config.VocabSize != c.VocabSize || p.Config.MaxPositions != c.MaxPositions || p.Config.TokenTypes != c.TokenTypes || p.Config.Sharing != c.Sharing {
				t.Errorf("configuration %+v", p.Config)
			}
		})
	}
}

// TestGDES: each side's folder holds the tables that the side looks up, the discriminator's being sums. They
// differ, so that what is read again is a pair that shares nothing.
func TestGDES(t *testing.T) {
	folder := t.TempDir()
	_, weights := writePair(t, folder, func(c *model.Config) { c.Sharing = model.SharingGDES })
	p := must.M1(importFolder(folder))
	if p.Config.Sharing != model.SharingNone || len(p.Missing)+len(p.Unused)+len(p.Differs) > 0 {
		t.Errorf("sharing %s; missing %q, unused %q, differing %q", p.Config.Sharing, p.Missing, p.Unused, p.Differs)
	}
	for _, table := range []string{"word_embeddings", "position_embeddings", "token_type_embeddings"} {
		gen, residual := weights["generator.electra.embeddings."+table+".weight"], weights["discriminator.electra.embeddings."+table+".residual"]
		if !equalBits(p.Weights["generator.electra.embeddings."+table+".weight"], gen) {
			t.Errorf("the generator's %s is not the same", table)
		}
		for i, x := range p.Weights["discriminator.electra.embeddings."+table+".weight"] {
			if x != gen[i]+residual[i] {
				t.Fatalf("the discriminator's %s[%d] is %g, want %g + %g", table, i, x, gen[i], residual[i])
			}
		}
	}
	for name, values := range weights {
		if !strings.Contains(name, "_embeddings.") && !equalBits(values, p.Weights[name]) {
			t.Errorf("%s is not the same", name)
		}
	}
}

// TestMaskedLanguageModel: a model without a discriminator is one folder, the generator's.
func TestMaskedLanguageModel(t *testing.T) {
	for _, encoder := range []string{"bert", "albert"} {
		folder := t.TempDir()
		c, weights := writePair(t, folder, func(c *model.Config) { c.Encoder, c.Objective = encoder, model.ObjectiveMLM })
		if _, err := os.Stat(filepath.Join(folder, "discriminator")); err == nil {
			t.Errorf("%s: there is a discriminator", encoder)
		}
		p := must.M1(Import(filepath.Join(folder, "generator"), ""))
		if p.Config.Objective != model.ObjectiveMLM || p.Config.DiscriminatorEncoder() != c.DiscriminatorEncoder() || len(p.Missing)+len(p.Unused)+len(p.Differs) > 0 {
			t.Errorf("%s: %+v; missing %q, unused %q, differing %q", encoder, p.Config, p.Missing, p.Unused, p.Differs)
		}
		if !maps.EqualFunc(p.Weights, weights, equalBits) {
			t.Errorf("%s: the weights are not the same", encoder)
		}
	}
}

// TestParity reads the reference folders, writes them, and finds every tensor and every value of the
// configuration again.
func TestParity(t *testing.T) {
	reference, out := filepath.Join(testdata.Parity(t), "electra"), t.TempDir()
	p, err := importFolder(reference)
	if err != nil {
		t.Fatal(err)
	}
	must.M1(Export(out, &p.Config, p.Weights, 0))
	for _, s := range []string{"discriminator", "generator"} {
		want := must.M1(safetensors.Read(filepath.Join(reference, s, weightsName)))
		got := must.M1(safetensors.Read(filepath.Join(out, s, weightsName)))
		if len(got.Tensors) != len(want.Tensors) || got.Metadata["format"] != "pt" {
			t.Errorf("%s: %d tensors, want %d; metadata %v", s, len(got.Tensors), len(want.Tensors), got.Metadata)
		}
		for _, w := range want.Tensors {
			if g := got.Tensor(w.Name); g == nil || !slices.Equal(g.Shape, w.Shape) || string(g.Data) != string(w.Data) {
				t.Errorf("%s: tensor %s is not the same", s, w.Name)
			}
		}
		before, after := configMap(t, filepath.Join(reference, s)), configMap(t, filepath.Join(out, s))
		for key, value := range after {
			if b, ok := before[key]; ok && fmt.Sprint(b) != fmt.Sprint(value) {
				t.Errorf("%s: %s is %v, want %v", s, key, value, b)
			}
		}
	}
}

func configMap(t *testing.T, folder string) map[string]any {
	t.Helper()
	var m map[string]any
	must.M(json.Unmarshal(must.M1(os.ReadFile(filepath.Join(folder, configName))), &m))
	return m
}

// editConfig replaces text in a folder's config.json, which must be there.
func editConfig(t *testing.T, folder, from, to string) {
	t.Helper()
	path := filepath.Join(folder, configName)
	before := string(must.M1(os.ReadFile(path)))
	after := strings.Replace(before, from, to, 1)
	if before == after {
		t.Fatalf("%q is not in %s", from, path)
	}
	must.M(os.WriteFile(path, []byte(after), 0o644))
}

// editTensors rewrites a folder's tensors.
func editTensors(t *testing.T, folder string, edit func(*safetensors.File)) {
	t.Helper()
	path := filepath.Join(folder, weightsName)
	file := must.M1(safetensors.Read(path))
	edit(file)
	must.M(safetensors.Write(path, file))
}

func drop(name string) func(*safetensors.File) {
	return func(f *safetensors.File) {
		f.Tensors = slices.DeleteFunc(f.Tensors, func(t safetensors.Tensor) bool { return t.Name == name })
	}
}

// TestRefusals breaks one thing at a time.
func TestRefusals(t *testing.T) {
	config := func(from, to string) func(*testing.T, string) {
		return func(t *testing.T, disc string) { editConfig(t, disc, from, to) }
	}
	tensors := func(edit func(*safetensors.File)) func(*testing.T, string) {
		return func(t *testing.T, disc string) { editTensors(t, disc, edit) }
	}
	for _, c := range []struct {
		name   string
		damage func(*testing.T, string)
		says   []string
	}{
		{"other model", config(`"electra"`, `"bert"`), []string{"model_type", `"bert"`}},
		{"activation", config(`"gelu"`, `"relu"`), []string{"hidden_act", "relu"}},
		{"positions", config(`"absolute"`, `"relative_key"`), []string{"relative_key"}},
		{"heads", config(`"num_attention_heads": 2`, `"num_attention_heads": 3`), []string{"does not divide"}},
		{"no size", config(`"hidden_size": 16`, `"size": 16`), []string{"hidden_size is 0"}},
		{"negative layers", config(`"num_hidden_layers": 2`, `"num_hidden_layers": -2`), []string{"num_hidden_layers is -2"}},
		{"a billion layers", config(`"num_hidden_layers": 2`, `"num_hidden_layers": 1000000000`), []string{"1000000000"}},
		{"more layers than tensors", config(`"num_hidden_layers": 2`, `"num_hidden_layers": 3`), []string{"16 tensors", "electra.encoder.layer.2.attention.self.query.weight [16 16]"}},
		{"text for a number", config(`"hidden_size": 16`, `"hidden_size": "16"`), []string{"hidden_size"}},
		{"no JSON", config(`{`, `[`), []string{configName}},
		{"vocabulary of another size", config(`"vocab_size": 50`, `"vocab_size": 51`), []string{"do not belong together", "vocab_size is 51 and 50"}},
		{"shape", config(`"intermediate_size": 24`, `"intermediate_size": 25`), []string{"intermediate.dense.weight", "[24 16]", "[25 16]"}},
		{"missing table", tensors(drop("electra.embeddings.word_embeddings.weight")), []string{"missing", "electra.embeddings.word_embeddings.weight [50 8]"}},
		{"type", tensors(func(f *safetensors.File) { f.Tensor("electra.embeddings.LayerNorm.bias").DType = "I32" }), []string{"LayerNorm.bias", "I32", "F32"}},
		{"cut", func(t *testing.T, disc string) {
			path := filepath.Join(disc, weightsName)
			must.M(os.Truncate(path, must.M1(os.Stat(path)).Size()-1))
		}, []string{"truncated"}},
		{"no weights", func(t *testing.T, disc string) { must.M(os.Remove(filepath.Join(disc, weightsName))) }, []string{weightsName}},
		{"pickle", func(t *testing.T, disc string) {
			must.M(os.Rename(filepath.Join(disc, weightsName), filepath.Join(disc, "pytorch_model.bin")))
		}, []string{"pytorch_model.bin", "pickle", "runs"}},
		{"split weights", func(t *testing.T, disc string) {
			must.M(os.Rename(filepath.Join(disc, weightsName), filepath.Join(disc, weightsName+".index.json")))
		}, []string{"split"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			writePair(t, folder, func(*model.Config) {})
			c.damage(t, filepath.Join(folder, "discriminator"))
			_, err := importFolder(folder)
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
	if _, err := Import("model.pt", ""); fault.ExitCode(err) != 65 || !strings.Contains(err.Error(), "pickle") {
		t.Errorf("a .pt file: %v", err)
	}
	folder := t.TempDir()
	writePair(t, folder, func(*model.Config) {})
	if _, err := Import(filepath.Join(folder, "discriminator", weightsName), ""); fault.ExitCode(err) != 2 || !strings.Contains(err.Error(), "name the folder") {
		t.Errorf("a file: %v", err)
	}
	if _, err := Import(t.TempDir(), ""); fault.ExitCode(err) != 69 {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestLists: heads may be missing, tensors may be left over, copies are neither.
func TestLists(t *testing.T) {
	folder := t.TempDir()
	_, weights := writePair(t, folder, func(*model.Config) {})
	disc, gen := filepath.Join(folder, "discriminator"), filepath.Join(folder, "generator")
	table := weights["discriminator.electra.embeddings.word_embeddings.weight"]
	editTensors(t, disc, drop("discriminator_predictions.dense.bias"))
	editTensors(t, disc, func(f *safetensors.File) {
		f.Tensors = append(f.Tensors, safetensors.FromFloat32s("pooler.bias", []int{1}, []float32{1}))
	})
	editTensors(t, gen, drop("electra.embeddings.token_type_embeddings.weight"))
	editTensors(t, gen, func(f *safetensors.File) {
		f.Tensors = append(f.Tensors, safetensors.FromFloat32s("generator_lm_head.weight", []int{50, 8}, table))
	})
	lists := func(differs ...string) {
		t.Helper()
		p := must.M1(importFolder(folder))
		for what, lists := range map[string][2][]string{
			"missing": {p.Missing, {"discriminator.discriminator_predictions.dense.bias"}},
			"unused":  {p.Unused, {"discriminator.pooler.bias"}},
			"differs": {p.Differs, differs},
		} {
			if !slices.Equal(lists[0], lists[1]) {
				t.Errorf("%s: %q, want %q", what, lists[0], lists[1])
			}
		}
		if p.Config.Sharing != model.SharingEmbeddings {
			t.Errorf("sharing %s", p.Config.Sharing)
		}
	}
	lists()
	editTensors(t, gen, func(f *safetensors.File) { f.Tensor("generator_lm_head.weight").Data[2] ^= 1 })
	lists("generator.generator_lm_head.weight (taken: the word table)")
	if _, _, err := Read(disc, gen); fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), "dense.bias") {
		t.Errorf("Read of a pair with a hole: %v", err)
	}
}

// TestSharingIsSeen: one bit of one table, and the pair shares nothing.
func TestSharingIsSeen(t *testing.T) {
	for _, table := range []string{"word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight", "LayerNorm.weight", "LayerNorm.bias"} {
		folder := t.TempDir()
		writePair(t, folder, func(*model.Config) {})
		editTensors(t, filepath.Join(folder, "generator"), func(f *safetensors.File) { f.Tensor("electra.embeddings." + table).Data[2] ^= 1 })
		if p := must.M1(importFolder(folder)); p.Config.Sharing != model.SharingNone {
			t.Errorf("%s differs, and sharing is %s", table, p.Config.Sharing)
		}
	}
}

// TestDiscriminatorAlone: without a generator its weights are missing and the configuration is valid. Names
// of the bare encoder are read too.
func TestDiscriminatorAlone(t *testing.T) {
	folder := t.TempDir()
	_, weights := writePair(t, folder, func(*model.Config) {})
	disc := filepath.Join(folder, "discriminator")
	editTensors(t, disc, func(f *safetensors.File) {
		for i := range f.Tensors {
			f.Tensors[i].Name = strings.TrimPrefix(f.Tensors[i].Name, "electra.")
		}
	})
	p := must.M1(Import(disc, ""))
	if len(p.Missing) == 0 || !strings.HasPrefix(p.Missing[0], "generator.") || len(p.Unused) > 0 {
		t.Errorf("missing %q, unused %q", p.Missing, p.Unused)
	}
	for name, values := range p.Weights {
		if !equalBits(values, weights[name]) {
			t.Errorf("%s is not the same", name)
		}
	}
}

// TestExportRefuses: and leaves nothing behind.
func TestExportRefuses(t *testing.T) {
	c, _ := model.Preset("tiny")
	c.VocabSize = 10
	if _, err := Export(t.TempDir(), &c, nil, 0); fault.KindOf(err) != fault.Data {
		t.Errorf("without weights: %v", err)
	}
	c.Generator.Encoder = "modern"
	out := filepath.Join(t.TempDir(), "out")
	if _, err := Export(out, &c, nil, 0); fault.ExitCode(err) != 2 || !strings.Contains(err.Error(), "transformers has no modern encoder") {
		t.Errorf("an encoder that transformers does not have: %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused export left a folder")
	}
}
