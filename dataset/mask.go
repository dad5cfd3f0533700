package dataset

import "math"

// slotMultiple is what the number of masked slots is rounded up to: the sublane count of a TPU register.
const slotMultiple = 8

// keepProb is the share of masked positions whose token the generator sees unchanged. The official code
// masks 85 % and never puts random tokens (the paper's text says 100 %).
const keepProb = 0.15

// MaxPredictions is N, the most positions that are masked in a row of seqLen tokens, by the official
// formula int((p + 0.005) * S), and at least 1.
func MaxPredictions(seqLen int, maskProb float64) int {
	return max(1, int((maskProb+0.005)*float64(seqLen)))
}

// MaskedSlots is K, the static number of masked slots a row: MaxPredictions rounded up to a multiple of 8.
func MaskedSlots(seqLen int, maskProb float64) int {
	return roundUp(MaxPredictions(seqLen, maskProb), slotMultiple)
}

func roundUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }

// maskScratch is memory that the rows of a batch share.
type maskScratch struct {
	candidates []int32 // positions that may be masked
	words      []span  // whole-word masking: the same as words
	chosen     [MaxSeqLen]bool
}

// choose marks the positions [start, end).
func (s *maskScratch) choose(word span) {
	for i := word.start; i < word.end; i++ {
		s.chosen[i] = true
	}
}

// collect writes the chosen positions in ascending order and returns how many there are.
func (s *maskScratch) collect(positions []int32, length int) int {
	n := 0
	for i, chosen := range s.chosen[:length] {
		if chosen {
			positions[n] = int32(i)
			n++
		}
	}
	return n
}

// span is a range of positions in a row.
type span struct{ start, end int32 }

// fillMasks chooses the masked positions of a row whose text is set: max(1, min(N, round(length * p)))
// of them without replacement, never a special token. They are a pure function of (seed, step, row), so
// an example has other masks each epoch.
func (d *Dataset) fillMasks(b *Batch, step int64, row int, scratch *maskScratch) {
	length := int(b.Lengths[row])
	ids := b.IDs[row*b.SeqLen : (row+1)*b.SeqLen]
	positions := b.MaskedPositions[row*b.Masked : (row+1)*b.Masked]
	want := max(1, min(d.maxMasked, int(math.RoundToEven(float64(length)*d.options.MaskProb))))

	random := drawsOf(d.options.Seed, step, siteMask, uint64(row))
	clear(scratch.chosen[:length])
	if d.options.WholeWord {
		d.chooseWords(scratch, ids[:length], want, &random)
	} else {
		d.choosePositions(scratch, ids[:length], want, &random)
	}
	n := scratch.collect(positions, length)
	keep := drawsOf(d.options.Seed, step, siteKeep, uint64(row))
	for slot := range positions {
		at, weight := row*b.Masked+slot, float32(1)
		if slot >= n {
			positions[slot], weight = 0, 0
		}
		b.MaskedInputs[at] = ids[positions[slot]]
		if slot < n && !keep.chance(keepProb) {
			b.MaskedInputs[at] = d.special.mask
		}
		b.MaskedWeights[at] = weight
	}
}

// choosePositions chooses want of the candidates, or all, each set of them equally likely (R. Floyd's
// sampling: J. Bentley, "A sample of brilliance", CACM 30(9), 1987).
func (d *Dataset) choosePositions(s *maskScratch, ids []int32, want int, random *draws) {
	s.candidates = s.candidates[:0]
	for i, id := range ids {
		if !d.special.has(id) {
			s.candidates = append(s.candidates, int32(i))
		}
	}
	for j := max(0, len(s.candidates)-want); j < len(s.candidates); j++ {
		position := s.candidates[random.below(j+1)]
		if s.chosen[position] {
			position = s.candidates[j]
		}
		s.chosen[position] = true
	}
}

// chooseWords takes whole words in random order as long as they fit into want positions. Where no word
// fits (a short example of long words) it masks the beginning of one.
func (d *Dataset) chooseWords(s *maskScratch, ids []int32, want int, random *draws) {
	s.words = d.appendWords(s.words[:0], ids)
	words, n := s.words, 0
	for i := range words {
		j := i + random.below(len(words)-i)
		words[i], words[j] = words[j], words[i]
		if size := int(words[i].end - words[i].start); n+size <= want {
			n += size
			s.choose(words[i])
		}
	}
	if n == 0 && len(words) > 0 {
		s.choose(span{words[0].start, words[0].start + int32(want)})
	}
}

// appendWords splits a row into words: a token and the continuation pieces ("##") after it. Special
// tokens are in no word.
func (d *Dataset) appendWords(words []span, ids []int32) []span {
	open := false
	for i, id := range ids {
		switch {
		case d.special.has(id):
			open = false
		case open && d.continuation[id]:
			words[len(words)-1].end++
		default:
			words = append(words, span{int32(i), int32(i) + 1})
			open = true
		}
	}
	return words
}
