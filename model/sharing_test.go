package model

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// sharingConfig is a narrow model of two layers with the given sharing.
func sharingConfig(sharing string) Config {
	c, _ := Preset("tiny")
	c.VocabSize, c.HiddenSize, c.EmbeddingSize, c.Layers, c.IntermediateSize, c.MaxPositions = 40, 16, 8, 2, 16, 8
	c.Sharing = sharing
	return c
}

// passed is what a forward and backward pass of the task gives.
type passed struct {
	generator, decoder, discriminator []float32
	mlm, rtd                          map[string][]float32 // gradients of the two losses by weight
}

// pass runs the task on one short example after change has had the weights. Dropout is off.
func pass(t *testing.T, c Config, change func(name string, values []float32)) passed {
	t.Helper()
	list := c.Weights()
	var args []*tensors.Tensor
	for _, w := range list {
		values := w.Initialize(1, 0.2)
		if change != nil {
			change(w.Name, values)
		}
		args = append(args, tensors.FromFlatDataAndDimensions(values, w.Shape...))
	}
	args = append(args, tensors.FromFlatDataAndDimensions([]int32{5, 6, 20, 7}, 1, 4), tensors.FromFlatDataAndDimensions(make([]int32, 4), 1, 4),
		tensors.FromFlatDataAndDimensions([]int32{4}, 1), tensors.FromFlatDataAndDimensions([]int32{1, 3}, 1, 2),
		tensors.FromFlatDataAndDimensions([]int32{4, 4}, 1, 2), tensors.FromFlatDataAndDimensions([]float32{1, 1}, 1, 2),
		tensors.FromFlatDataAndDimensions([]int32{9, 7}, 1, 2), tensors.FromScalar(uint32(3)))
	out := call(t, func(in []*graph.Node) []*graph.Node {
		byName := map[string]*graph.Node{}
		for i, w := range list {
			byName[w.Name] = in[i]
		}
		b := in[len(list):]
		o := c.Forward(NewContext(byName, dtypes.Float32, StepKey(b[7], b[7])), Batch{IDs: b[0], SegmentIDs: b[1], Lengths: b[2],
			MaskedPositions: b[3], MaskedInputs: b[4], MaskedWeights: b[5], SampledIDs: b[6]})
		nodes := []*graph.Node{o.GeneratorHidden, o.GeneratorLogits, o.DiscriminatorLogits}
		nodes = append(nodes, graph.Gradient(o.MLMLoss, in[:len(list)]...)...)
		return append(nodes, graph.Gradient(o.RTDLoss, in[:len(list)]...)...)
	}, args...)
	p := passed{flat[float32](out[0]), flat[float32](out[1]), flat[float32](out[2]), map[string][]float32{}, map[string][]float32{}}
	for i, w := range list {
		p.mlm[w.Name], p.rtd[w.Name] = flat[float32](out[3+i]), flat[float32](out[3+len(list)+i])
	}
	return p
}

// touched is true where a gradient is not all zero.
func touched(gradient []float32) bool {
	return slices.ContainsFunc(gradient, func(x float32) bool { return math.Abs(float64(x)) > 1e-9 })
}

// TestSharing changes one weight and sees who changes, and takes the two losses' gradients apart: what is shared
// gets both, what is not gets its own.
func TestSharing(t *testing.T) {
	const (
		discriminatorWord  = "discriminator.electra.embeddings.word_embeddings.weight"
		generatorWord      = "generator.electra.embeddings.word_embeddings.weight"
		residual           = "discriminator.electra.embeddings.word_embeddings.residual"
		discriminatorQuery = "discriminator.electra.encoder.layer.0.attention.self.query.weight"
		generatorQuery     = "generator.electra.encoder.layer.0.attention.self.query.weight"
	)
	type effect struct {
		weight                            string
		generator, decoder, discriminator bool // whose outputs depend on it
		mlm, rtd                          bool // which loss has a gradient to it
	}
	for sharing, effects := range map[string][]effect{
		SharingEmbeddings: {
			{discriminatorWord, true, true, true, true, true},
			{discriminatorQuery, false, false, true, false, true},
			{generatorQuery, true, true, false, true, false},
		},
		SharingNone: {
			{discriminatorWord, false, false, true, false, true},
			{generatorWord, true, true, false, true, false},
		},
		SharingAll: {
			{discriminatorWord, true, true, true, true, true},
			{discriminatorQuery, true, true, true, true, true},
		},
		SharingGDES: {
			{generatorWord, true, true, true, true, false}, // the discriminator reads it, but gives it no gradient
			{residual, false, false, true, false, true},
			{discriminatorQuery, false, false, true, false, true},
		},
	} {
		c := sharingConfig(sharing)
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		base := pass(t, c, nil)
		for _, e := range effects {
			changed := pass(t, c, func(name string, values []float32) {
				if name == e.weight {
					for i := range values {
						values[i] += 0.1 * float32(i%7)
					}
				}
			})
			for what, pair := range map[string][2]bool{
				"the generator's states depend on it":       {!same(base.generator, changed.generator), e.generator},
				"the decoder's logits depend on it":         {!same(base.decoder, changed.decoder), e.decoder},
				"the discriminator's logits depend on it":   {!same(base.discriminator, changed.discriminator), e.discriminator},
				"the generator's loss has a gradient to it": {touched(base.mlm[e.weight]), e.mlm},
				"the detection loss has a gradient to it":   {touched(base.rtd[e.weight]), e.rtd},
			} {
				if base.mlm[e.weight] == nil {
					t.Fatalf("sharing %s: there is no weight %s", sharing, e.weight)
				}
				if pair[0] != pair[1] {
					t.Errorf("sharing %s, %s: that %s is %v", sharing, e.weight, what, pair[0])
				}
			}
		}
	}
}

