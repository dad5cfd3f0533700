package dataset

import "math/bits"

// Nothing random is stored anywhere: every draw is a hash of what it is for, so a run that resumes, or
// runs on other devices, makes the same draws. The graph does the same with Mix32 on its own counters.

// Mix32 is the 32-bit mixing function that the host and the graph share: an invertible hash of good
// avalanche (two multiplications; constants of C. Wellons' "lowbias32").
func Mix32(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	x ^= x >> 16
	return x
}

// site keeps the uses of randomness apart: draws at different sites are independent.
type site uint64

const (
	siteOrder    site = iota + 1 // which example comes when; step is the epoch
	siteSegments                 // where an example is cut; index is the document
	siteMask                     // masked positions; index is the row
	siteKeep                     // masked positions that keep their token; index is the row
	siteSplit                    // held-out documents; index is the document's content hash
	siteMixture                  // which part of a mixture a row comes from; step is the block of places
)

// golden is 2^64 divided by the golden ratio: the increment of splitmix64.
const golden = 0x9e3779b97f4a7c15

// mix64 is the finaliser of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
// generators", 2014). The host uses it where 32 bits are too few: permutations of more than 2^32
// examples, and hashes that decide about documents.
func mix64(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return x
}

// hash is the draw of (seed, step, site, index).
func hash(seed, step int64, at site, index uint64) uint64 {
	h := mix64(uint64(seed) + golden)
	h = mix64(h ^ uint64(at)*golden)
	h = mix64(h + uint64(step)*golden)
	return mix64(h ^ mix64(index+golden))
}

// draws is the sequence of random numbers of one (seed, step, site, index): splitmix64 from their hash.
type draws uint64

func drawsOf(seed, step int64, at site, index uint64) draws {
	return draws(hash(seed, step, at, index))
}

func (d *draws) next() uint64 {
	*d += golden
	return mix64(uint64(*d))
}

// below returns a uniform integer in [0, n).
func (d *draws) below(n int) int {
	high, _ := bits.Mul64(d.next(), uint64(n))
	return int(high)
}

// chance is true with probability p.
func (d *draws) chance(p float64) bool { return float64(d.next()>>11)*0x1p-53 < p }
