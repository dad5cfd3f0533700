package dataset

import (
	"context"
	"math/rand/v2"
	"testing"

	"elektron/dataset/shard"
)

// memory is tokenised text in memory: the source of tests that need no shards.
type memory struct {
	tokens    []int32
	documents []shard.Document
	sentences []int32
}

// testIDs are the special ids of the tests' vocabulary; text tokens are 5 and more.
var testIDs = specialIDs{pad: 0, cls: 2, sep: 3, mask: 4}

const firstTextID = 5

// add appends a document of sentences of those lengths. Its tokens are all different, as far as int32 goes.
func (m *memory) add(lengths ...int32) {
	d := shard.Document{Start: len(m.tokens), FirstSentence: len(m.sentences)}
	for _, n := range lengths {
		m.sentences = append(m.sentences, n)
		for range n {
			m.tokens = append(m.tokens, int32(len(m.tokens)+firstTextID))
		}
	}
	d.End, d.EndSentence = len(m.tokens), len(m.sentences)
	m.documents = append(m.documents, d)
}

func (m *memory) NumTokens() int                { return len(m.tokens) }
func (m *memory) NumDocuments() int             { return len(m.documents) }
func (m *memory) Document(i int) shard.Document { return m.documents[i] }

func (m *memory) AppendSentenceLengths(dst []int32, i int) []int32 {
	d := m.documents[i]
	return append(dst, m.sentences[d.FirstSentence:d.EndSentence]...)
}

func (m *memory) AppendTokens(dst []int32, start, n int) ([]int32, error) {
	return append(dst, m.tokens[start:start+n]...), nil
}

// randomText makes documents of up to sentences sentences of up to length tokens.
func randomText(documents, sentences, length int) *memory {
	random := rand.New(rand.NewPCG(1, 2))
	m := &memory{}
	for range documents {
		lengths := make([]int32, 1+random.IntN(sentences))
		for i := range lengths {
			lengths[i] = int32(1 + random.IntN(length))
		}
		m.add(lengths...)
	}
	return m
}

// buildIndex cuts a text in memory.
func buildIndex(ctx context.Context, text source, o BatchOptions, workers int) (all []example, err error) {
	for examples, err := range cutAll(ctx, text, o, workers) {
		if err != nil {
			return nil, err
		}
		all = append(all, examples...)
	}
	return all, nil
}

// testDataset indexes text with the options.
func testDataset(t testing.TB, text source, o BatchOptions) *Dataset {
	t.Helper()
	examples, err := buildIndex(t.Context(), text, o, 2)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDataset([]part{{tokens: text, examples: examples}}, testIDs, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
