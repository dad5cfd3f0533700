package dataset

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"elektron/dataset/shard"
	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
)

// validSeed cuts and masks the held-out documents, whatever the seed of the run, so that the validation
// losses of runs with different seeds compare.
const validSeed = 0

// Prepared is what training needs of the data.
type Prepared struct {
	Train      *Dataset
	Valid      *Dataset // held-out documents, mixed as Train is; does not depend on Seed
	Vocabulary *wordpiece.Vocabulary
	Sources    []Source
	Skipped    []error // a reason for each shard that was left out, where Options.SkipBadShards asks for it

	close []func() error // of the shards and indexes
}

// Source is a folder of shards that datasets are made of.
type Source struct {
	Folder   string
	Weight   float64  // in a mixture; relative to the others
	Manifest Manifest // what the shards hold and what they were built from
}

// Tokenizer encodes text as that of the shards was.
func (p *Prepared) Tokenizer() *wordpiece.Tokenizer {
	return wordpiece.New(p.Vocabulary, p.Sources[0].Manifest.Text)
}

// Close releases the shards and indexes. The datasets must not be used afterwards.
func (p *Prepared) Close() error {
	var all []error
	for _, release := range p.close {
		all = append(all, release())
	}
	return errors.Join(all...)
}

// openFolders makes datasets of folders of shards: a mixture where they have weights, else one corpus.
func openFolders(ctx context.Context, sources []Source, o Options, progress func(string)) (*Prepared, error) {
	p := &Prepared{Sources: sources}
	if err := p.open(ctx, o, progress); err != nil {
		p.Close() // nothing was written; err is the reason
		return nil, err
	}
	return p, nil
}

func (p *Prepared) open(ctx context.Context, o Options, progress func(string)) (err error) {
	for i := range p.Sources {
		if err := p.describe(ctx, &p.Sources[i]); err != nil {
			return err
		}
	}
	if o.Vocabulary != "" {
		given, err := LoadVocabulary(ctx, o.Vocabulary)
		if err == nil {
			err = p.Sources[0].Manifest.checkVocabulary(p.Sources[0].Folder, given)
		}
		if err != nil {
			return err
		}
	}
	if p.Train, err = p.dataset(ctx, TrainFolder, o, progress); err != nil {
		return err
	}
	o.Seed = validSeed
	p.Valid, err = p.dataset(ctx, ValidFolder, o, progress)
	return err
}

// describe reads a source's manifest and vocabulary, which must agree with those of the first source.
func (p *Prepared) describe(ctx context.Context, from *Source) error {
	m, err := ReadManifest(ctx, from.Folder)
	if err != nil {
		return err
	}
	from.Manifest = *m
	v, err := m.vocabulary(from.Folder)
	if err != nil {
		return err
	}
	first := &p.Sources[0]
	if p.Vocabulary == nil {
		p.Vocabulary = v
	} else if v.Hash() != p.Vocabulary.Hash() || m.Text != first.Manifest.Text {
		return fault.New(fault.Data, "dataset: %s and %s: built with different vocabularies or normalisations of text; build both with the same --vocab", first.Folder, from.Folder)
	}
	return nil
}

// dataset opens one split of every source.
func (p *Prepared) dataset(ctx context.Context, split string, o Options, progress func(string)) (*Dataset, error) {
	var parts []part
	for i := range p.Sources {
		opened, err := p.part(ctx, &p.Sources[i], split, o, progress)
		if err != nil {
			return nil, err
		}
		parts = append(parts, opened)
	}
	special, continuation := idsOf(p.Vocabulary)
	return newDataset(parts, special, continuation, o.BatchOptions)
}

// part opens one split of a source.
func (p *Prepared) part(ctx context.Context, from *Source, split string, o Options, progress func(string)) (part, error) {
	folder := filepath.Join(from.Folder, split)
	set, err := p.openSet(ctx, folder, o.SkipBadShards, progress)
	if err != nil {
		return part{}, err
	}
	if set.VocabularyHash() != p.Vocabulary.Hash() {
		return part{}, fault.New(fault.Data, "dataset: %s: its shards were built with another vocabulary than %s holds; build them again", folder, filepath.Join(from.Folder, vocabularyFile))
	}
	o.examples = from.Manifest.Examples
	index, err := loadIndex(ctx, set, o.BatchOptions, folder, progress)
	if err != nil {
		return part{}, err
	}
	p.close = append(p.close, index.unmap)
	return part{tokens: set, examples: index.examples, finished: o.examples, weight: from.Weight}, nil
}

// openSet opens the shards of one split, which p then owns.
func (p *Prepared) openSet(ctx context.Context, folder string, skipBad bool, progress func(string)) (set *shard.Set, err error) {
	if !skipBad {
		set, err = shard.OpenSet(folder)
	} else {
		var skipped []error
		set, skipped, err = shard.OpenSetSkippingBad(ctx, folder)
		for _, reason := range skipped {
			progress(fmt.Sprintf("warning: a shard is left out: %v", reason))
		}
		p.Skipped = append(p.Skipped, skipped...)
	}
	if err == nil {
		p.close = append(p.close, set.Close)
	}
	return set, err
}

// idsOf gives what masking must know of a vocabulary.
func idsOf(v *wordpiece.Vocabulary) (specialIDs, []bool) {
	continuation := make([]bool, v.Size())
	for id := range continuation {
		continuation[id] = v.IsContinuation(int32(id))
	}
	return specialIDs{pad: v.PadID(), cls: v.ClassID(), sep: v.SepID(), mask: v.MaskID()}, continuation
}
