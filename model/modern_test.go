package model

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

const modernSide = "side." // prefix of the weights in these tests

// modernCase is a small encoder with random weights and input.
type modernCase struct {
	EncoderConfig
	list    []Weight
	weights map[string][]float64
	x       [][][]float64 // [B][S][E]
	lengths []int32
}

func newModernCase() *modernCase {
	c := &modernCase{
		EncoderConfig: EncoderConfig{Kind: "modern", EmbeddingSize: 6, HiddenSize: 8, Layers: 3, Heads: 2, IntermediateSize: 5,
			HiddenGroups: 1, InnerGroupNum: 1, Activation: "gelu", LayerNormEpsilon: 1e-5},
		weights: map[string][]float64{},
		lengths: []int32{7, 4},
	}
	c.list = modern{}.weights(modernSide, c.EncoderConfig)
	r := rand.New(rand.NewPCG(5, 6))
	for _, w := range c.list {
		values := make([]float64, w.Size())
		for i := range values {
			values[i] = 0.5 * r.NormFloat64()
			if w.Init == InitOnes {
				values[i]++
			}
		}
		c.weights[w.Name] = values
	}
	for range c.lengths {
		row := make([][]float64, 7)
		for s := range row {
			row[s] = make([]float64, c.EmbeddingSize)
			for i := range row[s] {
				row[s][i] = r.NormFloat64()
			}
		}
		c.x = append(c.x, row)
	}
	return c
}

// args are the weights in order, the input and the lengths.
func (c *modernCase) args() []*tensors.Tensor {
	var args []*tensors.Tensor
	for _, w := range c.list {
		args = append(args, tensors.FromFlatDataAndDimensions(narrow(c.weights[w.Name]), w.Shape...))
	}
	var x []float64
	for _, row := range c.x {
		for _, token := range row {
			x = append(x, token...)
		}
	}
	return append(args, tensors.FromFlatDataAndDimensions(narrow(x), len(c.x), len(c.x[0]), c.EmbeddingSize),
		tensors.FromFlatDataAndDimensions(c.lengths, len(c.lengths)))
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// hidden computes the encoder's output with scalars: [B][S][H], rows of padding nil. Padding is left out, not
// masked, and pairs of axes are rotated as complex numbers.
func (c *modernCase) hidden() [][][]float64 {
	out := make([][][]float64, len(c.x))
	for b, row := range c.x {
		x := make([][]float64, c.lengths[b])
		for s := range x {
			x[s] = c.multiply("embeddings_project", row[s])
		}
		for i := range c.Layers {
			x = c.layer(fmt.Sprintf("encoder.layer.%d.", i), x)
		}
		for s := range x {
			x[s] = c.norm("encoder.final_norm", x[s])
		}
		out[b] = x
	}
	return out
}

func (c *modernCase) layer(name string, x [][]float64) [][]float64 {
	D := c.HiddenSize / c.Heads
	var query, key, value [][]float64
	for s, token := range x {
		if !strings.HasSuffix(name, ".0.") {
			token = c.norm(name+"attn_norm", token)
		}
		all := c.multiply(name+"attn.Wqkv", token)
		query = append(query, rotated(all[:c.HiddenSize], s, D))
		key = append(key, rotated(all[c.HiddenSize:2*c.HiddenSize], s, D))
		value = append(value, all[2*c.HiddenSize:])
	}
	y := make([][]float64, len(x))
	for s := range x {
		mixed := make([]float64, c.HiddenSize)
		for from := 0; from < c.HiddenSize; from += D {
			weights, total := make([]float64, len(x)), 0.0
			for t := range x {
				for i := from; i < from+D; i++ {
					weights[t] += query[s][i] * key[t][i] / math.Sqrt(float64(D))
				}
				weights[t] = math.Exp(weights[t])
				total += weights[t]
			}
			for t := range x {
				for i := from; i < from+D; i++ {
					mixed[i] += weights[t] / total * value[t][i]
				}
			}
		}
		y[s] = plus(x[s], c.multiply(name+"attn.Wo", mixed))
		both := c.multiply(name+"mlp.Wi", c.norm(name+"mlp_norm", y[s]))
		gated := make([]float64, c.IntermediateSize)
		for i := range gated {
			gated[i] = both[i] / 2 * math.Erfc(-both[i]/math.Sqrt2) * both[c.IntermediateSize+i]
		}
		y[s] = plus(y[s], c.multiply(name+"mlp.Wo", gated))
	}
	return y
}

func (c *modernCase) multiply(name string, x []float64) []float64 {
	w := c.weights[modernSide+name+".weight"]
	y := make([]float64, len(w)/len(x))
	for i := range w {
		y[i/len(x)] += w[i] * x[i%len(x)]
	}
	return y
}

func (c *modernCase) norm(name string, x []float64) []float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	mean := sum / float64(len(x))
	deviation := math.Sqrt(squares/float64(len(x)) - mean*mean + c.LayerNormEpsilon)
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v - mean) / deviation * c.weights[modernSide+name+".weight"][i]
	}
	return y
}

