package optimizer

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
	"elektron/internal/testdata"
)

// golden is parity/optimizers.json: trajectories computed in float64 by an independent implementation.
type golden struct {
	Shapes    map[string][]int
	Initial   map[string][]float64
	Gradients []map[string][]float64
	Cases     []struct {
		Name, Kind                string
		Lr, Wd, B1, B2, Eps, Clip float64
		BiasCorr                  bool `json:"bias_corr"`
		AdaptAll                  bool `json:"adapt_all"`
		Trajectory                []map[string][]float64
	}
}

func TestGoldenTrajectories(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testdata.Parity(t), "optimizers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{platform.Go, platform.CPU, platform.GPU} {
		for i := range g.Cases {
			t.Run(name+"/"+g.Cases[i].Name, func(t *testing.T) { runCase(t, devicetest.Open(t, name), &g, i) })
		}
	}
}

func runCase(t *testing.T, device *device.Device, g *golden, index int) {
	c := g.Cases[index]
	config := Config{Name: c.Kind, Beta1: c.B1, Beta2: c.B2, Epsilon: c.Eps, WeightDecay: c.Wd,
		ClipNorm: c.Clip, BiasCorrection: c.BiasCorr, AdaptAll: c.AdaptAll}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	if device.Platform == platform.CPU {
		config = config.StoringMoments()
	}
	names := make([]string, 0, len(g.Shapes))
	for name := range g.Shapes {
		names = append(names, name)
	}
	sort.Strings(names)
	variables := make([]Variable, len(names))
	for i, name := range names {
		variables[i] = Variable{Name: name, Shape: g.Shapes[name], Rate: caseRate(c.Name, name)}
	}
	layout := config.Layout(variables)
	arrays := layout.Arrays
	exec := devicetest.Exec(t, device, func(in []*graph.Node) []*graph.Node {
		gradients := make([]Grad, len(names))
		for i := range names {
			gradients[i].Whole = in[1+len(arrays)+i]
		}
		updated, _, _ := layout.ApplyIfFinite(in[0], graph.Scalar(in[0].Graph(), dtypes.Float32, c.Lr), in[0], in[1:1+len(arrays)], gradients)
		return updated
	})
	state := make([]*tensors.Tensor, len(arrays))
	for i, a := range arrays {
		values := must.M1(layout.Join(a, func(slot Slot, of int) ([]float32, error) {
			initial := floats(g.Initial[names[of]])
			if slot != Values {
				clear(initial)
			}
			return initial, nil
		}))
		state[i] = tensors.FromFlatDataAndDimensions(values, a.Shape...)
	}
	for step, gradients := range g.Gradients {
		args := append([]*tensors.Tensor{tensors.FromScalar(float32(step))}, state...)
		for _, name := range names {
			args = append(args, tensors.FromFlatDataAndDimensions(floats(gradients[name]), g.Shapes[name]...))
		}
		state = exec(args...)
		for i, name := range names {
			checkClose(t, step, name, tensors.MustCopyFlatData[float32](state[i]), c.Trajectory[step][name])
		}
	}
}

// TestLayout: every variable lies in one array of each slot, once, and what is joined is cut into what it was. Vectors of
// one rate share their moments, matrices do not; where all have a trust ratio, none do.
func TestLayout(t *testing.T) {
	variables := []Variable{{"a.weight", []int{2, 3}, 1}, {"a.bias", []int{3}, 1}, {"norm.weight", []int{2}, 1}, {"b.weight", []int{3, 2}, 1}, {"b.bias", []int{2}, 0.5}, {"norm.bias", []int{2}, 1}}
	for _, c := range []struct {
		config  Config
		moments [][]int
	}{
		{Config{Name: "lamb"}, [][]int{{0}, {1, 2, 5}, {3}, {4}}},
		{Config{Name: "lamb", AdaptAll: true}, [][]int{{0}, {1}, {2}, {3}, {4}, {5}}},
	} {
		layout := c.config.Layout(variables)
		groups := map[Slot][][]int{}
		for _, a := range layout.Arrays {
			groups[a.Slot] = append(groups[a.Slot], a.Of)
			values := must.M1(layout.Join(a, func(slot Slot, of int) ([]float32, error) {
				return slices.Repeat([]float32{float32(10*int(slot) + of)}, variables[of].size()), nil
			}))
			if size := (Variable{Shape: a.Shape}).size(); size != len(values) {
				t.Errorf("%+v has %d numbers", a, len(values))
			}
			for at, part := range layout.Cut(a, values) {
				if len(part) != variables[a.Of[at]].size() || part[0] != float32(10*int(a.Slot)+a.Of[at]) || part[len(part)-1] != part[0] {
					t.Errorf("part %d of %+v is %v", at, a, part)
				}
			}
		}
		if want := [][]int{{0}, {1}, {2}, {3}, {4}, {5}}; !reflect.DeepEqual(groups[Values], want) {
			t.Errorf("values %v", groups[Values])
		}
		if !reflect.DeepEqual(groups[FirstMoments], c.moments) || !reflect.DeepEqual(groups[SecondMoments], c.moments) {
			t.Errorf("moments %v and %v, want %v", groups[FirstMoments], groups[SecondMoments], c.moments)
		}
	}
}

