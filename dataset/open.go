package dataset

import (
	"context"
)

// Options says where text comes from and what batches to make of it.
type Options struct {
	Data           []string // text files, globs, folders, or one folder of shards; empty: the doc comments of the local Go installation
	Vocabulary     string   // vocabulary file; empty: that of the shards, or one trained on the text
	VocabularySize int      // of a trained vocabulary; 0 means DefaultVocabularySize
	CacheDir       string   // where a trained vocabulary, shards and indexes are kept from run to run
	Workers        int      // goroutines that tokenise; 0 means one a core
	BatchOptions
}

// DefaultVocabularySize is what Prepare trains when no vocabulary and no size is given.
const DefaultVocabularySize = 4096

// Prepared is what training needs of the data.
type Prepared struct {
	Train      *Dataset
	Valid      *Dataset // held-out documents; does not depend on Seed, so that validation losses of several seeds compare
	Vocabulary any
	Folder     string // of the shards
	Report     Report // what the shards were built from
}

// Prepare makes datasets of text: it trains a vocabulary where none is given, tokenises the text into
// shards, builds the example index, and keeps all of it in CacheDir, so that a second call with the same
// files and options reads it back. progress gets a line now and then; nil means silence. Close the result.
func Prepare(ctx context.Context, o Options, progress func(string)) (*Prepared, error) {
	panic("not yet")
}

// Close releases the shards. The datasets must not be used afterwards.
func (p *Prepared) Close() error { return nil }
