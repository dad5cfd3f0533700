package model

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// TestActivationGradient: where activations keep what they are of in bfloat16, values are exact and gradients are
// those at the rounded place.
func TestActivationGradient(t *testing.T) {
	for name := range activations {
		e := EncoderConfig{Activation: name}
		out := call(t, func(in []*graph.Node) (all []*graph.Node) {
			for _, dtype := range []dtypes.DType{dtypes.BFloat16, dtypes.Float32} {
				y := NewContext(nil, dtype, nil).activate(in[0], e)
				all = append(all, y, graph.Gradient(graph.ReduceAllSum(graph.Mul(y, in[1])), in[0])[0])
			}
			return all
		}, numbers(9, 4, 64), numbers(10, 4, 64))
		for i, tolerance := range []float64{0, 1.0 / 128} {
			for j, want := range flat[float32](out[2+i]) {
				if got := flat[float32](out[i])[j]; math.Abs(float64(got-want)) > tolerance {
					t.Errorf("%s, output %d: %g, want %g", name, i, got, want)
					break
				}
			}
		}
	}
}