// checkClose compares relative to the largest element of the array.
func checkClose(t *testing.T, step int, name string, got []float32, want []float64) {
	t.Helper()
	var scale float64
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	for i, w := range want {
		if math.Abs(float64(got[i])-w) > 1e-5*scale {
			t.Errorf("step %d, %s[%d]: %.8g, want %.8g", step, name, i, got[i], w)
			return
		}
	}
}

func caseRate(kase, name string) float64 {
	switch kase {
	case "adam_layerwise_0.8":
		return LayerwiseRate(name, 2, 1, 0.8, false)
	case "adam_layerwise_0.8_official":
		return LayerwiseRate(name, 2, 1, 0.8, true)
	}
	return 1
}

func floats(values []float64) []float32 {
	flat := make([]float32, len(values))
	for i, v := range values {
		flat[i] = float32(v)
	}
	return flat
}

func TestDecayed(t *testing.T) {
	for name, want := range map[string]bool{
		"discriminator.electra.embeddings.word_embeddings.weight":                                          true,
		"discriminator.electra.embeddings.LayerNorm.weight":                                                false,
		"discriminator.electra.encoder.layer.0.attention.self.query.bias":                                  false,
		"discriminator.electra.encoder.layer.0.attention.self.query.weight":                                true,
		"discriminator.electra.encoder.layer.0.attention.output.LayerNorm.weight":                          false,
		"generator.generator_lm_head.bias":                                                                 false,
		"discriminator.electra.encoder.albert_layer_groups.0.albert_layers.0.full_layer_layer_norm.weight": false,
		"discriminator.electra.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight":                   true,
		"discriminator.electra.encoder.layer.0.attn_norm.weight":                                           false,
		"discriminator.electra.encoder.layer.0.mlp_norm.weight":                                            false,
		"discriminator.electra.encoder.final_norm.weight":                                                  false,
		"discriminator.electra.encoder.layer.0.attn.Wqkv.weight":                                           true,
		"discriminator.electra.encoder.layer.0.mlp.Wi.weight":                                              true,
	} {
		if Decayed(name) != want {
			t.Errorf("Decayed(%q) = %v", name, !want)
		}
	}
}

func TestLayerwiseRate(t *testing.T) {
	const side = "discriminator.electra."
	for _, c := range []struct {
		name          string
		groups        int
		above         float64 // layers between the head and it, one more than lie above it
		aboveOfficial float64
	}{
		{side + "embeddings.word_embeddings.weight", 1, 13, 14},
		{side + "embeddings.LayerNorm.weight", 1, 13, 14},
		{side + "embeddings_project.weight", 1, 13, 14},
		{side + "encoder.layer.0.output.dense.weight", 1, 12, 13},
		{side + "encoder.layer.11.output.dense.weight", 1, 1, 2},
		{side + "encoder.layer.11.output.LayerNorm.bias", 7, 1, 2},
		{"electra/encoder/layer_4/output/dense/kernel", 1, 8, 9},
		{side + "encoder.embedding_hidden_mapping_in.weight", 1, 13, 14},
		{side + "encoder.albert_layer_groups.0.albert_layers.0.ffn.weight", 1, 1, 2},
		{side + "encoder.albert_layer_groups.0.albert_layers.3.ffn.weight", 1, 1, 2},
		{side + "encoder.albert_layer_groups.0.albert_layers.0.ffn.weight", 3, 9, 10},
		{side + "encoder.albert_layer_groups.2.albert_layers.1.ffn.weight", 3, 1, 2},
		{side + "encoder.albert_layer_groups.10.albert_layers.0.attention.LayerNorm.bias", 12, 2, 3},
		{side + "encoder.layer.3.attn.Wqkv.weight", 1, 9, 10},
		{side + "encoder.layer.3.mlp_norm.weight", 1, 9, 10},
		{side + "encoder.final_norm.weight", 1, 1, 2},
		{"classifier.dense.weight", 1, 0, 0},
		{"classifier.weight", 3, 0, 0},
	} {
		for official, above := range map[bool]float64{false: c.above, true: c.aboveOfficial} {
			if got, want := LayerwiseRate(c.name, 12, c.groups, .8, official), math.Pow(.8, above); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s, %d groups, official=%v: %g, want %g", c.name, c.groups, official, got, want)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	good := Config{Name: "lamb", Beta1: .9, Beta2: .999, Epsilon: 1e-6}
	for name, breakIt := range map[string]func(*Config){
		"name":    func(c *Config) { c.Name = "sgd" },
		"beta":    func(c *Config) { c.Beta2 = 1 },
		"epsilon": func(c *Config) { c.Epsilon = 0 },
		"decay":   func(c *Config) { c.WeightDecay = -1 },
	} {
		c := good
		breakIt(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted %+v", name, c)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
