package dataset

import (
	"math"
	"slices"
	"testing"
)

func TestMaxPredictions(t *testing.T) {
	cases := []struct {
		seqLen   int
		prob     float64
		n, slots int
	}{
		{8, 0.15, 1, 8}, {64, 0.15, 9, 16}, {128, 0.15, 19, 24}, {512, 0.15, 79, 80}, {512, 0.25, 130, 136}, {8, 0.05, 1, 8},
	}
	for _, c := range cases {
		n := MaxPredictions(c.seqLen, c.prob)
		if n != c.n || roundUp(n, slotMultiple) != c.slots {
			t.Errorf("S=%d p=%v: N=%d K=%d, want %d and %d", c.seqLen, c.prob, n, roundUp(n, slotMultiple), c.n, c.slots)
		}
	}
}

// What must hold for the masks of every row, checked over rows of all lengths.
func TestMasks(t *testing.T) {
	for _, wholeWord := range []bool{false, true} {
		o := options(128)
		o.BatchSize, o.WholeWord = 64, wholeWord
		d := testDataset(t, randomText(400, 5, 40), o)
		d.continuation = everyThird(len(d.parts[0].tokens.(*memory).tokens) + firstTextID)
		for step := range int64(20) {
			b, err := d.Batch(step)
			if err != nil {
				t.Fatal(err)
			}
			for row := range b.Size {
				checkMasks(t, d, b, row)
			}
		}
	}
}

// everyThird marks two of three ids as continuation pieces.
func everyThird(size int) []bool {
	pieces := make([]bool, size)
	for i := range pieces {
		pieces[i] = i%3 != 0
	}
	return pieces
}

func checkMasks(t *testing.T, d *Dataset, b *Batch, row int) {
	t.Helper()
	length := int(b.Lengths[row])
	ids := b.IDs[row*b.SeqLen : (row+1)*b.SeqLen]
	positions := b.MaskedPositions[row*b.Masked : (row+1)*b.Masked]
	used := 0
	for slot, position := range positions {
		at := row*b.Masked + slot
		switch weight := b.MaskedWeights[at]; {
		case weight == 0 && position == 0 && b.MaskedInputs[at] == ids[0]:
		case weight != 1 || used != slot:
			t.Fatalf("row %d slot %d: weight %v at position %d, input %d", row, slot, weight, position, b.MaskedInputs[at])
		case slot > 0 && position <= positions[slot-1]:
			t.Fatalf("row %d: positions %v do not ascend", row, positions)
		case int(position) >= length || d.special.has(ids[position]):
			t.Fatalf("row %d: position %d of %d, token %d is masked", row, position, length, ids[position])
		case b.MaskedInputs[at] != d.special.mask && b.MaskedInputs[at] != ids[position]:
			t.Fatalf("row %d: input %d is neither [MASK] nor the original %d", row, b.MaskedInputs[at], ids[position])
		default:
			used++
		}
	}
	want := max(1, min(d.maxMasked, int(math.RoundToEven(float64(length)*d.options.MaskProb))))
	specials := 2
	if ids[length-1] == d.special.sep && slices.Contains(ids[1:length-1], d.special.sep) {
		specials = 3
	}
	want = min(want, length-specials)
	if d.options.WholeWord {
		checkWords(t, d, ids[:length], positions[:used], want)
	} else if used != want {
		t.Fatalf("row %d of %d tokens: %d positions are masked, want %d", row, length, used, want)
	}
}

// checkWords: a piece and the one before it are masked together; only a single word that is too long for
// the row may be cut. As many tokens are masked as whole words can be (words here have at most 3 pieces).
func checkWords(t *testing.T, d *Dataset, ids, positions []int32, want int) {
	t.Helper()
	if len(positions) > want || len(positions) < max(1, want-2) {
		t.Fatalf("%d positions are masked, want %d or up to 2 fewer", len(positions), want)
	}
	for i, id := range ids[1:] {
		joined := !d.special.has(id) && d.continuation[id] && !d.special.has(ids[i])
		before := slices.Contains(positions, int32(i))
		if after := slices.Contains(positions, int32(i+1)); joined && before != after && len(positions) != want {
			t.Fatalf("positions %v cut the word at %d", positions, i)
		}
	}
}

