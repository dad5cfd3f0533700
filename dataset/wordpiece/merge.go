package wordpiece

import (
	"context"
	"strings"
)

// merger joins the most frequent pair of neighbouring pieces until the vocabulary is full.
type merger struct {
	tokens []string
	ids    map[string]int32

	words   []splitWord
	pairs   map[pair]*pairCount
	queue   queue
	touched []*pairCount // pairs that the join under way makes more frequent
}

// splitWord is a distinct word as the ids of its pieces.
type splitWord struct {
	pieces []int32
	count  int64
}

type pair struct{ left, right int32 }

func (p pair) less(q pair) bool {
	return p.left < q.left || p.left == q.left && p.right < q.right
}

// pairCount is how often a pair stands in the text, and the words (indices, ascending) where it stood at some time.
type pairCount struct {
	pair    pair
	count   int64
	words   []int32
	touched bool
}

func newMerger(words map[string]int64, o TrainOptions) *merger {
	m := &merger{tokens: SpecialTokens(), ids: map[string]int32{}, pairs: map[pair]*pairCount{}}
	m.tokens = append(m.tokens, alphabet(words, o.AlphabetLimit, o.Size-len(m.tokens))...)
	for id, token := range m.tokens {
		m.ids[token] = int32(id)
	}
	// The order of the words, which a map leaves open, decides nothing: counts are sums, and pairs of equal
	// counts are taken in the order of their ids.
	for text, count := range words {
		m.addWord(text, count)
	}
	for _, p := range m.pairs {
		m.queue.push(candidate{p.count, p})
		p.touched = false
	}
	m.touched = m.touched[:0]
	return m
}

// addWord splits a word into characters; those outside the alphabet are left out.
func (m *merger) addWord(text string, count int64) {
	var pieces []int32
	for i, r := range text {
		token := string(r)
		if i > 0 {
			token = ContinuationPrefix + token
		}
		if id, ok := m.ids[token]; ok {
			pieces = append(pieces, id)
		}
	}
	index := int32(len(m.words))
	m.words = append(m.words, splitWord{pieces, count})
	for i := 1; i < len(pieces); i++ {
		m.change(pair{pieces[i-1], pieces[i]}, count, index)
	}
}

// change adds to the count of a pair because of a word.
func (m *merger) change(p pair, count int64, word int32) {
	info := m.pairs[p]
	if info == nil {
		info = &pairCount{pair: p}
		m.pairs[p] = info
	}
	info.count += count
	if count < 0 {
		return
	}
	if n := len(info.words); n == 0 || info.words[n-1] != word {
		info.words = append(info.words, word)
	}
	if !info.touched {
		info.touched = true
		m.touched = append(m.touched, info)
	}
}

// run joins pairs until there are o.Size tokens or no pair is frequent enough.
func (m *merger) run(ctx context.Context, o TrainOptions) error {
	for len(m.tokens) < o.Size && len(m.queue) > 0 {
		top := m.queue.pop()
		if current := top.pair.count; current != top.count { // joins since then made it rarer
			if current >= o.MinFrequency {
				m.queue.push(candidate{current, top.pair})
			}
			continue
		}
		if top.count < o.MinFrequency {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		m.join(top.pair)
	}
	return nil
}

// join makes one token of a pair, in all words.
func (m *merger) join(p *pairCount) {
	token := m.tokens[p.pair.left] + strings.TrimPrefix(m.tokens[p.pair.right], ContinuationPrefix)
	id, ok := m.ids[token]
	if !ok { // another pair may have made the same token
		id = int32(len(m.tokens))
		m.tokens = append(m.tokens, token)
		m.ids[token] = id
	}
	for _, word := range p.words {
		m.joinIn(word, p.pair, id)
	}
	delete(m.pairs, p.pair)
	p.count, p.words = 0, nil
	for _, t := range m.touched {
		t.touched = false
		if t.count > 0 {
			m.queue.push(candidate{t.count, t})
		}
	}
	m.touched = m.touched[:0]
}

// joinIn replaces a pair in a word and keeps count of the pairs around it.
func (m *merger) joinIn(word int32, p pair, id int32) {
	w := &m.words[word]
	pieces, out := w.pieces, w.pieces[:0]
	for i := 0; i < len(pieces); i++ {
		if i+1 == len(pieces) || pieces[i] != p.left || pieces[i+1] != p.right {
			out = append(out, pieces[i])
			continue
		}
		if n := len(out); n > 0 {
			m.change(pair{out[n-1], p.left}, -w.count, word)
			m.change(pair{out[n-1], id}, w.count, word)
		}
		if i+2 < len(pieces) {
			m.change(pair{p.right, pieces[i+2]}, -w.count, word)
			m.change(pair{id, pieces[i+2]}, w.count, word)
		}
		out = append(out, id)
		i++
	}
	w.pieces = out
}
