package dataset

import (
	"math"
	"math/bits"
	"testing"
)

// The values come from the definition, worked out with Python's integers; the graph must give the same.
func TestMix32(t *testing.T) {
	cases := map[uint32]uint32{0: 0, 0x1: 0x688990c0, 0x2: 0xd1132181, 0x2a: 0x172733c2, 0xdeadbeef: 0xe628c683, 0xffffffff: 0x6768824a}
	for x, want := range cases {
		if got := Mix32(x); got != want {
			t.Errorf("Mix32(%#x) = %#x, want %#x", x, got, want)
		}
	}
}

// Each argument must reach every output bit: flipping one input bit flips half of the output bits on average.
func TestHashAvalanche(t *testing.T) {
	base := hash(1, 2, siteMask, 3)
	flips := map[string]func(bit int) uint64{
		"seed":  func(bit int) uint64 { return hash(1^1<<bit, 2, siteMask, 3) },
		"step":  func(bit int) uint64 { return hash(1, 2^1<<bit, siteMask, 3) },
		"site":  func(bit int) uint64 { return hash(1, 2, siteMask^1<<bit, 3) },
		"index": func(bit int) uint64 { return hash(1, 2, siteMask, 3^1<<bit) },
	}
	for name, flip := range flips {
		sum := 0
		for bit := range 64 {
			n := bits.OnesCount64(base ^ flip(bit))
			if n < 10 || n > 54 {
				t.Errorf("%s bit %d flips only %d of 64 bits", name, bit, n)
			}
			sum += n
		}
		if mean := float64(sum) / 64; math.Abs(mean-32) > 2.5 {
			t.Errorf("%s: a flipped bit flips %.1f bits on average, want about 32", name, mean)
		}
	}
}

func TestDraws(t *testing.T) {
	const n = 100_000
	d := drawsOf(42, 0, siteMask, 0)
	var counts [7]int
	chances := 0
	for range n {
		counts[d.below(7)]++
		if d.chance(0.3) {
			chances++
		}
	}
	for value, count := range counts {
		if math.Abs(float64(count)-n/7.0) > 5*math.Sqrt(n/7.0) {
			t.Errorf("below(7) gave %d %d times of %d", value, count, n)
		}
	}
	if math.Abs(float64(chances)-0.3*n) > 5*math.Sqrt(0.21*n) {
		t.Errorf("chance(0.3) was true %d times of %d", chances, n)
	}
}