// TestSharedGradientsAddUp: the gradient of a shared table is the sum of those that its copies would get if
// nothing were shared and the copies held the same numbers.
func TestSharedGradientsAddUp(t *testing.T) {
	shared := pass(t, sharingConfig(SharingEmbeddings), nil)
	one := map[string][]float32{}
	for _, w := range sharingConfigWeights(SharingEmbeddings) {
		one[w.Name] = w.Initialize(1, 0.2)
	}
	apart := pass(t, sharingConfig(SharingNone), func(name string, values []float32) {
		if from := one[strings.Replace(name, "generator.", "discriminator.", 1)]; strings.Contains(name, ".embeddings.") && from != nil {
			copy(values, from)
		}
	})
	if !same(shared.discriminator, apart.discriminator) {
		t.Fatal("with equal numbers, shared and separate tables give different logits")
	}
	for _, table := range []string{"word_embeddings.weight", "position_embeddings.weight", "token_type_embeddings.weight", "LayerNorm.weight"} {
		d, g := "discriminator.electra.embeddings."+table, "generator.electra.embeddings."+table
		for i, got := range shared.mlm[d] {
			sum := float64(apart.mlm[g][i] + apart.rtd[d][i])
			if both := float64(got + shared.rtd[d][i]); math.Abs(both-sum) > 1e-6 {
				t.Fatalf("%s[%d]: gradient %g, the parts' sum %g", table, i, both, sum)
			}
		}
	}
}

func sharingConfigWeights(sharing string) []Weight {
	c := sharingConfig(sharing)
	return c.Weights()
}

// TestWeightLists: each name once; what is shared is not there twice; a masked language model has one encoder
// and no detection head.
func TestWeightLists(t *testing.T) {
	count := func(list []Weight, prefix string) (n int) {
		for _, w := range list {
			if strings.HasPrefix(w.Name, prefix) {
				n++
			}
		}
		return n
	}
	mlm := sharingConfig(SharingEmbeddings)
	mlm.Objective = ObjectiveMLM
	mixed := sharingConfig(SharingEmbeddings)
	mixed.Generator.Encoder = "albert"
	for name, kase := range map[string]struct {
		config                                       Config
		generatorTables, residuals, generatorEncoder bool
		head                                         bool
	}{
		"embeddings": {sharingConfig(SharingEmbeddings), false, false, true, true},
		"none":       {sharingConfig(SharingNone), true, false, true, true},
		"all":        {sharingConfig(SharingAll), false, false, false, true},
		"gdes":       {sharingConfig(SharingGDES), true, true, true, true},
		"mlm":        {mlm, false, false, false, false},
		"mixed":      {mixed, false, false, true, true},
	} {
		list := kase.config.Weights()
		seen := map[string]bool{}
		residuals := 0
		for _, w := range list {
			if seen[w.Name] {
				t.Errorf("%s: %s is there twice", name, w.Name)
			}
			seen[w.Name] = true
			if strings.HasSuffix(w.Name, residualSuffix) {
				residuals++
			}
		}
		for what, pair := range map[string][2]bool{
			"tables of the generator":  {count(list, "generator.electra.embeddings.") > 0, kase.generatorTables},
			"layers of the generator":  {count(list, "generator.electra.encoder.") > 0, kase.generatorEncoder},
			"residual tables":          {residuals > 0, kase.residuals},
			"a head for detection":     {count(list, "discriminator.discriminator_predictions.") > 0, kase.head},
			"layers of the main model": {count(list, "discriminator.electra.encoder.") > 0, true},
			"a head for the words":     {count(list, "generator.generator_predictions.") > 0, true},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: that there are %s is %v", name, what, pair[0])
			}
		}
	}
}
