package dataset

import (
	"context"
	"runtime"
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

// documentsAJob is how many documents one piece of work of buildIndex has.
const documentsAJob = 1024

// buildIndex cuts all documents into examples, on all cores. The draws of a document depend on the seed
// and its number only, so the result is the same whatever the number of workers.
func buildIndex(ctx context.Context, from source, o BatchOptions, workers int) ([]example, error) {
	if from.NumTokens() > maxStart {
		return nil, fault.New(fault.Data, "dataset: %d tokens in one split are more than an index can number (%d); split the corpus", from.NumTokens(), int64(maxStart))
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	parts := make([][]example, (from.NumDocuments()+documentsAJob-1)/documentsAJob)
	jobs := make(chan int)
	var group sync.WaitGroup
	for range min(workers, len(parts)) {
		group.Go(func() {
			for part := range jobs {
				parts[part] = cutRange(from, o, part*documentsAJob, min((part+1)*documentsAJob, from.NumDocuments()))
			}
		})
	}
	for part := range parts {
		if ctx.Err() != nil {
			break
		}
		jobs <- part
	}
	close(jobs)
	group.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return concat(parts), nil
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

func concat(parts [][]example) []example {
	n := 0
	for _, part := range parts {
		n += len(part)
	}
	all := make([]example, 0, n)
	for i, part := range parts {
		all = append(all, part...)
		parts[i] = nil
	}
	return all
}
