package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"elektron/dataset/wordpiece"
	"elektron/internal/fault"

	"github.com/google/renameio/v2"
)

// What a folder of built shards holds.
const (
	manifestFile   = "manifest.json"
	vocabularyFile = "vocab.txt"
	trainFolder    = "train"
	validFolder    = "valid"
)

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

// UnknownRate is the share of [UNK] among the tokens.
func (r Report) UnknownRate() float64 { return float64(r.UnknownTokens) / float64(max(1, r.Tokens)) }

// String is the report in one sentence.
func (r Report) String() string {
	return fmt.Sprintf("%d files, %.1f MB of text, %d documents, %d sentences, %d tokens (%.2f %% unknown); dropped: %d duplicate and %d near-duplicate documents, %d duplicate and %d empty sentences",
		r.Files, float64(r.Bytes)/1e6, r.Documents, r.Sentences, r.Tokens, 100*r.UnknownRate(), r.DuplicateDocuments, r.NearDuplicateDocuments, r.DuplicateSentences, r.EmptySentences)
}

// IsBuilt tells whether a path is a folder that Build has made.
func IsBuilt(path string) bool {
	_, err := os.Stat(filepath.Join(path, manifestFile))
	return err == nil
}

// ReadManifest reads the manifest of a folder of shards.
func ReadManifest(folder string) (*Manifest, error) {
	path := filepath.Join(folder, manifestFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Data, "dataset: %s: no %s in it, so it is no folder of shards; build one with 'data build --out %s'", folder, manifestFile, folder)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "dataset: manifest cannot be read")
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

// write puts the manifest into folder.
func (m *Manifest) write(folder string) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Internal, err, "dataset: manifest")
	}
	return fault.Wrap(fault.Storage, renameio.WriteFile(filepath.Join(folder, manifestFile), append(data, '\n'), 0o644), "dataset: writing the manifest")
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
