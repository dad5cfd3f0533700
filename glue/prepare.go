package glue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"

	"elektron/dataset/wordpiece"
)

// prepared is a task's data as batches.
type prepared struct {
	train     *Batches
	dev, test []*heldOut // the main dev split first; test splits of tasks that the model predicts too
	lengths   []int      // of training batches, in tokens
	hash      string     // of what is trained on
	notes     []string   // what a user should know
}

// heldOut is a split that a model predicts.
type heldOut struct {
	*Examples
	encoded *Encoded
	batches *Batches
	hash    string
	spans   *spanSplit // of SQuAD; else nil
}

// key names the split among those of all tasks.
func (h *heldOut) key() string { return h.Task.Name + "/" + h.Split.Name }

// prepare reads, encodes and sorts all that a job needs.
func prepare(ctx context.Context, j *job, tokenizer *wordpiece.Tokenizer) (*prepared, error) {
	if j.task.Spans != 0 {
		return prepareSpans(ctx, j, tokenizer)
	}
	p := &prepared{}
	f := &j.recipe
	train, err := j.source.Read(ctx, j.source.Splits(Train)[0])
	if err != nil {
		return nil, err
	}
	list := someRows(train.List, f.TrainRows)
	p.hash = hashOf(list)
	if f.DoubleUnordered {
		list = DoubleUnordered(list)
	}
	encoded, err := p.encode(ctx, train, list, tokenizer, f.MaxSeqLen)
	if err != nil {
		return nil, err
	}
	for _, source := range append([]*Source{j.source}, j.also...) {
		for _, split := range append(source.Splits(Dev), source.Splits(Test)...) {
			if err := p.hold(ctx, source, split, tokenizer, f.MaxSeqLen); err != nil {
				return nil, err
			}
		}
	}
	return p, p.sort(encoded, f)
}

// hold reads and encodes a split that is to be predicted.
func (p *prepared) hold(ctx context.Context, source *Source, split Split, tokenizer *wordpiece.Tokenizer, maxLength int) error {
	examples, err := source.Read(ctx, split)
	if err != nil {
		return err
	}
	held := &heldOut{Examples: examples, hash: hashOf(examples.List)}
	if held.encoded, err = p.encode(ctx, examples, examples.List, tokenizer, maxLength); err != nil {
		return err
	}
	if split.Role == Dev {
		p.dev = append(p.dev, held)
	} else {
		p.test = append(p.test, held)
	}
	return nil
}

// sort chooses the lengths, by the training data alone, and makes batches.
func (p *prepared) sort(train *Encoded, f *FinetuneConfig) (err error) {
	p.lengths = ChooseLengths(f.MaxSeqLen, f.Shapes, train)
	if p.train, err = NewBatches(train, f.BatchSize, p.lengths); err != nil {
		return err
	}
	for _, held := range slices.Concat(p.dev, p.test) {
		lengths := p.lengths
		if longest := ChooseLengths(f.MaxSeqLen, 1, held.encoded)[0]; longest > lengths[len(lengths)-1] {
			lengths = append(slices.Clone(lengths), longest)
		}
		if held.batches, err = NewBatches(held.encoded, f.BatchSize, lengths); err != nil {
			return err
		}
	}
	return nil
}

// unknownShare of the tokens may be [UNK] before it is worth a word.
const unknownShare = 0.02

// encode encodes examples of a split and notes what was cut and what the vocabulary lacks.
func (p *prepared) encode(ctx context.Context, of *Examples, list []Example, tokenizer *wordpiece.Tokenizer, maxLength int) (*Encoded, error) {
	e, err := Encode(ctx, of.Task, list, tokenizer, maxLength)
	if err != nil {
		return nil, err
	}
	if e.Truncated > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%s: %d of %d examples of %s are longer than %d tokens and were cut", of.Task.Title, e.Truncated, e.Len(), of.Split.Name, maxLength))
	}
	if share := float64(e.Unknown) / float64(e.Tokens()); share > unknownShare {
		p.notes = append(p.notes, fmt.Sprintf("%s: %.1f %% of the tokens of %s are not in the vocabulary; does it fit the language?", of.Task.Title, 100*share, of.Split.Name))
	}
	return e, nil
}

// someRows draws n examples, always the same ones, in their order; 0 takes all.
func someRows[Row any](list []Row, n int) []Row {
	if n == 0 || n >= len(list) {
		return list
	}
	places := rand.New(rand.NewPCG(0, 0)).Perm(len(list))[:n]
	slices.Sort(places)
	some := make([]Row, n)
	for i, place := range places {
		some[i] = list[place]
	}
	return some
}

// hashOf tells examples apart.
func hashOf(list []Example) string {
	h := sha256.New()
	for _, e := range list {
		fmt.Fprintf(h, "%q %q %d %g %d\n", e.A, e.B, e.Label, e.Score, e.Index)
	}
	return hex.EncodeToString(h.Sum(nil))
}
