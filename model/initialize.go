package model

import (
	"hash/fnv"
	"math"
)

// Initialize returns a weight's first values, row-major: a function of the seed, the weight's name and the
// element's index, so the same on every platform and in any order. deviation is Config.InitializerRange.
func (w Weight) Initialize(seed uint32, deviation float64) []float32 {
	values := make([]float32, w.Size())
	h := fnv.New32a()
	h.Write([]byte(w.Name))
	key := Mix32(seed+golden) ^ h.Sum32()
	switch w.Init {
	case InitOnes:
		for i := range values {
			values[i] = 1
		}
	case InitTruncatedNormal:
		for i := range values {
			values[i] = float32(deviation * truncatedNormal(uniformAt(key, i)))
		}
	case InitGlorotUniform: // Glorot and Bengio, 2010: ±√(6/(in+out))
		limit := math.Sqrt(6 / float64(w.Shape[0]+w.Shape[1]))
		for i := range values {
			values[i] = float32(limit * (2*uniformAt(key, i) - 1))
		}
	}
	return values
}

// uniformAt is in (0, 1).
func uniformAt(key uint32, i int) float64 {
	bits := Mix32(Mix32(uint32(i)+key) ^ Mix32(key+rowSalt))
	return (float64(bits) + 0.5) / (1 << 32)
}

// truncatedNormal maps a uniform number to a standard normal cut at two deviations, by the inverse of its
// distribution function.
func truncatedNormal(u float64) float64 {
	tail := 0.5 * math.Erfc(math.Sqrt2) // Φ(−2)
	p := tail + u*(1-2*tail)
	return math.Sqrt2 * math.Erfinv(2*p-1)
}
