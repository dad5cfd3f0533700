package shard

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var (
	narrow = Config{VocabularyHash: strings.Repeat("ab", 32), VocabularySize: 30522}
	wide   = Config{VocabularyHash: strings.Repeat("cd", 32), VocabularySize: 70000}
)

// documents makes n documents of 1 to 4 sentences of 1 to 40 tokens, the same ones each time.
func documents(n, vocabulary int) [][][]int32 {
	state := uint32(1)
	next := func(below int) int {
		state = state*1664525 + 1013904223
		return int(state>>8) % below
	}
	result := make([][][]int32, n)
	for i := range result {
		result[i] = make([][]int32, 1+next(4))
		for j := range result[i] {
			result[i][j] = make([]int32, 1+next(40))
			for k := range result[i][j] {
				result[i][j][k] = int32(next(vocabulary))
			}
		}
	}
	return result
}

func write(t testing.TB, path string, config Config, docs [][][]int32) {
	t.Helper()
	w, err := Create(t.Context(), path, config)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, d := range docs {
		if err := w.WriteDocument(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// source is what Reader and Set have in common.
type source interface {
	NumDocuments() int
	NumSentences() int
	NumTokens() int
	Document(int) Document
	AppendSentenceLengths([]int32, int) []int32
	AppendTokens([]int32, int, int) ([]int32, error)
	Verify(context.Context) error
}

// read gives all documents back as they were written.
func read(t testing.TB, s source) [][][]int32 {
	t.Helper()
	var result [][][]int32
	sentence, token := 0, 0
	for i := range s.NumDocuments() {
		d := s.Document(i)
		if d.Start != token || d.FirstSentence != sentence {
			t.Fatalf("document %d begins at token %d, sentence %d; want %d, %d", i, d.Start, d.FirstSentence, token, sentence)
		}
		var doc [][]int32
		for _, n := range s.AppendSentenceLengths(nil, i) {
			ids, err := s.AppendTokens(nil, token, int(n))
			if err != nil {
				t.Fatal(err)
			}
			doc = append(doc, ids)
			token += int(n)
			sentence++
		}
		if d.End != token || d.EndSentence != sentence {
			t.Fatalf("document %d ends at token %d, sentence %d; want %d, %d", i, d.End, d.EndSentence, token, sentence)
		}
		result = append(result, doc)
	}
	if token != s.NumTokens() || sentence != s.NumSentences() {
		t.Fatalf("%d tokens, %d sentences read; the shard says %d, %d", token, sentence, s.NumTokens(), s.NumSentences())
	}
	return result
}

func TestRoundTrip(t *testing.T) {
	long := [][][]int32{{make([]int32, 3*blockSize+5)}}
	for i := range long[0][0] {
		long[0][0][i] = int32(i % 30522)
	}
	cases := []struct {
		name   string
		config Config
		docs   [][][]int32
	}{
		{"narrow", narrow, documents(500, 30522)},
		{"wide", wide, documents(500, 70000)},
		{"no document", narrow, nil},
		{"one token", narrow, [][][]int32{{{7}}}},
		{"several blocks in a sentence", narrow, long},
		{"largest narrow vocabulary", Config{narrow.VocabularyHash, 1 << 16}, [][][]int32{{{0, 65535}}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a"+Extension)
			write(t, path, c.config, c.docs)
			r, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if got := read(t, r); !reflect.DeepEqual(got, c.docs) {
				t.Error("documents read differ from those written")
			}
			if r.VocabularyHash() != c.config.VocabularyHash || r.VocabularySize() != c.config.VocabularySize {
				t.Errorf("vocabulary %s %d", r.VocabularyHash(), r.VocabularySize())
			}
			if err := r.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