// Every position must be masked equally often, 85 % of them by [MASK].
func TestMaskStatistics(t *testing.T) {
	text := &memory{}
	text.add(slices.Repeat([]int32{30}, 4000)...)
	o := options(128)
	o.BatchSize = 256
	d := testDataset(t, text, o)
	counts := make([]float64, 128)
	pairs, masks, n, rows := 0.0, 0.0, 0.0, 0.0
	for step := range int64(40) {
		b, err := d.Batch(step)
		if err != nil {
			t.Fatal(err)
		}
		for row := range b.Size {
			if b.Lengths[row] < 128 {
				continue
			}
			rows++
			for slot := row * b.Masked; slot < (row+1)*b.Masked && b.MaskedWeights[slot] > 0; slot++ {
				counts[b.MaskedPositions[slot]]++
				n++
				if b.MaskedInputs[slot] == testIDs.mask {
					masks++
				}
				if slot > row*b.Masked && b.MaskedPositions[slot] == b.MaskedPositions[slot-1]+1 {
					pairs++
				}
			}
		}
	}
	if n/rows != 19 {
		t.Errorf("%.3f positions a full row, want 19", n/rows)
	}
	expectShare(t, "[MASK]", masks/n, 0.85, n)
	for position, count := range counts[1:60] { // before the [SEP] of the first segment, wherever it is
		if want := rows * 19 / 125.1; math.Abs(count-want) > 6*math.Sqrt(want) {
			t.Errorf("position %d is masked %.0f times, want %.0f", position+1, count, want)
		}
	}
	// Independent positions are neighbours in 19*18/125 of the pairs, less where a [SEP] lies between.
	if mean := pairs / rows; mean < 2.5 || mean > 2.8 {
		t.Errorf("%.3f neighbouring positions a row, want about 2.7", mean)
	}
}

// A row of special tokens only has nothing to mask; literal special tokens in the text are left alone.
func TestMaskLeavesSpecialTokens(t *testing.T) {
	for _, wholeWord := range []bool{false, true} {
		text := &memory{}
		text.add(20)
		text.add(20)
		for i := range text.tokens {
			text.tokens[i] = []int32{testIDs.sep, testIDs.mask, testIDs.cls}[i%3]
		}
		text.tokens[7] = firstTextID
		o := options(64)
		o.WholeWord = wholeWord
		d := testDataset(t, text, o)
		d.continuation = make([]bool, 100)
		for step := range int64(5) {
			b, err := d.Batch(step)
			if err != nil {
				t.Fatal(err)
			}
			for row := range b.Size {
				used := 0
				for slot := row * b.Masked; slot < (row+1)*b.Masked; slot++ {
					if b.MaskedWeights[slot] > 0 {
						used++
						if id := b.IDs[row*64+int(b.MaskedPositions[slot])]; id != firstTextID {
							t.Fatalf("special token %d is masked", id)
						}
					}
				}
				if want := map[bool]int{true: 1, false: 0}[slices.Contains(b.IDs[row*64:(row+1)*64], firstTextID)]; used != want {
					t.Errorf("%d positions are masked, want %d", used, want)
				}
			}
		}
	}
}

// A word of more pieces than may be masked is masked in part rather than not at all.
func TestWholeWordTooLong(t *testing.T) {
	text := &memory{}
	text.add(6)
	o := options(64)
	o.WholeWord = true
	d := testDataset(t, text, o)
	d.continuation = slices.Repeat([]bool{true}, 100)
	b, err := d.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	if b.MaskedWeights[0] != 1 || b.MaskedWeights[1] != 0 || b.MaskedPositions[0] != 1 {
		t.Errorf("positions %v with weights %v, want position 1 alone", b.MaskedPositions[:8], b.MaskedWeights[:8])
	}
}
