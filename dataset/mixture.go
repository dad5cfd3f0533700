package dataset

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"elektron/internal/fault"
)

// part is one corpus of a dataset.
type part struct {
	tokens   source
	examples []example // mapped from the index file
	finished bool      // the documents were examples when they were read
	weight   float64   // share of the rows, relative to the other parts'; all 0: each example once an epoch
	first    int64     // number of its first example in the dataset
}

// mixtureBlock is how many places of the order have the shares of a mixture exactly, and so the precision of a
// weight: a 65,536th.
const mixtureBlock = 1 << 16

// mixture deals the places of the global order to the parts of a dataset. Each block of places is a permutation of
// slots; the first ones belong to the first part, and so on. So the part of any place, and how many places that part
// had before, follow from the place alone.
type mixture struct {
	ends []int64 // end of each part's slots in a block
}

// mixtureOf gives each part its slots, by largest remainder and at least one.
func mixtureOf(weights []float64) (mixture, error) {
	if len(weights) > mixtureBlock {
		return mixture{}, fault.New(fault.Usage, "dataset: %d parts are too many for one mixture; at most %d", len(weights), mixtureBlock)
	}
	sum := 0.0
	for _, w := range weights {
		if !(w > 0) || math.IsInf(w, 0) {
			return mixture{}, fault.New(fault.Usage, "dataset: weight %v is not a positive number; give each part of a mixture one", w)
		}
		sum += w
	}
	slots, remainders := make([]int64, len(weights)), make([]float64, len(weights))
	order, left := make([]int, len(weights)), int64(mixtureBlock)
	for i, w := range weights {
		exact := w / sum * mixtureBlock
		slots[i] = max(1, int64(exact))
		remainders[i] = exact - float64(slots[i])
		order[i] = i
		left -= slots[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	for i := 0; left > 0; i, left = i+1, left-1 {
		slots[order[i%len(order)]]++
	}
	for ; left < 0; left++ { // many parts rounded up to one slot: the largest gives way
		largest := slices.Index(slots, slices.Max(slots))
		slots[largest]--
	}
	m := mixture{ends: slots}
	for i := 1; i < len(slots); i++ {
		m.ends[i] += m.ends[i-1]
	}
	return m, nil
}

// share is the share of the places that part i has.
func (m mixture) share(i int) float64 {
	start := int64(0)
	if i > 0 {
		start = m.ends[i-1]
	}
	return float64(m.ends[i]-start) / mixtureBlock
}

// cursor finds the example of a place. It keeps the permutations that it used last, as places mostly come in order.
type cursor struct {
	d      *Dataset
	block  int64
	slots  permutation
	epochs []int64 // of each part's order
	orders []permutation
}

func (d *Dataset) cursor() cursor {
	n := max(1, len(d.mix.ends))
	c := cursor{d: d, block: -1, epochs: make([]int64, n), orders: make([]permutation, n)}
	for i := range c.epochs {
		c.epochs[i] = -1
	}
	return c
}

// example gives the number of the example at a place of the global order, which has no end.
func (c *cursor) example(place int64) int64 {
	if len(c.d.mix.ends) == 0 { // the parts are one corpus
		return c.ordered(0, c.d.Examples(), place)
	}
	if block := place / mixtureBlock; block != c.block {
		c.block, c.slots = block, orderAt(siteMixture, mixtureBlock, c.d.options.Seed, block, 0)
	}
	slot, ends := c.slots.at(place%mixtureBlock), c.d.mix.ends
	i := sort.Search(len(ends), func(i int) bool { return ends[i] > slot })
	start := int64(0)
	if i > 0 {
		start = ends[i-1]
	}
	p := &c.d.parts[i]
	return p.first + c.ordered(i, int64(len(p.examples)), c.block*(ends[i]-start)+slot-start)
}

// ordered gives the number, of n, that comes at a place of the order of part i.
func (c *cursor) ordered(i int, n, place int64) int64 {
	if epoch := place / n; epoch != c.epochs[i] {
		c.epochs[i], c.orders[i] = epoch, orderAt(siteOrder, n, c.d.options.Seed, epoch, i)
	}
	return c.orders[i].at(place % n)
}
