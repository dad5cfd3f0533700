package model

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/device/devicetest"
	"elektron/internal/platform"
)

// call builds and runs a graph on the pure-Go backend.
func call(t *testing.T, fn func(in []*graph.Node) []*graph.Node, args ...*tensors.Tensor) []*tensors.Tensor {
	t.Helper()
	return devicetest.Exec(t, devicetest.Open(t, platform.Go), fn)(args...)
}

func flat[T float32 | int32 | uint32](t *tensors.Tensor) []T { return tensors.MustCopyFlatData[T](t) }

// TestRandomBits recomputes the graph's bits on the host from the same definition.
func TestRandomBits(t *testing.T) {
	const B, N, W = 3, 2, 5
	out := call(t, func(in []*graph.Node) []*graph.Node {
		key := StepKey(in[0], in[1])
		return []*graph.Node{key, siteKey(key, "place"), randomBits(key, nil, "place", B, N, W), randomBits(key, nil, "other", B, N, W)}
	}, tensors.FromScalar(uint32(7)), tensors.FromScalar(uint32(9)))
	step := uint32(9)
	key := Mix32(Mix32(7+golden) + step*golden)
	if got := flat[uint32](out[0])[0]; got != key {
		t.Fatalf("step key %#x, want %#x", got, key)
	}
	site := flat[uint32](out[1])[0]
	bits, other := flat[uint32](out[2]), flat[uint32](out[3])
	for b := range uint32(B) {
		row := Mix32(key + b*golden)
		for i := range uint32(N * W) {
			x := i + row
			x ^= x >> 16
			x = (x + site) * mulA
			x ^= site ^ Mix32(row+rowSalt)
			x ^= x >> 15
			x *= mulB
			x ^= x >> 16
			at := b*N*W + i
			if bits[at] != x {
				t.Fatalf("bits[%d] = %#x, want %#x", at, bits[at], x)
			}
			if bits[at] == other[at] {
				t.Errorf("two sites draw the same bits at %d", at)
			}
		}
	}
}

// TestUniform checks mean, variance and the correlation of neighbours and rows.
func TestUniform(t *testing.T) {
	const B, W = 64, 1024
	out := call(t, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{uniformOf(randomBits(StepKey(in[0], in[1]), nil, "u", B, W))}
	}, tensors.FromScalar(uint32(1)), tensors.FromScalar(uint32(2)))
	u := flat[float32](out[0])
	n := float64(len(u))
	var mean, square, along, across float64
	for i, x := range u {
		if !(x > 0 && x < 1) {
			t.Fatalf("u[%d] = %g", i, x)
		}
		c := float64(x) - 0.5
		mean += c / n
		square += c * c / n
		along += c * (float64(u[(i+1)%len(u)]) - 0.5) / n
		across += c * (float64(u[(i+W)%len(u)]) - 0.5) / n
	}
	limit := 5 / math.Sqrt(12*n) // five standard errors of the mean
	if math.Abs(mean) > limit || math.Abs(square-1.0/12) > limit || math.Abs(along) > limit || math.Abs(across) > limit {
		t.Errorf("mean %g, variance %g, correlations %g and %g; allowed deviation %g", mean, square, along, across, limit)
	}
}

func TestDropout(t *testing.T) {
	const B, W, rate = 32, 512, 0.1
	ones := make([]float32, B*W)
	for i := range ones {
		ones[i] = 1
	}
	x := tensors.FromFlatDataAndDimensions(ones, B, W)
	out := call(t, func(in []*graph.Node) []*graph.Node {
		train := NewContext(nil, dtypes.Float32, StepKey(in[1], in[2]))
		idle := NewContext(nil, dtypes.Float32, nil)
		y := train.dropout(in[0], rate, "site")
		return []*graph.Node{y, graph.Gradient(graph.ReduceAllSum(y), in[0])[0], idle.dropout(in[0], rate, "site")}
	}, x, tensors.FromScalar(uint32(1)), tensors.FromScalar(uint32(2)))
	y, gradient, idle := flat[float32](out[0]), flat[float32](out[1]), flat[float32](out[2])
	kept := 0
	for i := range y {
		if y[i] != 0 {
			kept++
		}
		if (y[i] != 0 && math.Abs(float64(y[i])-1/(1-rate)) > 1e-6) || gradient[i] != y[i] || idle[i] != 1 {
			t.Fatalf("element %d: value %g, gradient %g, outside training %g", i, y[i], gradient[i], idle[i])
		}
	}
	if share := float64(kept) / B / W; math.Abs(share-(1-rate)) > 5*math.Sqrt(rate*(1-rate)/B/W) {
		t.Errorf("kept %g, want %g", share, 1-rate)
	}
}

