package dataset

import "container/heap"

// MaxValidTokens bounds the held-out split of large corpora.
const MaxValidTokens = 1 << 20

// maxHeldOutDocument is the length in tokens from which a document is not drawn, so that what is drawn comes close to
// MaxValidTokens.
const maxHeldOutDocument = MaxValidTokens / 16

// minValidTokens is what the held-out split has at least, where the corpus has twice as many and no document is drawn.
const minValidTokens = 1024

// HeldOut chooses the documents that are held out: those whose draw is below a share of all numbers and, where they would
// have more than MaxValidTokens together, the ones with the smallest draws among them. So the choice does not
// depend on the order of the documents, and parts of a corpus can be counted apart and merged. Its size is bounded;
// its fields are exported so that it can travel between machines.
type HeldOut struct {
	Below       uint64  // documents with this draw or a higher one are not held out
	Drawn       tickets // those with a lower one
	DrawnTokens int     // of Drawn
	Spare       Ticket  // the document with the smallest draw of all
	Tokens      int64   // of all documents
}

// Ticket stands for a document in the choice.
type Ticket struct {
	Draw   uint64
	Tokens int
}

// NewHeldOut begins a choice of a share of the documents, between 0 and 1.
func NewHeldOut(share float64) *HeldOut { return &HeldOut{Below: uint64(share * 0x1p64)} }

// Add takes one more document. It gives the draws of documents, of this or earlier calls, that are now known not to be
// held out; at least one token is needed.
func (h *HeldOut) Add(t Ticket) (free []uint64) {
	h.Tokens += int64(t.Tokens)
	former := h.Spare
	if former.Tokens == 0 || t.Draw < former.Draw {
		h.Spare = t
		if former.Tokens > 0 && !h.draws(former) {
			free = append(free, former.Draw)
		}
	} else if !h.draws(t) {
		free = append(free, t.Draw)
	}
	if h.draws(t) {
		heap.Push(&h.Drawn, t)
		h.DrawnTokens += t.Tokens
	}
	return append(free, h.shrink()...)
}

// Merge takes the documents of another choice of the same share.
func (h *HeldOut) Merge(o *HeldOut) {
	h.Tokens += o.Tokens
	if h.Spare.Tokens == 0 || o.Spare.Tokens > 0 && o.Spare.Draw < h.Spare.Draw {
		h.Spare = o.Spare
	}
	for _, t := range o.Drawn {
		heap.Push(&h.Drawn, t)
	}
	h.DrawnTokens += o.DrawnTokens
	h.Below = min(h.Below, o.Below)
	h.shrink()
}

// draws tells whether a document is among the drawn ones, as far as is known.
func (h *HeldOut) draws(t Ticket) bool { return t.Draw < h.Below && t.Tokens <= maxHeldOutDocument }

// shrink gives up the highest draws until the rest is below the bounds.
func (h *HeldOut) shrink() (free []uint64) {
	for len(h.Drawn) > 0 && (h.DrawnTokens > MaxValidTokens || h.Drawn[0].Draw >= h.Below) {
		t := heap.Pop(&h.Drawn).(Ticket)
		h.DrawnTokens -= t.Tokens
		h.Below = min(h.Below, t.Draw)
		if t != h.Spare {
			free = append(free, t.Draw)
		}
	}
	return free
}

// Rule is the choice when all documents are known.
type Rule struct {
	Below uint64 // documents with a lower draw are held out
	Spare uint64 // but for the one with this draw
	Tail  int    // of which the last tokens are: none, some or all
}

// Rule ends the choice. The document with the smallest draw makes sure that neither split is empty: it goes to the one
// that would be. Where no document was drawn its end is held out, so that training keeps at least half of the
// text and a corpus of one document can be split as well.
func (h *HeldOut) Rule() Rule {
	r := Rule{Below: h.Below, Spare: h.Spare.Draw}
	switch spareDrawn := h.draws(h.Spare); {
	case len(h.Drawn) == 0 || spareDrawn && len(h.Drawn) == 1 && h.Tokens == int64(h.DrawnTokens):
		share := float64(h.Below) / 0x1p64
		r.Tail = int(min(max(share*float64(h.Tokens), minValidTokens), MaxValidTokens, float64(h.Tokens)/2))
	case spareDrawn && int64(h.DrawnTokens) < h.Tokens:
		r.Tail = h.Spare.Tokens
	}
	return r
}

// Split divides the sentences of a document between training and the held-out split. One side is mostly empty.
func (r Rule) Split(k Kept) (train, valid [][]int32) {
	switch draw := k.Draw(); {
	case draw == r.Spare:
		return splitTail(k.Sentences, r.Tail)
	case draw < r.Below && k.Tokens() <= maxHeldOutDocument:
		return nil, k.Sentences
	}
	return k.Sentences, nil
}

// splitTail cuts the last n tokens, or all, off a document.
func splitTail(sentences [][]int32, n int) (head, tail [][]int32) {
	i := len(sentences)
	for i > 0 && n >= len(sentences[i-1]) {
		i--
		n -= len(sentences[i])
	}
	if i == 0 || n == 0 {
		return sentences[:i], sentences[i:]
	}
	last := sentences[i-1]
	cut := len(last) - n
	head = append(append(head, sentences[:i-1]...), last[:cut])
	return head, append(append(tail, last[cut:]), sentences[i:]...)
}

// tickets is a heap with the highest draw first.
type tickets []Ticket

func (t tickets) Len() int           { return len(t) }
func (t tickets) Less(i, j int) bool { return t[i].Draw > t[j].Draw }
func (t tickets) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }

// Push appends a Ticket, for package heap.
func (t *tickets) Push(x any) { *t = append(*t, x.(Ticket)) }

// Pop removes the last Ticket, for package heap.
func (t *tickets) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}
