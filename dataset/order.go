package dataset

import (
	"math"
	"math/bits"
)

// permutation is a bijection of [0, n) that needs no memory: a Feistel network over pairs (left, right)
// with left < a, right < b and a*b just above n; a value that falls outside [0, n) is sent through again
// until it is inside ("cycle walking": J. Black, P. Rogaway, "Ciphers with arbitrary finite domains", 2002).
// Because a*b - n < a, that is rare.
type permutation struct {
	n, a, b uint64
	keys    [feistelRounds]uint64
}

// feistelRounds counts half rounds; each side is moved four times.
const feistelRounds = 8

// orderOf is the order of n examples in an epoch: example number orderOf(...).at(i) comes at place i.
func orderOf(n int64, seed, epoch int64) permutation { return orderAt(siteOrder, n, seed, epoch, 0) }

// orderAt is a permutation of n numbers for one use of randomness, step and part of a dataset.
func orderAt(use site, n, seed, step int64, part int) permutation {
	p := permutation{n: uint64(n)}
	p.a = uint64(math.Ceil(math.Sqrt(float64(n))))
	p.b = (p.n + p.a - 1) / p.a
	d := drawsOf(seed, step, use, p.n^uint64(part)<<48)
	for i := range p.keys {
		p.keys[i] = d.next()
	}
	return p
}

// at returns the image of i, for 0 <= i < n.
func (p *permutation) at(i int64) int64 {
	x := p.once(uint64(i))
	for x >= p.n {
		x = p.once(x)
	}
	return int64(x)
}

// once is the network without the walk: a bijection of [0, a*b). Each half round adds to one side a
// hash of the other, which can be undone by subtracting it.
func (p *permutation) once(x uint64) uint64 {
	left, right := x/p.b, x%p.b
	for i := 0; i < feistelRounds; i += 2 {
		left = addBelow(left, mix64(right^p.keys[i]), p.a)
		right = addBelow(right, mix64(left^p.keys[i+1]), p.b)
	}
	return left*p.b + right
}

// addBelow adds to x < n a number below n that is made from the hash h, modulo n.
func addBelow(x, h, n uint64) uint64 {
	step, _ := bits.Mul64(h, n)
	if x += step; x >= n {
		x -= n
	}
	return x
}
