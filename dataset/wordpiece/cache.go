package wordpiece

// A cache remembers the ids of short segments that are not plain ASCII. It is a fixed table (one megabyte, whatever the text) of
// sets of two entries, the newer first. A larger one
// leaves the processor's own caches.
type cache struct {
	entries []entry
}

const (
	cacheBits    = 13 // of the number of sets
	cacheKeySize = 24 // bytes of the longest segment that is remembered
	cacheIDs     = 8  // ids of the longest
)

type entry struct {
	key    [3]uint64 // the segment's bytes, zero beyond its length
	ids    [cacheIDs]int32
	length uint8 // of the segment in bytes; 0 in a free entry
	count  uint8
}

func newCache() cache { return cache{make([]entry, 2<<cacheBits)} }

// cacheKey packs a segment of at most cacheKeySize bytes.
func cacheKey(segment string) (key [3]uint64) {
	switch n := len(segment); {
	case n <= 8:
		key[0] = load(segment)
	case n <= 16:
		key[0], key[1] = load(segment[:8]), load(segment[8:])
	default:
		key[0], key[1], key[2] = load(segment[:8]), load(segment[8:16]), load(segment[16:])
	}
	return key
}

// load packs at most eight bytes, the first lowest.
func load(s string) uint64 {
	if len(s) == 8 {
		return load8(s)
	}
	if len(s) >= 4 {
		return load4(s) | load4(s[len(s)-4:])<<(8*(len(s)-4))
	}
	var x uint64
	for i := range len(s) {
		x |= uint64(s[i]) << (8 * i)
	}
	return x
}

func load4(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

func load8(s string) uint64 { return load4(s) | load4(s[4:])<<32 }

// set returns the pair of entries that a key may be in.
func (c *cache) set(key *[3]uint64) *[2]entry {
	h := key[0]*0x9e3779b97f4a7c15 ^ key[1]*0xc2b2ae3d27d4eb4f ^ key[2]*0x165667b19e3779f9
	h = (h ^ h>>29) * 0xbf58476d1ce4e5b9 >> (64 - cacheBits)
	return (*[2]entry)(c.entries[2*h:])
}

// find returns the entry of a segment, nil where there is none.
func find(set *[2]entry, key *[3]uint64, length int) *entry {
	for i := range set {
		if e := &set[i]; e.key == *key && int(e.length) == length {
			return e
		}
	}
	return nil
}

// put remembers a segment's ids in place of the set's older entry.
func put(set *[2]entry, key *[3]uint64, length int, ids []int32) {
	if len(ids) > cacheIDs {
		return
	}
	set[1] = set[0]
	set[0] = entry{key: *key, length: uint8(length), count: uint8(len(ids))}
	copy(set[0].ids[:], ids)
}
