package main

import (
	"cmp"
	"context"
	"math/bits"
	"slices"

	"elektron/dataset"
	"elektron/dataset/shard"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
)

func init() {
	register.Combiner1[tally](&addTallies{})
	register.Function2x1(ticket)
	register.Combiner3[dataset.HeldOut, dataset.Ticket, division](&holdOut{})
	register.DoFn4x0[uint64, dataset.Kept, division, func(int, dataset.Kept)](&place{})
	register.DoFn4x1[context.Context, int, func(*dataset.Kept) bool, func(written), error](&write{})
	register.DoFn5x1[context.Context, []byte, []byte, tally, func(*written) bool, error](&finish{})
	register.Emitter2[int, dataset.Kept]()
	register.Emitter1[written]()
	register.Iter1[dataset.Kept]()
	register.Iter1[written]()
}

// addTallies sums counts.
type addTallies struct{}

// MergeAccumulators adds two counts.
func (*addTallies) MergeAccumulators(a, b tally) tally {
	a.Report.Add(b.Report)
	a.Counts.Add(b.Counts)
	return a
}

// ticket is a document's part in the choice of those that are held out.
func ticket(_ uint64, k dataset.Kept) dataset.Ticket {
	return dataset.Ticket{Draw: k.Draw(), Tokens: k.Tokens()}
}

// division says where documents go.
type division struct {
	Rule   dataset.Rule
	Tokens int64 // of all documents
}

// holdOut makes the division of the tickets of all documents.
type holdOut struct{ Share float64 }

// CreateAccumulator begins a choice.
func (h *holdOut) CreateAccumulator() dataset.HeldOut { return *dataset.NewHeldOut(h.Share) }

// AddInput takes a document.
func (*holdOut) AddInput(held dataset.HeldOut, t dataset.Ticket) dataset.HeldOut {
	held.Add(t)
	return held
}

// MergeAccumulators takes the documents of another choice.
func (*holdOut) MergeAccumulators(held, other dataset.HeldOut) dataset.HeldOut {
	held.Merge(&other)
	return held
}

// ExtractOutput ends the choice.
func (*holdOut) ExtractOutput(held dataset.HeldOut) division {
	return division{held.Rule(), held.Tokens}
}

// validShard is the key of the held-out documents; those of training have the number of their shard.
const validShard = -1

// place gives each document its shard: an equal part of all hashes each.
type place struct{ ShardTokens int }

// ProcessElement gets one document.
func (p *place) ProcessElement(hash uint64, k dataset.Kept, by division, emit func(int, dataset.Kept)) {
	train, valid := by.Rule.Split(k)
	if len(valid) > 0 {
		emit(validShard, dataset.Kept{Hash: hash, Sentences: valid})
	}
	if len(train) > 0 {
		shards := (by.Tokens + int64(p.ShardTokens) - 1) / int64(p.ShardTokens)
		number, _ := bits.Mul64(hash, uint64(shards))
		emit(int(number), dataset.Kept{Hash: hash, Sentences: train})
	}
}

// write writes a shard. Its documents are in memory, to be sorted.
type write struct{ Settings settings }

// ProcessElement gets all documents of one shard.
func (w *write) ProcessElement(ctx context.Context, number int, documents func(*dataset.Kept) bool, emit func(written)) error {
	result := written{Split: dataset.Split{Shards: 1}}
	path := dataset.ShardPath(w.Settings.Folder, dataset.TrainFolder, number)
	if result.Valid = number == validShard; result.Valid {
		path = dataset.ShardPath(w.Settings.Folder, dataset.ValidFolder, 0)
	}
	var all []dataset.Kept
	for k := (dataset.Kept{}); documents(&k); k = (dataset.Kept{}) {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b dataset.Kept) int { return cmp.Compare(a.Hash, b.Hash) })
	out, err := shard.Create(ctx, path, w.Settings.Shard)
	if err != nil {
		return failed(err)
	}
	defer out.Abort()
	for _, k := range all {
		if err := out.WriteDocument(k.Sentences); err != nil {
			return failed(err)
		}
		result.Split.Documents++
		result.Split.Sentences += int64(len(k.Sentences))
		result.Split.Tokens += int64(k.Tokens())
	}
	if err := out.Close(); err != nil {
		return failed(err)
	}
	emit(result)
	return nil
}

// finish writes what makes shards a folder of shards, the manifest last.
type finish struct{ Settings settings }

// ProcessElement gets the vocabulary, the counts and what was written.
func (f *finish) ProcessElement(ctx context.Context, _, vocabulary []byte, t tally, shards func(*written) bool) error {
	o, err := f.Settings.options(vocabulary)
	if err != nil {
		return failed(err)
	}
	if err := t.Report.Enough(); err != nil {
		return failed(err)
	}
	var train, valid dataset.Split
	for s := (written{}); shards(&s); {
		sum := &train
		if s.Valid {
			sum = &valid
		}
		sum.Shards += s.Split.Shards
		sum.Documents += s.Split.Documents
		sum.Sentences += s.Split.Sentences
		sum.Tokens += s.Split.Tokens
	}
	t.Report.AddCounts(t.Counts)
	m := dataset.NewManifest(o, f.Settings.Examples, train, valid, t.Report)
	return failed(m.Write(ctx, f.Settings.Folder, o.Vocabulary))
}
