package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"elektron/dataset/corpus"
	"elektron/dataset/shard"
	"elektron/dataset/wordpiece"
	"elektron/internal/blob"
	"elektron/internal/fault"
)

// What a folder of built shards holds.
const (
	manifestFile   = "manifest.json"
	vocabularyFile = "vocab.txt"
)

// The splits: folders of the shards in a folder of built shards.
const (
	TrainFolder = "train"
	ValidFolder = "valid"
)

// ShardPath names a shard of a split, by its number from 0, in a folder of built shards, here or in a bucket.
func ShardPath(folder, split string, number int) string {
	return fmt.Sprintf("%s/%s/%05d%s", folder, split, number, shard.Extension)
}

// manifestFormat is the version of the folder's layout. Another one is not read.
const manifestFormat = 1

// Manifest describes a folder of shards. It is the last file that a build writes.
type Manifest struct {
	Format         int               `json:"format"`
	Source         string            `json:"source,omitempty"` // fingerprint of the files, where the shards are a cache of them
	VocabularyHash string            `json:"vocabulary_hash"`
	VocabularySize int               `json:"vocabulary_size"`
	Text           wordpiece.Options `json:"text"`               // how text was normalised
	Examples       bool              `json:"examples,omitempty"` // each document is an example whose segments are its sentences
	ValidShare     float64           `json:"valid_share"`
	Train          Split             `json:"train"`
	Valid          Split             `json:"valid"`
	Report         Report            `json:"report"`
}

// Split counts what the shards of one split hold.
type Split struct {
	Shards    int   `json:"shards"`
	Documents int64 `json:"documents"`
	Sentences int64 `json:"sentences"`
	Tokens    int64 `json:"tokens"`
}

// Report counts what a build read and what it left out.
type Report struct {
	Files                  int64    `json:"files"`
	Bytes                  int64    `json:"bytes"` // of text, decompressed
	Documents              int64    `json:"documents"`
	Sentences              int64    `json:"sentences"`
	Tokens                 int64    `json:"tokens"`         // kept
	UnknownTokens          int64    `json:"unknown_tokens"` // [UNK] among them
	DuplicateDocuments     int64    `json:"duplicate_documents"`
	NearDuplicateDocuments int64    `json:"near_duplicate_documents"` // where the search for them was asked for
	DuplicateSentences     int64    `json:"duplicate_sentences"`      // of at least MinDuplicateBytes, in documents that are no duplicates
	EmptySentences         int64    `json:"empty_sentences"`          // without a token
	EmptyDocuments         int64    `json:"empty_documents"`          // of which nothing is left
	InvalidBytes           int64    `json:"invalid_bytes"`            // not UTF-8, each replaced by U+FFFD
	DocumentLengths        Lengths  `json:"document_lengths"`         // of what is kept, in tokens
	SentenceLengths        Lengths  `json:"sentence_lengths"`
	Warnings               []string `json:"warnings,omitempty"`
}

// Add adds the counts of o, of other documents, to r.
func (r *Report) Add(o Report) {
	r.Files += o.Files
	r.Bytes += o.Bytes
	r.Documents += o.Documents
	r.Sentences += o.Sentences
	r.Tokens += o.Tokens
	r.UnknownTokens += o.UnknownTokens
	r.DuplicateDocuments += o.DuplicateDocuments
	r.NearDuplicateDocuments += o.NearDuplicateDocuments
	r.DuplicateSentences += o.DuplicateSentences
	r.EmptySentences += o.EmptySentences
	r.EmptyDocuments += o.EmptyDocuments
	r.InvalidBytes += o.InvalidBytes
	r.DocumentLengths.merge(o.DocumentLengths)
	r.SentenceLengths.merge(o.SentenceLengths)
	r.Warnings = append(r.Warnings, o.Warnings...)
}

// AddCounts adds what reading the text has counted and no document shows.
func (r *Report) AddCounts(c corpus.Counts) {
	r.Files += c.Files
	r.Bytes += c.TextBytes
	r.InvalidBytes += c.InvalidBytes
	r.Warnings = append(r.Warnings, c.Warnings()...)
}

// Enough is the fault.Data error of a corpus of which not even one example can be made.
func (r Report) Enough() error {
	if r.Tokens >= 2 {
		return nil
	}
	return fault.New(fault.Data, "dataset: the text has %d tokens after normalisation and without duplicates, too few for one example; add more text", r.Tokens)
}

