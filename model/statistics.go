// Axes: B batch, S sequence, M masked slots of the batch, T = B·S.
package model

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Statistics are sums over a batch from which every metric follows. Being sums, they add up over batches
// and devices. Padding counts nowhere. On the device they are one float32 vector: the sums in the order of
// the fields, then the two histograms.
type Statistics struct {
	MLMLoss, MaskedTokens       float64 // Σ w·nll, Σ w
	MLMCorrect, SampledCorrect  float64 // slots whose most likely and whose sampled token is the original
	RTDLoss, Tokens             float64 // Σ cross-entropy and count over tokens
	TruePositives, Positives    float64 // replaced tokens found; replaced tokens
	PredictedPositives, Correct float64 // tokens called replaced; tokens called right
	// Replaced and Original count the discriminator's logits in bins, for the area under the ROC curve.
	Replaced, Original []float64
}

const (
	statisticSums  = 10
	histogramSide  = 64 // bins are counted as a product of two one-hots of this width
	histogramBins  = histogramSide * histogramSide
	histogramRange = 16.0 // logits beyond ±16 fall into the outermost bins
	// StatisticsSize is the length of the device vector.
	StatisticsSize = statisticSums + 2*histogramBins
)

// ParseStatistics reads the device vector.
func ParseStatistics(v []float32) Statistics {
	s := Statistics{
		MLMLoss: float64(v[0]), MaskedTokens: float64(v[1]), MLMCorrect: float64(v[2]), SampledCorrect: float64(v[3]),
		RTDLoss: float64(v[4]), Tokens: float64(v[5]), TruePositives: float64(v[6]), Positives: float64(v[7]),
		PredictedPositives: float64(v[8]), Correct: float64(v[9]),
	}
	s.Original = widen(v[statisticSums : statisticSums+histogramBins])
	s.Replaced = widen(v[statisticSums+histogramBins : StatisticsSize])
	return s
}

func widen(v []float32) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = float64(x)
	}
	return w
}

// Add accumulates another batch.
func (s *Statistics) Add(o Statistics) {
	s.MLMLoss += o.MLMLoss
	s.MaskedTokens += o.MaskedTokens
	s.MLMCorrect += o.MLMCorrect
	s.SampledCorrect += o.SampledCorrect
	s.RTDLoss += o.RTDLoss
	s.Tokens += o.Tokens
	s.TruePositives += o.TruePositives
	s.Positives += o.Positives
	s.PredictedPositives += o.PredictedPositives
	s.Correct += o.Correct
	s.Replaced = addTo(s.Replaced, o.Replaced)
	s.Original = addTo(s.Original, o.Original)
}

func addTo(sum, v []float64) []float64 {
	if sum == nil {
		sum = make([]float64, len(v))
	}
	for i, x := range v {
		sum[i] += x
	}
	return sum
}

// AUC is the area under the ROC curve: the probability that a replaced token scores above an original one,
// ties counting half. NaN where one of the classes is empty. Logits closer than a bin (1/128) count as ties.
func (s *Statistics) AUC() float64 {
	var below, area, positives float64
	for i := range s.Replaced {
		area += s.Replaced[i] * (below + s.Original[i]/2)
		below += s.Original[i]
		positives += s.Replaced[i]
	}
	if below == 0 || positives == 0 {
		return math.NaN()
	}
	return area / (below * positives)
}

// statistics joins the device vector, in the order of ParseStatistics. Without a discriminator its half is
// zero.
func statistics(generator []*Node, d *detection) *Node {
	if d == nil {
		rest := shapes.Make(dtypes.Float32, StatisticsSize-len(generator))
		return StopGradient(Concatenate([]*Node{Stack(generator, 0), BroadcastToShape(ScalarZero(generator[0].Graph(), dtypes.Float32), rest)}, 0))
	}
	predicted := float(GreaterThan(d.logits, ScalarZero(d.logits.Graph(), dtypes.Float32)))
	right := float(Equal(predicted, d.labels))
	sums := append(generator,
		weightedSum(d.losses, d.weights), ReduceAllSum(d.weights),
		weightedSum(Mul(predicted, d.labels), d.weights), weightedSum(d.labels, d.weights),
		weightedSum(predicted, d.weights), weightedSum(right, d.weights))
	histograms := Reshape(logitHistograms(d.logits, d.labels, d.weights), 2*histogramBins)
	return StopGradient(Concatenate([]*Node{Stack(sums, 0), histograms}, 0))
}

// generatorSums are the first sums of Statistics.
func generatorSums(in Batch, gen generated, out Output) []*Node {
	M := gen.labels.Shape().Dimensions[0]
	slotWeights := Reshape(in.MaskedWeights, M)
	likeliest := gen.distribution.likeliest(gen.labels)
	sampled := Equal(Reshape(out.SampledIDs, M), gen.labels)
	return []*Node{
		weightedSum(gen.losses, slotWeights), ReduceAllSum(slotWeights),
		weightedSum(float(likeliest), slotWeights), weightedSum(float(sampled), slotWeights),
	}
}

func float(x *Node) *Node { return ConvertDType(x, dtypes.Float32) }

func weightedSum(x, weights *Node) *Node { return ReduceAllSum(Mul(x, weights)) }

// logitHistograms counts logits by bin, first those of label 0, then those of label 1. A bin's number is
// split into two digits, and the counts are the product of the digits' one-hots: no scatter, no sort.
func logitHistograms(logits, labels, weights *Node) *Node {
	T := logits.Shape().Size()
	scaled := MulScalar(AddScalar(logits, histogramRange), histogramBins/(2*histogramRange))
	bin := Reshape(ConvertDType(ClipScalar(scaled, 0, histogramBins-1), dtypes.Int32), T)
	high := BitwiseShiftRightLogicalScalar(bin, 6)
	low := BitwiseAnd(bin, Scalar(bin.Graph(), dtypes.Int32, histogramSide-1))
	high = Add(high, MulScalar(ConvertDType(Reshape(labels, T), dtypes.Int32), histogramSide))
	counted := Mul(OneHot(high, 2*histogramSide, dtypes.Float32), Reshape(weights, T, 1))
	return Dot(counted, OneHot(low, histogramSide, dtypes.Float32)).General([]int{0}, nil, []int{0}, nil)
}
