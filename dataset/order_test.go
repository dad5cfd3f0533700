package dataset

import (
	"math"
	"testing"
)

func TestOrderIsBijective(t *testing.T) {
	sizes := []int64{4096, 4097, 5000, 65_536, 100_003}
	for n := int64(1); n <= 1100; n++ {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		p := orderOf(n, 7, 3)
		seen := make([]bool, n)
		for i := range n {
			x := p.at(i)
			if x < 0 || x >= n || seen[x] {
				t.Fatalf("n=%d: place %d has example %d, which is outside or there already", n, i, x)
			}
			seen[x] = true
		}
	}
}

// At 2^33 the whole domain is too large to walk: a sample must stay inside, without a collision, and
// spread evenly.
func TestOrderOfManyExamples(t *testing.T) {
	for _, n := range []int64{1 << 33, 1<<33 + 1, 1<<33 - 9, 1<<40 + 12345} {
		p := orderOf(n, 1, 0)
		seen := map[int64]bool{}
		const samples = 20_000
		var sum float64
		for i := range int64(samples) {
			x := p.at(i * (n / samples))
			if x < 0 || x >= n || seen[x] {
				t.Fatalf("n=%d: example %d is outside or came twice", n, x)
			}
			seen[x] = true
			sum += float64(x) / float64(n)
		}
		if mean := sum / samples; math.Abs(mean-0.5) > 5*math.Sqrt(1.0/12/samples) {
			t.Errorf("n=%d: mean place %.4f, want 0.5", n, mean)
		}
	}
}

func TestOrderDiffersByEpochAndSeed(t *testing.T) {
	const n = 10_000
	base := orderOf(n, 1, 0)
	for name, other := range map[string]permutation{"epoch": orderOf(n, 1, 1), "seed": orderOf(n, 2, 0)} {
		same := 0
		for i := range int64(n) {
			if base.at(i) == other.at(i) {
				same++
			}
		}
		if same > 10 { // one is expected
			t.Errorf("other %s: %d of %d places hold the same example", name, same, n)
		}
	}
}

// Neighbours in the corpus must not stay neighbours: the distance of successive examples is that of two
// random ones, a third of n.
func TestOrderSeparatesNeighbours(t *testing.T) {
	for _, n := range []int64{1000, 12_345} {
		p := orderOf(n, 5, 2)
		var sum float64
		for i := range n - 1 {
			sum += math.Abs(float64(p.at(i) - p.at(i+1)))
		}
		if mean := sum / float64(n-1) / float64(n); math.Abs(mean-1.0/3) > 5*0.2357/math.Sqrt(float64(n)) {
			t.Errorf("n=%d: successive examples are %.3f n apart, want 0.333", n, mean)
		}
	}
}

func BenchmarkOrder(b *testing.B) {
	p := orderOf(80_000_000, 1, 0)
	for i := range b.N {
		p.at(int64(i) % 80_000_000)
	}
}
