package model

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
)

// TestHalfProductGradient compares bfloat16 products and both their gradients with float32's on small integers,
// which bfloat16 holds exactly, for every arrangement of axes that the model has and one with two contracted.
func TestHalfProductGradient(t *testing.T) {
	type kase struct {
		lhs                   []int
		lhsContract, lhsBatch []int
		rhs                   []int
		rhsContract, rhsBatch []int
	}
	kases := []kase{
		{[]int{2, 5, 8}, []int{2}, nil, []int{6, 8}, []int{1}, nil},                          // linear
		{[]int{2, 5, 3, 4}, []int{3}, []int{0, 2}, []int{2, 5, 3, 4}, []int{3}, []int{0, 2}}, // scores
		{[]int{2, 3, 5, 7}, []int{3}, []int{0, 1}, []int{2, 7, 3, 4}, []int{1}, []int{0, 2}}, // mixed values
		{[]int{2, 3, 5}, []int{2}, []int{0}, []int{2, 5, 8}, []int{1}, []int{0}},             // masked slots
		{[]int{7, 4}, []int{1}, nil, []int{9, 4}, []int{1}, nil},                             // decoder
		{[]int{2, 5, 8}, []int{2}, nil, []int{1, 8}, []int{1}, nil},                          // one output
		{[]int{3, 4, 2, 5}, []int{1, 3}, []int{2}, []int{4, 2, 6, 5}, []int{0, 3}, []int{1}}, // two contracted
	}
	integers := func(dims []int, salt uint32) *tensors.Tensor {
		n := 1
		for _, d := range dims {
			n *= d
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(Mix32(uint32(i)+salt)%7) - 3
		}
		return tensors.FromFlatDataAndDimensions(values, dims...)
	}
	exec := devicetest.Exec(t, devicetest.Open(t, platform.CPU), func(in []*graph.Node) []*graph.Node {
		var out []*graph.Node
		for i, k := range kases {
			lhs, rhs := in[2*i], in[2*i+1]
			for _, ctx := range []*Context{NewContext(nil, dtypes.Float32, nil), NewContext(nil, dtypes.BFloat16, nil), NewContext(nil, dtypes.BFloat16, nil).EmulateHalf()} {
				y := ctx.product(lhs, k.lhsContract, k.lhsBatch, rhs, k.rhsContract, k.rhsBatch)
				weight := graph.ConvertDType(graph.OnesLike(y), dtypes.Float32)
				for axis := range y.Shape().Dimensions { // small integers that differ along every axis
					weight = graph.Add(weight, graph.MulScalar(graph.Iota(in[0].Graph(), y.Shape(), axis), float64(axis%2*2-1)))
				}
				out = append(append(out, y), graph.Gradient(graph.ReduceAllSum(graph.Mul(y, weight)), lhs, rhs)...)
			}
		}
		return out
	})
	var args []*tensors.Tensor
	for i, k := range kases {
		args = append(args, integers(k.lhs, uint32(i)), integers(k.rhs, uint32(100+i)))
	}
	out := exec(args...)
	for i := range kases {
		for j, what := range []string{"product", "lhs's gradient", "rhs's gradient"} {
			want := flat[float32](out[9*i+j])
			for k, how := range []string{"bfloat16", "emulated bfloat16"} {
				if got := flat[float32](out[9*i+3*(k+1)+j]); fmt.Sprint(want) != fmt.Sprint(got) {
					t.Errorf("case %d, %s: %v in %s, %v in float32", i, what, got, how, want)
				}
			}
		}
	}
}

// TestRoundHalf rounds on the boundaries: bfloat16 keeps 8 bits of significand.
func TestRoundHalf(t *testing.T) {
	in := []float32{0, 1, -1, 1 + 1.0/256, 1 + 3.0/256, 1 + 1.1/256, -1 - 1.0/256, 3.1415927, 1e-40, 65535, -1e9}
	want := []float32{0, 1, -1, 1, 1 + 4.0/256, 1 + 2.0/256, -1, 3.140625, 9.1835e-41, 65536, -998244352}
	out := call(t, func(nodes []*graph.Node) []*graph.Node {
		y := roundHalf(nodes[0])
		return []*graph.Node{y, graph.Gradient(graph.ReduceAllSum(y), nodes[0])[0]}
	}, tensors.FromFlatDataAndDimensions(in, len(in)))
	for i, got := range flat[float32](out[0]) {
		if got != want[i] || flat[float32](out[1])[i] != 1 {
			t.Errorf("%g rounds to %g, want %g; gradient %g", in[i], got, want[i], flat[float32](out[1])[i])
		}
	}
}