// TestSampleCategorical draws many times from known weights, over the edge of a block and with classes of
// weight zero.
func TestSampleCategorical(t *testing.T) {
	const V, rows = 300, 20000
	weights := make([]float32, V)
	for _, class := range []int{0, 5, 127, 128, 200, 299} {
		weights[class] = float32(1 + class%7)
	}
	all := make([]float32, 0, rows*V)
	uniform := make([]float32, rows)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range uniform {
		all = append(all, weights...)
		uniform[i] = r.Float32()
	}
	out := call(t, func(in []*graph.Node) []*graph.Node {
		return []*graph.Node{newDistribution(scoresOf(graph.Transpose(graph.Log(in[0]), 0, 1))).draw(in[1])}
	},
		tensors.FromFlatDataAndDimensions(all, rows, V), tensors.FromFlatDataAndDimensions(uniform, rows))
	var total float64
	for _, w := range weights {
		total += float64(w)
	}
	counts := make([]float64, V)
	for _, class := range flat[int32](out[0]) {
		counts[class]++
	}
	for class, n := range counts {
		p := float64(weights[class]) / total
		if math.Abs(n/rows-p) > 5*math.Sqrt(p*(1-p)/rows) {
			t.Errorf("class %d drawn %g of the time, want %g", class, n/rows, p)
		}
	}
}

func TestReplaceAndReadAt(t *testing.T) {
	ids := tensors.FromFlatDataAndDimensions([]int32{10, 11, 12, 13, 20, 21, 22, 23}, 2, 4)
	positions := tensors.FromFlatDataAndDimensions([]int32{1, 3, 2, 0}, 2, 2)
	weights := tensors.FromFlatDataAndDimensions([]float32{1, 1, 1, 0}, 2, 2) // the last slot is unused
	values := tensors.FromFlatDataAndDimensions([]int32{91, 93, 92, 99}, 2, 2)
	out := call(t, func(in []*graph.Node) []*graph.Node {
		slots := slotMask(in[1], in[2], 4)
		return []*graph.Node{replaceAt(in[0], slots, in[3]), readAt(in[0], slots)}
	}, ids, positions, weights, values)
	for name, pair := range map[string][2][]int32{
		"replaced": {flat[int32](out[0]), {10, 91, 12, 93, 20, 21, 92, 23}},
		"read":     {flat[int32](out[1]), {11, 13, 22, 0}},
	} {
		for i, want := range pair[1] {
			if pair[0][i] != want {
				t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
				break
			}
		}
	}
}

// TestAUC compares the histogram's area with the exact one by ranks.
func TestAUC(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const B, S = 8, 256
	logits, labels, weights := make([]float32, B*S), make([]float32, B*S), make([]float32, B*S)
	type scored struct{ z, y float32 }
	var kept []scored
	for i := range logits {
		labels[i] = float32(r.IntN(5) / 4)
		logits[i] = float32(r.NormFloat64()*0.7 - 1 + 0.5*float64(labels[i]))
		if i%5 != 0 { // the others are padding
			weights[i] = 1
			kept = append(kept, scored{logits[i], labels[i]})
		}
	}
	tensor := func(x []float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(x, B, S) }
	out := call(t, func(in []*graph.Node) []*graph.Node { return []*graph.Node{logitHistograms(in[0], in[1], in[2])} },
		tensor(logits), tensor(labels), tensor(weights))
	histogram := widen(flat[float32](out[0]))
	s := Statistics{Original: histogram[:histogramBins], Replaced: histogram[histogramBins:]}
	sort.Slice(kept, func(i, j int) bool { return kept[i].z < kept[j].z })
	var below, pairs, positives float64
	for _, k := range kept {
		if k.y == 1 {
			pairs += below
			positives++
		} else {
			below++
		}
	}
	if exact := pairs / (below * positives); math.Abs(s.AUC()-exact) > 1e-3 {
		t.Errorf("area %g, exactly %g", s.AUC(), exact)
	}
	if !math.IsNaN((&Statistics{Original: histogram[:histogramBins], Replaced: make([]float64, histogramBins)}).AUC()) {
		t.Error("an area without replaced tokens is a number")
	}
}

func same(a, b []float32) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
