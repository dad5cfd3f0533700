package trainer

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/janpfeifer/must"

	"elektron/internal/device"
	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
	"elektron/model"
	"elektron/trainer/optimizer"
)

// stepConfig is a narrow model with dropout, so that what depends on noise shows.
func stepConfig() Config {
	c := must.M1(Preset("tiny"))
	c.Model.VocabSize, c.Model.HiddenSize, c.Model.EmbeddingSize, c.Model.IntermediateSize = 300, 32, 16, 64
	c.Model.HiddenDropout, c.Model.AttentionDropout = 0.1, 0.1
	c.Data.BatchSize, c.Data.SeqLen, c.Run.DType = 8, 32, "f32"
	return c
}

// threeSteps takes three steps on a batch with rows of several lengths, and returns the weights by name and the
// last step's result.
func threeSteps(t *testing.T, o StepOptions, c *Config) (map[string][]float32, Result) {
	t.Helper()
	step := must.M1(NewStep(devicetest.Open(t, platform.Go), o))
	defer step.Close()
	must.M(step.Initialize(3))
	batch := randomBatch(c)
	for row := range batch.Lengths {
		batch.Lengths[row] -= int32(row)
		for k := range batch.Masked {
			if at := row*batch.Masked + k; batch.MaskedPositions[at] >= batch.Lengths[row] {
				batch.MaskedWeights[at] = 0
			}
		}
	}
	var result Result
	for i := range int64(3) {
		result = must.M1(step.Train(batch, Control{Seed: 5, Step: i, LearningRate: 0.01, DiscriminatorWeight: 50}))
	}
	weights := map[string][]float32{}
	for i, w := range step.weights {
		weights[w.Name] = must.M1(device.Floats(step.state[i]))
	}
	return weights, result
}

// TestSameStep computes a batch in parts and layers again: the step must be that of the batch at once, with
// dropout and sampling, for every encoder.
func TestSameStep(t *testing.T) {
	for _, encoder := range model.EncoderNames() {
		c := stepConfig()
		c.Model.Encoder = encoder
		whole := c.stepOptions(platform.TPU)
		want, wantResult := threeSteps(t, whole, &c)
		for name, change := range map[string]func(*StepOptions){
			"parts":                 func(o *StepOptions) { o.Parts = 4 },
			"rematerialised":        func(o *StepOptions) { o.Rematerialize = true },
			"parts, rematerialised": func(o *StepOptions) { o.Parts, o.Rematerialize = 2, true },
		} {
			o := whole
			change(&o)
			got, result := threeSteps(t, o, &c)
			for weight, values := range want {
				compareAbsolute(t, encoder+", "+name+": "+weight, got[weight], values, 2e-6)
			}
			for what, pair := range map[string][2]float64{
				"masked-language-model loss": {result.MLMLoss, wantResult.MLMLoss}, "detection loss": {result.RTDLoss, wantResult.RTDLoss},
				"gradient norm": {result.GradNorm, wantResult.GradNorm}, "area": {result.AUC(), wantResult.AUC()},
				"replaced tokens": {result.Positives, wantResult.Positives},
			} {
				if !(math.Abs(pair[0]-pair[1]) <= 1e-5*math.Abs(pair[1])) {
					t.Errorf("%s, %s: %s is %g, of the batch at once %g", encoder, name, what, pair[0], pair[1])
				}
			}
		}
	}
}

func compareAbsolute(t *testing.T, name string, got, want []float32, tolerance float64) {
	t.Helper()
	worst := 0.0
	for i := range want {
		worst = max(worst, math.Abs(float64(got[i]-want[i])))
	}
	if len(got) != len(want) || !(worst <= tolerance) {
		t.Errorf("%s: differs by %g, allowed %g", name, worst, tolerance)
	}
}

// TestPartsRefused asks for parts that do not divide the batch.
func TestPartsRefused(t *testing.T) {
	c := stepConfig()
	c.Run.Steps, c.Run.LogEvery = 1, 1
	c.Run.Accumulate = 3
	if err := c.Validate(); err == nil {
		t.Error("a batch of 8 in 3 parts is accepted")
	}
}

// TestDiscriminatorWarmup: no gradient reaches the discriminator's head while its weight is 0, and the weight
// rises as configured.
func TestDiscriminatorWarmup(t *testing.T) {
	c := stepConfig()
	c.Optim.DiscriminatorWarmup = 4
	for step, want := range []float64{0, 12.5, 25, 37.5, 50, 50} {
		if got := c.discriminatorWeight(int64(step)); got != want {
			t.Errorf("weight at step %d: %g, want %g", step, got, want)
		}
	}
	step := must.M1(NewStep(devicetest.Open(t, platform.Go), c.stepOptions(platform.TPU)))
	must.M(step.Initialize(3))
	moment := func() (sum float64) {
		for _, tensor := range must.M1(step.Export()) {
			if tensor.Name == "discriminator.discriminator_predictions.dense.weight"+slotSuffix[optimizer.FirstMoments] {
				for _, m := range decodeFloats(tensor.Data) {
					sum += math.Abs(float64(m))
				}
			}
		}
		return sum
	}
	for i, nonzero := range []bool{false, true} {
		must.M1(step.Train(randomBatch(&c), Control{Seed: 5, Step: int64(i), LearningRate: 0.01, DiscriminatorWeight: c.discriminatorWeight(int64(i))}))
		if (moment() != 0) != nonzero {
			t.Errorf("after step %d the head's first moment sums to %g", i, moment())
		}
	}
}

// TestHalfPrecisionProducts traces a bfloat16 step: every product of forward and backward pass multiplies
// bfloat16 numbers, but for the token types' lookup (two, and two gradients each) and the counts for the area
// under the curve.
func TestHalfPrecisionProducts(t *testing.T) {
	for _, remat := range []bool{false, true} {
		c := stepConfig()
		o := c.stepOptions(platform.TPU)
		o.Compute, o.Rematerialize = dtypes.BFloat16, remat
		step := must.M1(NewStep(devicetest.Open(t, platform.Go), o))
		spec := step.spec(programKey{trainProgram, shapeOf(randomBatch(&c))})
		g := graph.NewGraph(must.M1(gobackend.New("")), "step")
		var in []*graph.Node
		for _, x := range spec.Inputs {
			in = append(in, graph.Parameter(g, x.Name, shapes.Make(x.DType, x.Dims...)))
		}
		spec.Build(in)
		half, full := 0, 0
		for _, node := range g.Nodes() {
			switch {
			case node.Type() != graph.NodeTypeDotGeneral:
			case node.Inputs()[0].DType() == dtypes.BFloat16 && node.Inputs()[1].DType() == dtypes.BFloat16:
				half++
			default:
				full++
			}
		}
		if full != 7 || half < 60 {
			t.Errorf("rematerialised %v: %d products in bfloat16, %d in float32; of these there should be 7", remat, half, full)
		}
	}
}
