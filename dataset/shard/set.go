package shard

import (
	"context"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"elektron/internal/fault"
)

// Set is all shards of a folder under one numbering: documents, sentences and tokens count from 0 in the
// order of the files' names. Its methods may be called from many goroutines, Close last.
type Set struct {
	shards  []*Reader
	origins []origin // of each shard; the last one is the end
}

// origin holds the numbers of a shard's first document, sentence and token within its set.
type origin struct{ document, sentence, token int }

// OpenSet opens every *.shard file of a folder, in name order. All must be sound and of one vocabulary.
// Their tokens are checked block by block when first touched.
func OpenSet(folder string) (*Set, error) {
	set, _, err := openSet(folder, Open, func(error) bool { return false })
	return set, err
}

// OpenSetSkippingBad is OpenSet, but it checks every block at once and leaves out the shards that are
// damaged, with one error for each. Not one sound shard, or shards of several vocabularies, are an error.
func OpenSetSkippingBad(ctx context.Context, folder string) (set *Set, skipped []error, err error) {
	open := func(path string) (*Reader, error) {
		r, err := Open(path)
		if err == nil {
			if err = r.Verify(ctx); err != nil {
				r.Close() // the reason to leave the shard out is err
			}
		}
		return r, err
	}
	damaged := func(err error) bool { return ctx.Err() == nil && fault.KindOf(err) == fault.Data }
	return openSet(folder, open, damaged)
}

func openSet(folder string, open func(string) (*Reader, error), skip func(error) bool) (*Set, []error, error) {
	paths, err := Paths(folder)
	if err != nil {
		return nil, nil, err
	}
	if len(paths) == 0 {
		return nil, nil, fault.New(fault.Data, "shard: %s: no *%s file in it; build shards with 'data build --out %s'", folder, Extension, folder)
	}
	set := &Set{origins: []origin{{}}}
	var skipped []error
	for _, path := range paths {
		r, err := open(path)
		if err == nil {
			err = set.add(r)
		} else if skip(err) {
			skipped = append(skipped, err)
			continue
		}
		if err != nil {
			set.Close()
			return nil, nil, err
		}
	}
	if len(set.shards) == 0 {
		return nil, nil, fault.Wrap(fault.Data, skipped[0], "shard: %s: all %d shards are damaged, the first one", folder, len(skipped))
	}
	return set, skipped, nil
}

// Paths gives the shard files of a folder in name order; none is no error.
func Paths(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "shard: folder cannot be read")
	}
	var paths []string
	for _, e := range entries { // ReadDir sorts by name
		if strings.HasSuffix(e.Name(), Extension) && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			paths = append(paths, filepath.Join(folder, e.Name()))
		}
	}
	return paths, nil
}

// add appends a shard, which the set now owns whatever happens.
func (s *Set) add(r *Reader) error {
	end := s.origins[len(s.shards)]
	s.shards = append(s.shards, r)
	s.origins = append(s.origins, origin{end.document + r.NumDocuments(), end.sentence + r.NumSentences(), end.token + r.NumTokens()})
	if first := s.shards[0]; r.config != first.config {
		return fault.New(fault.Data, "shard: %s: vocabulary %.12s… of %d tokens, but %s has %.12s… of %d; keep shards of different vocabularies in different folders",
			r.path, r.VocabularyHash(), r.VocabularySize(), first.path, first.VocabularyHash(), first.VocabularySize())
	}
	return nil
}

// Close closes every shard. No other method may run then or later.
func (s *Set) Close() error {
	var first error
	for _, r := range s.shards {
		if err := r.Close(); first == nil {
			first = err
		}
	}
	return first
}

// Shards are the readers of the set, in order.
func (s *Set) Shards() []*Reader { return s.shards }

// VocabularyHash is the SHA-256 of the one vocabulary's token list, 64 hex digits.
func (s *Set) VocabularyHash() string { return s.shards[0].VocabularyHash() }

// VocabularySize is the number of tokens of the vocabulary.
func (s *Set) VocabularySize() int { return s.shards[0].VocabularySize() }

// NumDocuments is the number of documents of all shards.
func (s *Set) NumDocuments() int { return s.origins[len(s.shards)].document }

// NumSentences is the number of sentences of all shards.
func (s *Set) NumSentences() int { return s.origins[len(s.shards)].sentence }

// NumTokens is the number of tokens of all shards.
func (s *Set) NumTokens() int { return s.origins[len(s.shards)].token }

// Document gives the extent of document i, 0 <= i < NumDocuments(), in the set's numbering.
func (s *Set) Document(i int) Document {
	k := s.shardOfDocument(i)
	o := s.origins[k]
	d := s.shards[k].Document(i - o.document)
	return Document{
		Start: d.Start + o.token, End: d.End + o.token,
		FirstSentence: d.FirstSentence + o.sentence, EndSentence: d.EndSentence + o.sentence,
	}
}

// AppendSentenceLengths appends the lengths, in tokens, of the sentences of document i to dst.
func (s *Set) AppendSentenceLengths(dst []int32, i int) []int32 {
	k := s.shardOfDocument(i)
	return s.shards[k].AppendSentenceLengths(dst, i-s.origins[k].document)
}

func (s *Set) shardOfDocument(i int) int {
	return sort.Search(len(s.shards)-1, func(k int) bool { return s.origins[k+1].document > i })
}

// AppendTokens appends the n token ids from start on, in the set's numbering, to dst. Errors are those of
// Reader.AppendTokens.
func (s *Set) AppendTokens(dst []int32, start, n int) ([]int32, error) {
	if start < 0 || n < 0 || start > s.NumTokens()-n {
		return dst, fault.New(fault.Internal, "shard: tokens %d to %d asked of %d", start, start+n, s.NumTokens())
	}
	k := sort.Search(len(s.shards)-1, func(k int) bool { return s.origins[k+1].token > start })
	for ; n > 0; k++ {
		part := min(n, s.origins[k+1].token-start)
		var err error
		if dst, err = s.shards[k].AppendTokens(dst, start-s.origins[k].token, part); err != nil {
			return dst, err
		}
		start, n = start+part, n-part
	}
	return dst, nil
}

// Verify checks every block of every shard now. It stops early with ctx's error.
func (s *Set) Verify(ctx context.Context) error {
	for _, r := range s.shards {
		if err := r.Verify(ctx); err != nil {
			return err
		}
	}
	return nil
}
