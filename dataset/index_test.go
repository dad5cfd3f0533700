package dataset

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func options(seqLen int) BatchOptions {
	return BatchOptions{SeqLen: seqLen, BatchSize: 4, Seed: 42, MaskProb: 0.15}
}

// Every token of the text is in exactly one example, in the order of the text, and no example crosses a
// document or is longer than a row.
func TestIndexLosesNothing(t *testing.T) {
	texts := map[string]*memory{
		"short sentences":  randomText(300, 20, 30),
		"long paragraphs":  randomText(50, 8, 900),
		"single tokens":    randomText(100, 40, 1),
		"tiny documents":   randomText(3000, 1, 3),
		"one long line":    randomText(1, 1, 100_000),
		"sentences of all": randomText(200, 30, 200),
	}
	for name, text := range texts {
		for _, seqLen := range []int{8, 9, 64, 128, 512} {
			for _, one := range []bool{false, true} {
				o := options(seqLen)
				o.OneSegment = one
				t.Run(fmt.Sprintf("%s/%d/one=%t", name, seqLen, one), func(t *testing.T) { checkIndex(t, text, o) })
			}
		}
	}
}

func checkIndex(t *testing.T, text *memory, o BatchOptions) {
	examples, err := buildIndex(t.Context(), text, o, 2)
	if err != nil {
		t.Fatal(err)
	}
	next, document := 0, 0
	for i, e := range examples {
		if e.start() != next {
			t.Fatalf("example %d begins at token %d, the one before ended at %d", i, e.start(), next)
		}
		next += e.lenA() + e.lenB()
		if e.lenA() < 1 || e.length() > o.SeqLen || (o.OneSegment && e.lenB() > 0) {
			t.Fatalf("example %d has segments of %d and %d tokens in %d", i, e.lenA(), e.lenB(), o.SeqLen)
		}
		for text.documents[document].End <= e.start() {
			document++
		}
		if next > text.documents[document].End {
			t.Fatalf("example %d crosses the end of document %d", i, document)
		}
	}
	if next != len(text.tokens) {
		t.Fatalf("the examples end at token %d of %d", next, len(text.tokens))
	}
}

// The same statement on the batches themselves: one epoch's rows hold the multiset of the text's tokens.
func TestEpochHoldsEveryToken(t *testing.T) {
	text := randomText(40, 10, 60)
	d := testDataset(t, text, options(64))
	counts := map[int32]int{}
	for place := int64(0); place < d.Examples(); place += 4 {
		b, err := d.Batch(place / 4)
		if err != nil {
			t.Fatal(err)
		}
		for row := range int(min(4, d.Examples()-place)) {
			for _, id := range b.IDs[row*64 : row*64+int(b.Lengths[row])] {
				if id >= firstTextID {
					counts[id]++
				}
			}
		}
	}
	for _, id := range text.tokens { // all different
		if counts[id] != 1 {
			t.Fatalf("token %d came %d times in an epoch", id, counts[id])
		}
	}
	if len(counts) != len(text.tokens) {
		t.Fatalf("%d different tokens in an epoch, %d in the text", len(counts), len(text.tokens))
	}
}

// On one endless document of sentences the shares must be those of the official builder: 10 % have one
// segment, 5 % a target drawn evenly from 5 to S, the others are full.
func TestSegmentShares(t *testing.T) {
	for _, sentence := range []int{1, 12, 40, 1000} {
		text := &memory{}
		lengths := make([]int32, 2_000_000/sentence)
		for i := range lengths {
			lengths[i] = int32(sentence)
		}
		text.add(lengths...)
		const seqLen = 128
		examples, err := buildIndex(t.Context(), text, options(seqLen), 2)
		if err != nil {
			t.Fatal(err)
		}
		n := float64(len(examples))
		var one, short, sum float64
		for _, e := range examples {
			if e.lenB() == 0 {
				one++
			}
			if e.length() < seqLen {
				short++
				sum += float64(e.length())
			}
		}
		expectShare(t, fmt.Sprintf("sentences of %d: one segment", sentence), one/n, 0.10, n)
		// One of the 124 possible targets is S itself, which is not short.
		expectShare(t, fmt.Sprintf("sentences of %d: short", sentence), short/n, 0.05*123/124, n)
		if mean, sd := sum/short, 123/math.Sqrt(12*short); math.Abs(mean-66) > 5*sd {
			t.Errorf("sentences of %d: short examples have %.1f tokens on average, want 66", sentence, mean)
		}
	}
}

func expectShare(t *testing.T, what string, got, want, n float64) {
	t.Helper()
	if math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/n) {
		t.Errorf("%s: share %.4f of %.0f, want %.4f", what, got, n, want)
	}
}

// Where A ends follows the official rules: at a sentence's end, before half of the target or, half of the
// time, one sentence past it; where a sentence would leave B nothing, at half of the target.
func TestFirstSegment(t *testing.T) {
	cases := []struct {
		name      string
		sentences []int32
		want      map[int]float64 // length of A in a full two-segment example of 128 (half: 62), and how often
	}{
		{"single tokens", slices.Repeat([]int32{1}, 1000), map[int]float64{61: 0.5, 62: 0.5}},
		{"sentences of 40", slices.Repeat([]int32{40}, 100), map[int]float64{40: 0.5, 80: 0.5}},
		{"a long sentence is not cut", []int32{100, 100}, map[int]float64{100: 1}},
		{"it leaves one token", []int32{124, 500}, map[int]float64{124: 1}},
		{"it leaves none", []int32{125, 500}, map[int]float64{62: 1}},
		{"a long paragraph", []int32{100_000}, map[int]float64{62: 1}},
		{"a long second sentence", []int32{40, 100_000}, map[int]float64{40: 0.5, 62: 0.5}},
	}
	for _, c := range cases {
		counts, n := map[int]float64{}, 0.0
		for seed := range uint64(1000) {
			cut := cutter{seqLen: 128, random: drawsOf(1, 0, siteSegments, seed), rest: slices.Clone(c.sentences)}
			if e := cut.cut(nil, 0)[0]; e.lenB() > 0 && e.length() == 128 {
				counts[e.lenA()]++
				n++
			}
		}
		if len(counts) != len(c.want) || n < 700 {
			t.Errorf("%s: A has lengths %v in %v examples, want shares %v", c.name, counts, n, c.want)
		}
		for length, share := range c.want {
			expectShare(t, fmt.Sprintf("%s: A of %d", c.name, length), counts[length]/n, share, n)
		}
	}
}

func TestIndexDoesNotDependOnWorkers(t *testing.T) {
	text := randomText(5000, 10, 60)
	want, err := buildIndex(t.Context(), text, options(128), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{2, 3, 16} {
		got, err := buildIndex(t.Context(), text, options(128), workers)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d workers: another index (error %v)", workers, err)
		}
	}
	o := options(128)
	o.Seed++
	other, err := buildIndex(t.Context(), text, o, 1)
	if err != nil || slices.Equal(other, want) {
		t.Errorf("another seed gives the same index (error %v)", err)
	}
}

func BenchmarkIndex(b *testing.B) {
	text := randomText(20_000, 20, 60)
	b.ResetTimer()
	for b.Loop() {
		if _, err := buildIndex(b.Context(), text, options(128), 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(text.tokens))/b.Elapsed().Seconds()/1e6, "Mtokens/s")
}
