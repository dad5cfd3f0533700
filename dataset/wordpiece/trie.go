package wordpiece

import (
	"math/bits"
	"strings"
)

// The two nodes where matching begins.
const (
	wordStart    = 0 // tokens that begin a word
	continuation = 1 // tokens that go on in it, without their ##
)

const noToken = int32(-1)

// trie finds the longest token at the start of some bytes. Its edges are in one open-addressing hash table.
type trie struct {
	edges []edge
	shift uint8
	token []int32 // by node: the id of the token that ends there, or noToken
}

type edge struct {
	key  uint64 // node<<8 | byte, plus one, so that 0 is a free place
	node uint32
}

// newTrie indexes the tokens by their place in the list.
func newTrie(tokens []string) *trie {
	size := 0
	for _, token := range tokens {
		size += len(token)
	}
	logSize := bits.Len(uint(2*size + 16))
	t := &trie{edges: make([]edge, 1<<logSize), shift: uint8(64 - logSize), token: []int32{noToken, noToken}}
	for id, token := range tokens {
		t.insert(wordStart, token, int32(id))
		if rest, ok := strings.CutPrefix(token, ContinuationPrefix); ok && rest != "" {
			t.insert(continuation, rest, int32(id))
		}
	}
	return t
}

func (t *trie) insert(node uint32, token string, id int32) {
	for i := range len(token) {
		e := t.find(node, token[i])
		if e.key == 0 {
			*e = edge{edgeKey(node, token[i]), uint32(len(t.token))}
			t.token = append(t.token, noToken)
		}
		node = e.node
	}
	t.token[node] = id
}

func edgeKey(node uint32, b byte) uint64 { return uint64(node)<<8 + uint64(b) + 1 }

// find returns the place of the edge from a node by a byte, with key 0 where there is none.
func (t *trie) find(node uint32, b byte) *edge {
	key := edgeKey(node, b)
	mask := uint64(len(t.edges) - 1)
	for i := key * 0x9e3779b97f4a7c15 >> t.shift; ; i++ {
		if e := &t.edges[i&mask]; e.key == key || e.key == 0 {
			return e
		}
	}
}

// longest returns the id and the bytes of the longest token that text begins with, going from a start node;
// length 0 where there is none.
func (t *trie) longest(node uint32, text []byte) (id int32, length int) {
	for i, b := range text {
		e := t.find(node, b)
		if e.key == 0 {
			break
		}
		node = e.node
		if token := t.token[node]; token != noToken {
			id, length = token, i+1
		}
	}
	return id, length
}
