package wordpiece

// queue is a binary heap of pairs, the most frequent first, among equals the one of the lowest ids. A pair's
// count may have changed since it was pushed.
type queue []candidate

type candidate struct {
	count int64
	pair  *pairCount
}

func (c candidate) before(other candidate) bool {
	return c.count > other.count || c.count == other.count && c.pair.pair.less(other.pair.pair)
}

func (q *queue) push(c candidate) {
	*q = append(*q, c)
	h := *q
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (q *queue) pop() candidate {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*q = h
	for i := 0; ; {
		best := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h[child].before(h[best]) {
				best = child
			}
		}
		if best == i {
			return top
		}
		h[i], h[best] = h[best], h[i]
		i = best
	}
}