func rotated(x []float64, position, D int) []float64 {
	y := make([]float64, len(x))
	for head := 0; head < len(x); head += D {
		for i := range D / 2 {
			angle := float64(position) / math.Pow(10000, float64(2*i)/float64(D))
			z := complex(x[head+i], x[head+i+D/2]) * cmplx.Rect(1, angle)
			y[head+i], y[head+i+D/2] = real(z), imag(z)
		}
	}
	return y
}

func plus(x, y []float64) []float64 {
	z := make([]float64, len(x))
	for i := range z {
		z[i] = x[i] + y[i]
	}
	return z
}

// factor makes a loss of hidden states, different for every element: Σ factor·hidden over what is no padding.
func factor(b, s, h int) float64 { return math.Sin(float64(1 + h + 10*s + 100*b)) }

func (c *modernCase) loss() float64 {
	var loss float64
	for b, row := range c.hidden() {
		for s, token := range row {
			for h, v := range token {
				loss += factor(b, s, h) * v
			}
		}
	}
	return loss
}

// TestModern holds the encoder against the scalar implementation: hidden states, gradients by central
// differences, padding.
func TestModern(t *testing.T) {
	c := newModernCase()
	B, S, H := len(c.x), len(c.x[0]), c.HiddenSize
	factors := make([]float32, 0, B*S*H)
	for i := range B * S * H {
		b, s := i/(S*H), i/H%S
		f := 0.0
		if s < int(c.lengths[b]) {
			f = factor(b, s, i%H)
		}
		factors = append(factors, float32(f))
	}
	fn := func(in []*graph.Node) []*graph.Node {
		weights := map[string]*graph.Node{}
		for i, w := range c.list {
			weights[w.Name] = in[i]
		}
		x, lengths, factors := in[len(c.list)], in[len(c.list)+1], in[len(c.list)+2]
		encode := func(dtype dtypes.DType) *graph.Node {
			return modern{}.encode(NewContext(weights, dtype, nil), modernSide, c.EncoderConfig, x, keepMask(lengths, S))
		}
		hidden := encode(dtypes.Float32)
		loss := graph.ReduceAllSum(graph.Mul(hidden, factors))
		return append(graph.Gradient(loss, in[:len(c.list)]...), hidden, encode(dtypes.BFloat16))
	}
	run := func() []*tensors.Tensor {
		return call(t, fn, append(c.args(), tensors.FromFlatDataAndDimensions(factors, B, S, H))...)
	}
	out := run()
	hidden, half := flat[float32](out[len(c.list)]), flat[float32](out[len(c.list)+1])
	for b, row := range c.hidden() {
		for s, token := range row {
			for h, want := range token {
				at := (b*S+s)*H + h
				if math.Abs(float64(hidden[at])-want) > 1e-5 {
					t.Errorf("hidden[%d,%d,%d] = %g, want %g", b, s, h, hidden[at], want)
				}
				if math.Abs(float64(half[at])-want) > 0.2 || half[at] == hidden[at] {
					t.Errorf("in bfloat16 hidden[%d,%d,%d] = %g, want nearly %g", b, s, h, half[at], want)
				}
			}
		}
	}
	for i, w := range c.list {
		gradient, values := flat[float32](out[i]), c.weights[w.Name]
		for at := 0; at < len(values); at += 1 + len(values)/7 {
			const h = 1e-5
			value := values[at]
			values[at] = value + h
			above := c.loss()
			values[at] = value - h
			want := (above - c.loss()) / (2 * h)
			values[at] = value
			if math.Abs(float64(gradient[at])-want) > 1e-4*max(1, math.Abs(want)) {
				t.Errorf("gradient of %s[%d] = %g, want %g", w.Name, at, gradient[at], want)
			}
		}
	}
	for s := c.lengths[1]; s < int32(S); s++ {
		c.x[1][s][0] += 3
	}
	moved := flat[float32](run()[len(c.list)])
	end := (S + int(c.lengths[1])) * H
	if !same(moved[:end], hidden[:end]) {
		t.Error("what stands in the padding changes the hidden states of other positions")
	}
	if same(moved[end:], hidden[end:]) {
		t.Error("the padding was not changed: the test shows nothing")
	}
}

