package dataset

import "math/bits"

// hashSet remembers 64-bit hashes in bounded memory: open addressing with linear probing, 8 bytes a slot, at most
// three quarters full. It has two generations: when the young one has grown to its bound and is full, it becomes the old
// one, and what was older is forgotten. So at least the latest hashes that fill one generation are known.
type hashSet struct {
	young, old  table
	most        int   // slots of a generation: a power of two
	generations int64 // that have become old
}

// Slots of a generation.
const (
	firstSlots  = 1 << 12
	bytesASlot  = 8
	fillPercent = 75
)

// newHashSet makes a set that takes at most this much memory when it is full, and half as much again while it grows.
func newHashSet(bytes int64) *hashSet {
	slots := max(firstSlots, bytes/(2*bytesASlot))
	return &hashSet{most: 1 << (bits.Len64(uint64(slots)) - 1)}
}

// add puts a hash into the set and tells whether it was there.
func (s *hashSet) add(hash uint64) (was bool) {
	if hash == 0 { // an empty slot
		hash = 1
	}
	if s.young.has(hash) {
		return true
	}
	was = s.old.has(hash)
	if 100*(s.young.count+1) > fillPercent*len(s.young.slots) {
		s.makeRoom()
	}
	s.young.put(hash)
	return was
}

// makeRoom doubles the young generation, or lets it become the old one.
func (s *hashSet) makeRoom() {
	if size := len(s.young.slots); size < s.most {
		grown := table{slots: allocate(min(s.most, max(firstSlots, 2*size)))}
		for _, hash := range s.young.slots {
			if hash != 0 {
				grown.put(hash)
			}
		}
		release(s.young.slots)
		s.young = grown
		return
	}
	s.generations++
	s.young, s.old = s.old, s.young
	s.young.count = 0
	if s.young.slots == nil {
		s.young.slots = allocate(s.most)
	}
	clear(s.young.slots)
}

// reach is the number of latest hashes that are certainly known.
func (s *hashSet) reach() int { return s.most * fillPercent / 100 }

// close gives the memory back.
func (s *hashSet) close() {
	release(s.young.slots)
	release(s.old.slots)
	s.young, s.old = table{}, table{}
}

// table is one generation: a power of two of slots, 0 where empty.
type table struct {
	slots []uint64
	count int
}

// place gives the slot of a hash: its own or an empty one.
func (t *table) place(hash uint64) int {
	mask := uint64(len(t.slots) - 1)
	i := hash & mask // the hashes are mixed already
	for t.slots[i] != 0 && t.slots[i] != hash {
		i = (i + 1) & mask
	}
	return int(i)
}

func (t *table) has(hash uint64) bool {
	return t.count > 0 && t.slots[t.place(hash)] == hash
}

func (t *table) put(hash uint64) {
	t.slots[t.place(hash)] = hash
	t.count++
}
