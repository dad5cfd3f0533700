package dataset

import (
	"context"
	"iter"
	"sort"
	"sync"

	"elektron/dataset/shard"
	"elektron/internal/fault"
)

// source is tokenised text: documents one after the other, each a range of tokens cut into sentences.
// Token numbers run through all documents without gaps. *shard.Set is one.
type source interface {
	NumTokens() int
	NumDocuments() int
	Document(i int) shard.Document
	AppendSentenceLengths(dst []int32, document int) []int32
	AppendTokens(dst []int32, start, n int) ([]int32, error)
}

// Shares of the official example builder (google-research/electra, build_pretraining_dataset.py).
const (
	oneSegmentProb  = 0.10 // examples without a second segment
	shortProb       = 0.05 // examples with a target length drawn from minTarget to S
	minTarget       = 5    // [CLS] a [SEP] b [SEP]
	extraSentenceIn = 0.5  // chance that A takes one more sentence, although it passes its target
)

// example is a range of tokens of which the first lenA are segment A and the others segment B, packed
// into 8 bytes: 44 bits of first token, 10 bits of each length.
type example uint64

const (
	lenBits  = 10
	lenMask  = 1<<lenBits - 1
	maxStart = 1<<(64-2*lenBits) - 1
)

func packExample(start, a, b int) example {
	return example(start)<<(2*lenBits) | example(a)<<lenBits | example(b)
}

func (e example) start() int { return int(e >> (2 * lenBits)) }
func (e example) lenA() int  { return int(e >> lenBits & lenMask) }
func (e example) lenB() int  { return int(e & lenMask) }

// length is the number of tokens with [CLS] and [SEP]s.
func (e example) length() int {
	if e.lenB() == 0 {
		return e.lenA() + 2
	}
	return e.lenA() + e.lenB() + 3
}

// cutter cuts one document into examples.
//
// It draws as the official builder does: 10 % of the examples have one segment, 5 % a target length
// drawn from 5 to S instead of S, A takes sentences up to half of the target and perhaps one more. It
// differs where that builder loses or reorders text: what does not fit goes on in the next example, a later
// sentence never returns to A, and a sentence that would leave B no room is cut at A's target, so that text
// with long paragraphs has two segments as well. Only the end of a document makes other short or
// one-segment examples.
type cutter struct {
	seqLen     int
	oneSegment bool
	random     draws
	rest       []int32 // lengths of the sentences that are still to be used
	done       int     // tokens of rest[0] that are used already
}

// cut appends the examples of a document that begins at token start.
func (c *cutter) cut(examples []example, start int) []example {
	for len(c.rest) > 0 {
		target := c.seqLen
		one := c.oneSegment || c.random.chance(oneSegmentProb)
		if c.random.chance(shortProb) {
			target = minTarget + c.random.below(c.seqLen-minTarget+1)
		}
		a, b := 0, 0
		if one {
			a = c.take(target - 2)
		} else {
			a = c.first(target)
			b = c.take(target - 3 - a)
		}
		examples = append(examples, packExample(start, a, b))
		start += a + b
	}
	return examples
}

// take uses up to room tokens, across sentences, and returns how many there were.
func (c *cutter) take(room int) int {
	taken := 0
	for taken < room && len(c.rest) > 0 {
		n := min(room-taken, int(c.rest[0])-c.done)
		c.advance(n)
		taken += n
	}
	return taken
}

// first takes segment A of a two-segment example: whole sentences, where they leave B room.
func (c *cutter) first(target int) int {
	half, taken := (target-3)/2, 0
	for len(c.rest) > 0 {
		next := int(c.rest[0]) - c.done
		fits := taken == 0 || taken+next < half || (taken < half && c.random.chance(extraSentenceIn))
		if !fits {
			break
		}
		if taken+next >= target-3 { // B would have no token
			return taken + c.take(half-taken)
		}
		c.advance(next)
		taken += next
	}
	return taken
}

// advance uses n tokens of the current sentence.
func (c *cutter) advance(n int) {
	if c.done += n; c.done == int(c.rest[0]) {
		c.rest, c.done = c.rest[1:], 0
	}
}

// tokensAJob is about how many tokens one piece of work of cutAll has.
const tokensAJob = 1 << 20

// cutAll cuts all documents into examples, on workers goroutines, and yields them in the order of the text; of the
// examples, only the pieces that are being made are in memory. The draws of a document depend on the seed and its
// number only, so the result is the same whatever the number of workers. An error comes last.
func cutAll(ctx context.Context, from source, o BatchOptions, workers int) iter.Seq2[[]example, error] {
	return func(yield func([]example, error) bool) {
		if from.NumTokens() > maxStart {
			yield(nil, fault.New(fault.Data, "dataset: %d tokens in one split are more than an index can number (%d); split the corpus", from.NumTokens(), int64(maxStart)))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		pieces := make(chan chan []example, workers-1) // and one more that is waited for
		group.Go(func() {
			defer close(pieces)
			for end := 0; end < from.NumDocuments(); {
				first, piece := end, make(chan []example, 1)
				end = jobEnd(from, first)
				if !send(ctx, pieces, piece) {
					return
				}
				last := end // end goes on
				group.Go(func() { piece <- cutRange(from, o, first, last) })
			}
		})
		for piece := range pieces {
			if !yield(<-piece, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// jobEnd is the end of a piece of work that begins at document first: at least one document.
func jobEnd(from source, first int) int {
	enough := from.Document(first).Start + tokensAJob
	return first + 1 + sort.Search(from.NumDocuments()-first-1, func(i int) bool { return from.Document(first+1+i).Start >= enough })
}

// cutRange cuts the documents [first, end).
func cutRange(from source, o BatchOptions, first, end int) []example {
	var examples []example
	var lengths []int32
	for i := first; i < end; i++ {
		lengths = from.AppendSentenceLengths(lengths[:0], i)
		if e, ok := asItStands(from.Document(i).Start, lengths, o); ok {
			examples = append(examples, e)
			continue
		}
		c := cutter{
			seqLen: o.SeqLen, oneSegment: o.OneSegment,
			random: drawsOf(o.Seed, 0, siteSegments, uint64(i)), rest: lengths,
		}
		examples = c.cut(examples, from.Document(i).Start)
	}
	return examples
}

// asItStands makes an example of a document that is one already. One that is too long for the sequence length, or
// has another number of segments than it may, is to be cut as text is.
func asItStands(start int, lengths []int32, o BatchOptions) (example, bool) {
	if !o.examples || o.OneSegment || len(lengths) == 0 || len(lengths) > 2 {
		return 0, false
	}
	b := 0
	if len(lengths) == 2 {
		b = int(lengths[1])
	}
	e := packExample(start, int(lengths[0]), b)
	return e, int(lengths[0]) <= lenMask && b <= lenMask && e.length() <= o.SeqLen
}