// TestRotation: where all positions have the same query and the same key, scores depend on the distance alone,
// and they do depend on it. Nothing is turned at position 0, and lengths stay.
func TestRotation(t *testing.T) {
	const S, heads, D = 40, 2, 6
	r := rand.New(rand.NewPCG(7, 8))
	rows := func() *tensors.Tensor {
		row := make([]float32, heads*D)
		for i := range row {
			row[i] = float32(r.NormFloat64())
		}
		var all []float32
		for range S {
			all = append(all, row...)
		}
		return tensors.FromFlatDataAndDimensions(all, 1, S, heads*D)
	}
	query, key := rows(), rows()
	out := call(t, func(in []*graph.Node) []*graph.Node {
		turn := newRotation(in[0].Graph(), S, D)
		return []*graph.Node{turn.apply(in[0]), turn.apply(in[1])}
	}, query, key)
	q, k, plain := flat[float32](out[0]), flat[float32](out[1]), flat[float32](query)
	dot := func(a, b []float32, s, u, head int) float64 {
		var sum float64
		for i := head * D; i < (head+1)*D; i++ {
			sum += float64(a[s*heads*D+i]) * float64(b[u*heads*D+i])
		}
		return sum
	}
	if !same(q[:heads*D], plain[:heads*D]) {
		t.Error("position 0 is turned")
	}
	for head := range heads {
		for s := range S {
			if got, want := dot(q, q, s, s, head), dot(plain, plain, s, s, head); math.Abs(got-want) > 1e-5*want {
				t.Errorf("head %d, position %d: squared length %g, want %g", head, s, got, want)
			}
			for u := range S {
				want := dot(q, k, max(0, s-u), max(0, u-s), head)
				if got := dot(q, k, s, u, head); math.Abs(got-want) > 2e-5 {
					t.Errorf("head %d: score of %d and %d is %g, at the same distance from 0 %g", head, s, u, got, want)
				}
				if s != u && math.Abs(dot(q, k, s, u, head)-dot(q, k, u, s, head)) < 1e-6 {
					t.Errorf("head %d: the score of %d and %d does not tell which comes first", head, s, u)
				}
			}
		}
	}
}

func TestModernWeights(t *testing.T) {
	c, _ := Preset("small")
	c.VocabSize, c.Encoder = 30522, "modern"
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{}
	for _, w := range c.Weights() {
		sizes[w.Name] = w.Size()
		inside := strings.Contains(w.Name, ".encoder.") || strings.Contains(w.Name, nameProjection)
		if inside && (!strings.HasSuffix(w.Name, ".weight") || strings.Contains(w.Name, "bias")) {
			t.Errorf("%s is in an encoder without biases", w.Name)
		}
	}
	layer := 0
	for name, size := range sizes {
		if strings.HasPrefix(name, "discriminator.electra.encoder.layer.1.") {
			layer += size
		}
	}
	H, F := c.HiddenSize, c.IntermediateSize
	if want := 4*H*H + 3*H*F + 2*H; layer != want {
		t.Errorf("a layer has %d parameters, want %d", layer, want)
	}
	for name, want := range map[string]int{
		"discriminator.electra.embeddings_project.weight":                    H * c.EmbeddingSize,
		"discriminator.electra.embeddings.position_embeddings.weight":        0,
		"discriminator.electra.encoder.layer.0.attn_norm.weight":             0,
		"discriminator.electra.encoder.layer.0.attn.Wqkv.weight":             3 * H * H,
		"generator.electra.encoder.layer.11.mlp.Wi.weight":                   2 * F * H / 16,
		"generator.electra.encoder.final_norm.weight":                        H / 4,
		"discriminator.discriminator_predictions.dense_prediction.bias":      1,
		"discriminator.electra.embeddings.token_type_embeddings.weight":      2 * c.EmbeddingSize,
		"discriminator.electra.encoder.layer.11.attention.self.query.weight": 0,
	} {
		if sizes[name] != want {
			t.Errorf("%s has %d numbers, want %d", name, sizes[name], want)
		}
	}
}

// TestPositionTable: the table of positions is there if one of the two encoders wants it.
func TestPositionTable(t *testing.T) {
	c, _ := Preset("small")
	c.VocabSize = 1000
	for _, k := range []struct {
		discriminator, generator string
		want                     bool
	}{{"bert", "", true}, {"albert", "modern", true}, {"modern", "bert", true}, {"modern", "", false}, {"modern", "modern", false}} {
		c.Encoder, c.Generator.Encoder = k.discriminator, k.generator
		found := false
		for _, w := range c.Weights() {
			found = found || strings.Contains(w.Name, namePosition)
		}
		if found != k.want {
			t.Errorf("discriminator %s, generator %q: a table of positions is %v, want %v", k.discriminator, k.generator, found, k.want)
		}
	}
}

func TestModernHeadSize(t *testing.T) {
	for encoder, says := range map[string]string{"bert": "", "modern": "8 heads of hidden size 40 are 5 wide"} {
		c, _ := Preset("small")
		c.VocabSize, c.Encoder, c.HiddenSize, c.Heads, c.Generator.Heads = 1000, encoder, 40, 8, 1
		if err := c.Validate(); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s with a head size of 5: %v, want %q", encoder, err, says)
		}
	}
}

// TestEncoderFLOPs: a token costs two operations for each number of an encoder's matrices, and attention's two
// products beside them. All else is less than a fiftieth of that.
func TestEncoderFLOPs(t *testing.T) {
	const S = 128
	for name, encoder := range encoders {
		c, _ := Preset("small")
		c.Encoder, c.HiddenGroups = name, c.Layers // ALBERT's layers, each with weights of its own
		e := c.DiscriminatorEncoder()
		want := float64(4 * S * S * e.HiddenSize * e.Layers)
		for _, w := range encoder.weights("", e) {
			if len(w.Shape) == 2 {
				want += float64(2 * S * w.Size())
			}
		}
		if got := e.flops(S); got < want || got > 1.02*want {
			t.Errorf("%s: %g FLOPs, want %g and a little more", name, got, want)
		}
	}
}
