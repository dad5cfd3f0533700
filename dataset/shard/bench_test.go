package shard

import (
	"path/filepath"
	"testing"
)

const benchTokens = 8 << 20

// benchShard has 8 Mi tokens in documents of 20 sentences of 25 tokens.
func benchShard(b *testing.B) *Reader {
	b.Helper()
	path := filepath.Join(b.TempDir(), "a"+Extension)
	write(b, path, narrow, benchDocuments())
	r, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	return r
}

func benchDocuments() [][][]int32 {
	sentence := make([]int32, 25)
	for i := range sentence {
		sentence[i] = int32(i * 999)
	}
	document := make([][]int32, 20)
	for i := range document {
		document[i] = sentence
	}
	docs := make([][][]int32, benchTokens/500)
	for i := range docs {
		docs[i] = document
	}
	return docs
}

func BenchmarkWrite(b *testing.B) {
	docs := benchDocuments()
	b.SetBytes(2 * benchTokens)
	for b.Loop() {
		write(b, filepath.Join(b.TempDir(), "a"+Extension), narrow, docs)
	}
}

func BenchmarkOpen(b *testing.B) {
	path := benchShard(b).Path()
	for b.Loop() {
		r, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

func BenchmarkVerify(b *testing.B) {
	r := benchShard(b)
	b.SetBytes(2 * benchTokens)
	for b.Loop() {
		if err := r.Verify(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadExamples takes runs of 128 tokens from all over the shard, as a loader does.
func BenchmarkReadExamples(b *testing.B) {
	r := benchShard(b)
	const length = 128
	dst := make([]int32, 0, length)
	b.SetBytes(2 * length)
	at := 0
	for b.Loop() {
		var err error
		if dst, err = r.AppendTokens(dst[:0], at, length); err != nil {
			b.Fatal(err)
		}
		at = (at + 7919*length) % (r.NumTokens() - length)
	}
}

// BenchmarkSentenceLengths walks all documents as the example index does; bytes are tokens here.
func BenchmarkSentenceLengths(b *testing.B) {
	r := benchShard(b)
	b.SetBytes(benchTokens)
	var dst []int32
	for b.Loop() {
		for i := range r.NumDocuments() {
			dst = r.AppendSentenceLengths(dst[:0], i)
		}
	}
}
