package model

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// numbers are small, of both signs, and differ.
func numbers(salt uint32, dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(Mix32(uint32(i)+salt)>>8)/(1<<23) - 1
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

// TestVocabularyComputedAgain: losses, their gradients, draws and what is likeliest are the same whether logits are
// kept or computed again by every reader, with whole blocks of the vocabulary and a rest.
func TestVocabularyComputedAgain(t *testing.T) {
	const M, E, V = 8, 16, 2*blockWidth + 44
	c, _ := Preset("tiny")
	c.VocabSize = V
	labels := tensors.FromFlatDataAndDimensions([]int32{0, 1, 127, 128, 255, 256, 298, 299}, M)
	out := call(t, func(in []*graph.Node) (all []*graph.Node) {
		for _, emulated := range []bool{false, true} {
			weights := map[string]*graph.Node{c.generator().tables + nameWord + tableSuffix: in[0], nameGeneratorBias: in[1]}
			ctx := NewContext(weights, dtypes.BFloat16, in[4])
			if emulated {
				ctx = ctx.EmulateHalf()
			}
			logits := c.vocabularyLogits(ctx, in[2])
			d := newDistribution(c.vocabularyScores(ctx, in[2], logits))
			losses := c.vocabularyLoss(ctx, in[2], logits, in[3], d)
			sampled := c.sample(ctx, generated{distribution: d, labels: in[3]}, []int{M / 4, 4})
			all = append(all, losses, float(sampled), float(d.likeliest(in[3])))
			all = append(all, graph.Gradient(graph.ReduceAllSum(graph.Mul(losses, in[5])), in[0], in[1], in[2])...)
		}
		return all
	}, numbers(1, V, E), numbers(2, V), numbers(3, M, E), labels, tensors.FromScalar(uint32(5)), numbers(4, M))
	for i, what := range []string{"losses", "draws", "what is likeliest", "table's gradient", "bias's gradient", "input's gradient"} {
		again, kept := flat[float32](out[i]), flat[float32](out[6+i])
		largest := 0.0
		for _, x := range kept {
			largest = max(largest, math.Abs(float64(x)))
		}
		for j := range kept {
			if math.Abs(float64(again[j]-kept[j])) > 1e-2*largest { // sums of rounded numbers
				t.Errorf("%s[%d]: %g computed again, %g kept", what, j, again[j], kept[j])
				break
			}
		}
	}
}

// TestNormalizeGradient compares the gradient with the one that follows from the definition.
func TestNormalizeGradient(t *testing.T) {
	const epsilon = 1e-3
	out := call(t, func(in []*graph.Node) (all []*graph.Node) {
		centred := graph.Sub(in[0], graph.ReduceAndKeep(in[0], graph.ReduceMean, -1))
		variance := graph.ReduceAndKeep(graph.Square(centred), graph.ReduceMean, -1)
		for _, y := range []*graph.Node{normalize(in[0], epsilon), graph.Div(centred, graph.Sqrt(graph.AddScalar(variance, epsilon)))} {
			all = append(all, y, graph.Gradient(graph.ReduceAllSum(graph.Mul(graph.Square(y), in[1])), in[0])[0])
		}
		return all
	}, numbers(6, 3, 5, 32), numbers(7, 3, 5, 32))
	for i, what := range []string{"values", "gradient"} {
		got, want := flat[float32](out[i]), flat[float32](out[2+i])
		for j := range want {
			if math.Abs(float64(got[j]-want[j])) > 1e-4 {
				t.Errorf("%s[%d] = %g, want %g", what, j, got[j], want[j])
				break
			}
		}
	}
}

// TestSpreadGradient: summed by a product or not, small integers give the same.
func TestSpreadGradient(t *testing.T) {
	out := call(t, func(in []*graph.Node) (all []*graph.Node) {
		for _, dtype := range []dtypes.DType{dtypes.BFloat16, dtypes.Float32} {
			ctx := NewContext(nil, dtype, nil)
			for axis, dims := range [][]int{{6, 5, 4}, {5, 6, 3}, {2, 3, 6}} {
				factor := graph.ConvertDType(graph.Iota(in[0].Graph(), graph.BroadcastToDims(in[1], dims...).Shape(), (axis+1)%3), dtypes.Float32)
				loss := graph.ReduceAllSum(graph.Mul(ctx.spread(in[0], axis, dims...), factor))
				all = append(all, graph.Gradient(loss, in[0])[0])
			}
		}
		return all
	}, numbers(8, 6), tensors.FromScalar(float32(0)))
	for i := range 3 {
		for j, want := range flat[float32](out[3+i]) {
			if got := flat[float32](out[i])[j]; got != want {
				t.Errorf("along axis %d: %g, want %g", i, got, want)
			}
		}
	}
}
