package dataset

// Near-duplicates are found by MinHash (A. Broder, "On the resemblance and containment of documents", 1997) and banding:
// documents are compared as sets of shingles, runs of shingleTokens tokens. The minima of bands*bandRows hash functions
// over a document's shingles agree for two documents with probability s each, where s is the resemblance, the shared
// part of all their shingles. Two documents count as near-duplicates where all rows of one band agree, which has
// the probability 1-(1-s^bandRows)^bands: 5 % at s = 0.5, 77 % at 0.75, 92 % at 0.8, 99.9 % at 0.9. Bands and rows are
// those of FineWeb (G. Penedo et al., 2024).
const (
	shingleTokens = 5
	bands         = 14
	bandRows      = 8
)

// minhash makes band hashes of documents. It is for one goroutine.
type minhash struct {
	factors [bands * bandRows]uint64 // odd: multiply-shift hashing
	minima  [bands * bandRows]uint32
}

func newMinhash() *minhash {
	var m minhash
	random := draws(textSeed)
	for i := range m.factors {
		m.factors[i] = random.next() | 1
	}
	return &m
}

// bands gives a hash of each band of a document; documents whose hashes agree anywhere are near-duplicates. A document
// of less tokens than a shingle is one shingle.
func (m *minhash) bands(sentences []Sentence) []uint64 {
	for i := range m.minima {
		m.minima[i] = 1<<32 - 1
	}
	var window [shingleTokens]uint64
	n := 0
	for _, s := range sentences {
		for _, id := range s.IDs {
			window[n%shingleTokens] = mix64(uint64(id) + golden)
			if n++; n >= shingleTokens {
				m.shingle(&window, n)
			}
		}
	}
	if n < shingleTokens {
		m.shingle(&window, n)
	}
	hashes := make([]uint64, bands)
	for band := range hashes {
		h := mix64(textSeed + uint64(band))
		for _, low := range m.minima[band*bandRows : (band+1)*bandRows] {
			h = mix64(h + uint64(low))
		}
		hashes[band] = h
	}
	return hashes
}

// shingle takes the tokens in window, of which the next one to be replaced is the oldest, into the minima.
func (m *minhash) shingle(window *[shingleTokens]uint64, next int) {
	x := uint64(0)
	for i := range window {
		x = x*golden + window[(next+i)%shingleTokens]
	}
	x = mix64(x)
	for i, factor := range &m.factors {
		m.minima[i] = min(m.minima[i], uint32(x*factor>>32))
	}
}
