// Axes: B batch; the others are named by the caller.
package model

import (
	"hash/fnv"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Randomness is a function of (seed, step, site, index) and nothing else: an integer hash of an Iota,
// elementwise, so that XLA fuses it into its consumer, a partitioner splits it freely, and every platform
// and device count gets the same bits. package dataset has the same hash for the host.
const (
	golden  = uint32(0x9e3779b9) // 2^32 divided by the golden ratio
	mulA    = uint32(0x7feb352d) // multipliers of a 32-bit mixer of low bias
	mulB    = uint32(0x846ca68b)
	rowSalt = uint32(0x85ebca6b)
)

// Mix32 is the mixing function on the host: a bijection of 32-bit integers whose output bits each depend
// on all input bits.
func Mix32(x uint32) uint32 {
	x ^= x >> 16
	x *= mulA
	x ^= x >> 15
	x *= mulB
	return x ^ x>>16
}

func mix(x *Node) *Node {
	x = BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, uint32(16)))
	x = MulScalar(x, mulA)
	x = BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, uint32(15)))
	x = MulScalar(x, mulB)
	return BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, uint32(16)))
}

// StepKey mixes the run's seed with the step number: both uint32 scalars.
func StepKey(seed, step *Node) *Node {
	return OptimizationBarrier(mix(Add(mix(AddScalar(seed, golden)), MulScalar(step, golden))))
}

// siteKey separates the uses of randomness within a step by their names.
func siteKey(key *Node, site string) *Node {
	h := fnv.New32a()
	h.Write([]byte(site))
	return mix(BitwiseXor(key, Scalar(key.Graph(), dtypes.Uint32, Mix32(h.Sum32()))))
}

// randomBits draws 32 uniform bits for every element of a shape whose first axis is the batch. Each row has two keys of
// its own, one added before and one xored between the two multiplications, and so has each site: rows and sites stay
// independent and a row may have 2^32 elements. Sites come in where the numbers are already as many as the elements: what
// is added to a few numbers first would be a computation of its own for each site. Rows count from firstRow, a uint32
// scalar, or from 0 where it is nil.
func randomBits(key, firstRow *Node, site string, dims ...int) *Node {
	g := key.Graph()
	shape := shapes.Make(dtypes.Uint32, dims...)
	rows := make([]int, len(dims))
	for i := range rows {
		rows[i] = 1
	}
	rows[0] = dims[0]
	number := Iota(g, shapes.Make(dtypes.Uint32, rows...), 0)
	if firstRow != nil {
		number = Add(number, firstRow)
	}
	row := mix(Add(key, MulScalar(number, golden)))
	place := siteKey(key, site)
	keys := OptimizationBarriers(row, mix(AddScalar(row, rowSalt)), place) // or every use computes its own
	row, place = keys[0], keys[2]
	x := row
	for axis, stride := len(dims)-1, uint32(1); axis > 0; axis-- {
		x = Add(x, MulScalar(Iota(g, shape, axis), stride))
		stride *= uint32(dims[axis])
	}
	x = BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, uint32(16)))
	x = MulScalar(Add(x, place), mulA)
	x = BitwiseXor(BitwiseXor(x, place), keys[1])
	x = BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, uint32(15)))
	x = MulScalar(x, mulB)
	return BitwiseXor(x, BitwiseShiftRightLogicalScalar(x, uint32(16)))
}

// uniformOf maps 32 random bits to float32 values in (0, 1): odd multiples of 2^-25, so that neither end
// occurs.
func uniformOf(bits *Node) *Node {
	bits = BitwiseShiftRightLogicalScalar(bits, uint32(8))
	return MulScalar(AddScalar(ConvertDType(bits, dtypes.Float32), 0.5), 1.0/(1<<24))
}
