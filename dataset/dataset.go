// Package dataset turns text into batches: text files are tokenised once into token shards, an example
// index says which ranges of tokens form the segments of each example, and a batch is a pure function of
// (seed, step). Nothing here knows about models or devices: a batch is integers in plain slices.
//
// The way of the data, a file each:
//
//	vocabulary.go  text -> a trained vocabulary
//	document.go  documents in tokens; pipeline.go makes them, in parallel and in order
//	build.go     tokens -> token shards: deduplicated, described by manifest.go and report.go
//	heldout.go   which documents are held out
//	hashset.go, nearduplicate.go  which documents and sentences came before
//	records.go   pre-training examples of the official code -> tokens
//	index.go     shards -> examples of one or two segments for a sequence length, kept by index_cache.go
//	order.go     (seed, epoch) -> a permutation of the examples
//	mixture.go   several corpora in one order, with weights
//	mask.go      (seed, step, row) -> the positions that the generator must fill in
//	batch.go     (seed, step) -> Batch
//	loader.go    batches ahead of time, in order
//	open.go      Prepare: all of it in one call, reusing what an earlier run has built
//	folder.go    folders that appear whole; remote.go: shards and vocabularies in buckets
//	command.go   the data commands; inspect.go shows examples as text, export.go writes them as TFRecord files
package dataset

import (
	"slices"
	"sort"

	"elektron/internal/fault"
)

// Bounds of a sequence length. 512 is the size of BERT's position table; below 8 an example has no room
// for two segments of text.
const (
	MinSeqLen = 8
	MaxSeqLen = 512
)

// BatchOptions says what a batch looks like. Together with the shards it decides every batch.
type BatchOptions struct {
	SeqLen     int     // S: tokens in a row, special tokens and padding included; 8 to 512
	BatchSize  int     // B: rows of the global batch, whatever the number of devices and hosts
	Seed       int64   // order, segments and masks follow from it
	MaskProb   float64 // share of an example's tokens that is masked, 0.15 in the paper
	WholeWord  bool    // mask all the pieces of a word together
	OneSegment bool    // never a second segment (an ablation; the default is two in 90 % of the examples)

	examples bool // documents are examples as they stand, of one or two sentences, where they fit in SeqLen
}

// validate checks the options against the bounds of this package.
func (o BatchOptions) validate() error {
	switch {
	case o.SeqLen < MinSeqLen || o.SeqLen > MaxSeqLen:
		return fault.New(fault.Usage, "dataset: sequence length %d is outside %d to %d; choose one inside, for example 128", o.SeqLen, MinSeqLen, MaxSeqLen)
	case o.BatchSize < 1:
		return fault.New(fault.Usage, "dataset: batch size %d is not positive; choose at least 1", o.BatchSize)
	case !(o.MaskProb > 0 && o.MaskProb < 1): // also refuses NaN
		return fault.New(fault.Usage, "dataset: mask probability %v is not between 0 and 1; the paper uses 0.15 (0.25 for large)", o.MaskProb)
	}
	return nil
}

// specialIDs are the vocabulary's ids that have a meaning of their own.
type specialIDs struct{ pad, cls, sep, mask int32 }

// has tells whether id must never be masked. [UNK] may be, as in the official code.
func (s specialIDs) has(id int32) bool {
	return id == s.cls || id == s.sep || id == s.mask || id == s.pad
}

// Dataset gives the batches of one split (train or held-out). It is safe for concurrent use.
type Dataset struct {
	options      BatchOptions
	parts        []part
	mix          mixture // empty: the parts are one corpus
	special      specialIDs
	continuation []bool // by id: a "##" piece, which belongs to the word before it; nil without WholeWord
	masked       int    // K
	maxMasked    int    // N
}

// newDataset joins tokens with their indexes, and options. Where there is no example there is no dataset.
func newDataset(parts []part, special specialIDs, continuation []bool, o BatchOptions) (*Dataset, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	d := &Dataset{
		options: o, parts: parts, special: special, continuation: continuation,
		maxMasked: MaxPredictions(o.SeqLen, o.MaskProb), masked: MaskedSlots(o.SeqLen, o.MaskProb),
	}
	var weights []float64
	for i := range parts {
		if len(parts[i].examples) == 0 {
			return nil, fault.New(fault.Data, "dataset: the text gives no example at all; add more text")
		}
		if i > 0 {
			parts[i].first = parts[i-1].first + int64(len(parts[i-1].examples))
		}
		weights = append(weights, parts[i].weight)
	}
	if slices.Max(weights) == 0 {
		return d, nil
	}
	var err error
	d.mix, err = mixtureOf(weights)
	return d, err
}

// Options returns what the dataset was made with.
func (d *Dataset) Options() BatchOptions { return d.options }

// Examples is the number of different examples: in one epoch, where the dataset is not a mixture.
func (d *Dataset) Examples() int64 {
	last := &d.parts[len(d.parts)-1]
	return last.first + int64(len(last.examples))
}

// example gives the example of a number and the part that it belongs to.
func (d *Dataset) example(number int64) (*part, example) {
	i := sort.Search(len(d.parts)-1, func(i int) bool { return d.parts[i+1].first > number })
	return &d.parts[i], d.parts[i].examples[number-d.parts[i].first]
}

// Tokens is the number of text tokens of all examples: every token of the shards once, special tokens and
// padding not counted.
func (d *Dataset) Tokens() (n int64) {
	for i := range d.parts {
		n += int64(d.parts[i].tokens.NumTokens())
	}
	return n
}

// Masked is K, the number of masked slots a row: a multiple of 8.
func (d *Dataset) Masked() int { return d.masked }

// Epoch is the number of the epoch in which step begins, from 0. In a mixture it counts as many rows as there are
// examples.
func (d *Dataset) Epoch(step int64) int64 { return step * int64(d.options.BatchSize) / d.Examples() }
