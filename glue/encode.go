package glue

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
)

// Encoded are a split's examples as token ids: [CLS] A [SEP] or [CLS] A [SEP] B [SEP] each, one after the other.
type Encoded struct {
	task     *Task
	examples []Example
	special  struct{ pad, class, sep int32 }

	ids    []int32
	starts []int      // [N+1] where the rows begin in ids
	second []int32    // [N] where segment 1 begins in the row; the row's length for single texts
	spans  [][2]int32 // [N] of SQuAD's training windows: where in the row the answer begins and ends; else nil

	Truncated int // examples that were longer than the limit
	Unknown   int // [UNK] among the ids
}

// encodeChunk is how many examples a worker encodes at once.
const encodeChunk = 512

// shortest is the least limit of the length at which each text of a pair keeps a token.
const shortest = 5

// Encode encodes examples in at most maxLength ids each. Longer pairs are cut at the end of the longer text first,
// and counted. The work is spread over all cores; the result does not depend on how many there are.
func Encode(ctx context.Context, t *Task, examples []Example, tokenizer *wordpiece.Tokenizer, maxLength int) (*Encoded, error) {
	if maxLength < shortest {
		return nil, fault.New(fault.Usage, "glue: a maximal length of %d tokens; want at least %d, which leave a token of each text of a pair", maxLength, shortest)
	}
	chunks := make([]*Encoded, (len(examples)+encodeChunk-1)/encodeChunk)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(chunks)) {
		worker := tokenizer.Clone()
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(chunks) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				part := examples[i*encodeChunk : min((i+1)*encodeChunk, len(examples))]
				chunks[i] = encodePart(t.Pair(), part, worker, maxLength)
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all := &Encoded{task: t, examples: examples, starts: []int{0}}
	v := tokenizer.Vocabulary()
	all.special.pad, all.special.class, all.special.sep = v.PadID(), v.ClassID(), v.SepID()
	for _, chunk := range chunks {
		all.append(chunk)
	}
	return all, nil
}

// encodePart encodes some examples on one core.
func encodePart(pair bool, examples []Example, tokenizer *wordpiece.Tokenizer, maxLength int) *Encoded {
	e := &Encoded{starts: []int{0}}
	unknown := tokenizer.Vocabulary().UnknownID()
	for _, x := range examples {
		ids, segmentIDs := encodeExample(pair, x, tokenizer, 0)
		if len(ids) > maxLength {
			e.Truncated++
			ids, segmentIDs = encodeExample(pair, x, tokenizer, maxLength)
		}
		second := 0
		for second < len(segmentIDs) && segmentIDs[second] == 0 {
			second++
		}
		for _, id := range ids {
			if id == unknown {
				e.Unknown++
			}
		}
		e.ids = append(e.ids, ids...)
		e.starts = append(e.starts, len(e.ids))
		e.second = append(e.second, int32(second))
	}
	return e
}

func encodeExample(pair bool, x Example, tokenizer *wordpiece.Tokenizer, maxLength int) (ids, segmentIDs []int32) {
	if pair {
		return tokenizer.EncodePair(x.A, x.B, maxLength)
	}
	return tokenizer.EncodeSingle(x.A, maxLength)
}

// append adds the rows of o.
func (e *Encoded) append(o *Encoded) {
	offset := len(e.ids)
	e.ids = append(e.ids, o.ids...)
	for _, start := range o.starts[1:] {
		e.starts = append(e.starts, offset+start)
	}
	e.second = append(e.second, o.second...)
	e.Truncated += o.Truncated
	e.Unknown += o.Unknown
}

// Len is the number of examples.
func (e *Encoded) Len() int { return len(e.second) }

// Tokens is the number of ids of all examples.
func (e *Encoded) Tokens() int { return len(e.ids) }

// Examples are the examples that were encoded, in the order of the rows.
func (e *Encoded) Examples() []Example { return e.examples }

// Length is the number of ids of example i.
func (e *Encoded) Length(i int) int { return e.starts[i+1] - e.starts[i] }

// row gives the ids of example i and where segment 1 begins.
func (e *Encoded) row(i int) (ids []int32, second int) {
	return e.ids[e.starts[i]:e.starts[i+1]], int(e.second[i])
}
