package model_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
	"elektron/internal/testdata"
	"elektron/model"
	"elektron/model/hf"
	"elektron/model/hf/safetensors"
)

// TestGoldenALBERT holds the last hidden states against an independent implementation, on both backends.
func TestGoldenALBERT(t *testing.T) {
	folder := filepath.Join(testdata.Parity(t), "albert")
	pair, err := hf.Import(folder, "")
	if err != nil {
		t.Fatal(err)
	}
	kase := must.M1(safetensors.Read(filepath.Join(folder, "case.safetensors")))
	for _, name := range []string{platform.Go, platform.CPU, platform.GPU} {
		t.Run(name, func(t *testing.T) {
			hidden := runHidden(t, devicetest.Open(t, name), pair, kase)
			compareAbsolute(t, "hidden", hidden, floats(kase, "hidden"), 1e-4)
		})
	}
}

// runHidden runs the discriminator's encoder on a golden's input. Positions after the length are compared too:
// the mask takes them out of the keys only.
func runHidden(t *testing.T, device *device.Device, pair *hf.Pair, kase *safetensors.File) []float32 {
	t.Helper()
	var names []string
	var args []*tensors.Tensor
	for _, w := range pair.Config.Weights() {
		if values, ok := pair.Weights[w.Name]; ok {
			names = append(names, w.Name)
			args = append(args, tensors.FromFlatDataAndDimensions(values, w.Shape...))
		}
	}
	ids := kase.Tensor("input_ids")
	B, S := ids.Shape[0], ids.Shape[1]
	lengths := make([]int32, B)
	for i, keep := range must.M1(kase.Tensor("attention_mask").Int32s()) {
		lengths[i/S] += keep
	}
	args = append(args, tensors.FromFlatDataAndDimensions(must.M1(ids.Int32s()), B, S),
		tensors.FromFlatDataAndDimensions(must.M1(kase.Tensor("token_type_ids").Int32s()), B, S),
		tensors.FromFlatDataAndDimensions(lengths, B))
	exec := devicetest.Exec(t, device, func(in []*graph.Node) []*graph.Node {
		byName := map[string]*graph.Node{}
		for i, name := range names {
			byName[name] = in[i]
		}
		in = in[len(names):]
		return []*graph.Node{pair.Config.Hidden(model.NewContext(byName, dtypes.Float32, nil), model.Text{IDs: in[0], SegmentIDs: in[1], Lengths: in[2]})}
	})
	return tensors.MustCopyFlatData[float32](exec(args...)[0])
}

// TestALBERTWeights: weights grow with groups and inner layers, not with layers, and the founding article's
// base size has the published 12 M parameters.
func TestALBERTWeights(t *testing.T) {
	config, _ := model.Preset("small")
	config.Encoder, config.VocabSize = "albert", 30000
	count := func(edit func(*model.Config)) int {
		c := config
		edit(&c)
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, w := range c.Weights() {
			if strings.HasPrefix(w.Name, "discriminator.electra.") {
				n += w.Size()
			}
		}
		return n
	}
	one := count(func(*model.Config) {})
	if n := count(func(c *model.Config) { c.Layers, c.Generator.Layers = 24, 24 }); n != one {
		t.Errorf("24 layers have %d weights, 12 have %d: they are not shared", n, one)
	}
	layer := count(func(c *model.Config) { c.HiddenGroups = 2 }) - one
	if n := count(func(c *model.Config) { c.InnerGroupNum = 2 }); n != one+layer || layer <= 0 {
		t.Errorf("two inner layers have %d weights, two groups %d", n, one+layer)
	}
	base := count(func(c *model.Config) { c.HiddenSize, c.IntermediateSize, c.Heads = 768, 3072, 12 })
	if base < 11_000_000 || base > 12_000_000 { // Lan et al., table 1: 12 M, pooler and heads included
		t.Errorf("ALBERT base has %d parameters, want a little under 12 M", base)
	}
}

// TestALBERTActivation: unless it is set, the activation is the encoder's own.
func TestALBERTActivation(t *testing.T) {
	for _, c := range []struct{ encoder, activation, want string }{
		{"bert", "", "gelu"}, {"albert", "", "gelu_new"}, {"albert", "gelu", "gelu"}, {"bert", "gelu_new", "gelu_new"},
	} {
		config, _ := model.Preset("small")
		config.Encoder, config.Activation = c.encoder, c.activation
		if got := config.GeneratorEncoder().Activation; got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.encoder, c.activation, got, c.want)
		}
	}
	if !slices.Contains(model.EncoderNames(), "albert") {
		t.Error("albert is not among the encoders")
	}
}