// UnknownRate is the share of [UNK] among the tokens.
func (r Report) UnknownRate() float64 { return float64(r.UnknownTokens) / float64(max(1, r.Tokens)) }

// String is the report in one sentence.
func (r Report) String() string {
	return fmt.Sprintf("%d files, %.1f MB of text, %d documents, %d sentences, %d tokens (%.2f %% unknown); dropped: %d duplicate and %d near-duplicate documents, %d duplicate and %d empty sentences",
		r.Files, float64(r.Bytes)/1e6, r.Documents, r.Sentences, r.Tokens, 100*r.UnknownRate(), r.DuplicateDocuments, r.NearDuplicateDocuments, r.DuplicateSentences, r.EmptySentences)
}

// Describe writes what a build made, for people.
func (m *Manifest) Describe(w io.Writer, folder string) error {
	_, err := fmt.Fprintf(w, "%s: %v\n", folder, m.Report)
	for _, warning := range m.Report.Warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
	for _, split := range []struct {
		name string
		Split
	}{{TrainFolder, m.Train}, {ValidFolder, m.Valid}} {
		fmt.Fprintf(w, "%s/%s: %d shards, %d documents, %d sentences, %d tokens\n", folder, split.name, split.Shards, split.Documents, split.Sentences, split.Tokens)
	}
	return err
}

// IsBuilt tells whether a path is a folder that Build has made.
func IsBuilt(path string) bool {
	_, err := os.Stat(filepath.Join(path, manifestFile))
	return err == nil
}

// ReadManifest reads the manifest of a folder of shards, here or in a bucket.
func ReadManifest(ctx context.Context, folder string) (*Manifest, error) {
	path := folder + "/" + manifestFile
	data, err := blob.ReadFile(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Data, "dataset: %s: no %s in it, so it is no folder of shards; build one with 'data build --out %s'", folder, manifestFile, folder)
	}
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fault.New(fault.Data, "dataset: %s: damaged (%w); build the shards again", path, err)
	}
	if m.Format != manifestFormat {
		return nil, fault.New(fault.Data, "dataset: %s: format %d, this program reads %d; build the shards again", path, m.Format, manifestFormat)
	}
	return &m, nil
}

// NewManifest describes shards that were built with these options. examples tells that their documents are finished
// pre-training examples.
func NewManifest(o BuildOptions, examples bool, train, valid Split, report Report) *Manifest {
	return &Manifest{
		Format: manifestFormat, Source: o.Source, Text: o.text(), Examples: examples, ValidShare: o.ValidShare,
		VocabularyHash: o.Vocabulary.Hash(), VocabularySize: o.Vocabulary.Size(), Train: train, Valid: valid, Report: report,
	}
}

// Write writes what a folder of shards, here or in a bucket, holds beside them: the vocabulary, the report for people and,
// last, the manifest.
func (m *Manifest) Write(ctx context.Context, folder string, v *wordpiece.Vocabulary) error {
	if blob.IsRemote(folder) {
		temporary, err := os.MkdirTemp("", "elektron-manifest-")
		if err != nil {
			return fault.Wrap(fault.Storage, err, "dataset: no place for the manifest")
		}
		defer os.RemoveAll(temporary) // copied by then
		if err := m.Write(ctx, temporary, v); err != nil {
			return err
		}
		return upload(ctx, folder, temporary)
	}
	if err := v.Save(filepath.Join(folder, vocabularyFile)); err != nil {
		return err
	}
	if err := m.writeReport(folder); err != nil {
		return err
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Internal, err, "dataset: manifest")
	}
	return blob.WriteFile(filepath.Join(folder, manifestFile), append(data, '\n'))
}

// vocabulary loads the copy of the vocabulary that lies beside the shards.
func (m *Manifest) vocabulary(folder string) (*wordpiece.Vocabulary, error) {
	v, err := wordpiece.Load(filepath.Join(folder, vocabularyFile))
	if err != nil {
		return nil, err
	}
	return v, m.checkVocabulary(folder, v)
}

// checkVocabulary refuses a vocabulary that the shards were not built with.
func (m *Manifest) checkVocabulary(folder string, v *wordpiece.Vocabulary) error {
	if v.Hash() != m.VocabularyHash {
		return fault.New(fault.Data, "dataset: %s: built with another vocabulary (%d tokens, hash %.12s) than the one given (%d tokens, hash %.12s); give that one, or build the shards again",
			folder, m.VocabularySize, m.VocabularyHash, v.Size(), v.Hash())
	}
	return nil
}
