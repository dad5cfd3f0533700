package wordpiece

import (
	"slices"
	"strings"
)

// The two nodes where matching begins.
const (
	wordStart    = 0 // tokens that begin a word
	continuation = 1 // tokens that go on in it, without their ##
)

// What stands in a node for its parent or token where it has none.
const (
	none = int32(-1)
	root = int32(-2) // a start node, taken but nobody's child
)

// trie finds the longest token at the start of some bytes. It is a double-array trie (Aoe, 1989): the child
// of a node by byte b is at the node's base+b, if the node is the parent noted there.
type trie []node

type node struct {
	base   int32 // where the children are, from base to base+255
	parent int32 // none where the place is free
	token  int32 // the id of the token that ends here, or none
}

// branch is a node whose children are still to be placed: those of the tokens, sorted, that reach it after depth bytes.
type branch struct {
	node   int32
	depth  int
	tokens []key
}

type key struct {
	text string
	id   int32
}

// newTrie indexes distinct tokens by their place in the list.
func newTrie(tokens []string) trie {
	var starts, continuations []key
	for id, token := range tokens {
		starts = append(starts, key{token, int32(id)})
		if rest, ok := strings.CutPrefix(token, ContinuationPrefix); ok && rest != "" {
			continuations = append(continuations, key{rest, int32(id)})
		}
	}
	b := trieBuilder{nodes: trie{{0, root, none}, {0, root, none}}, free: 2}
	b.branches = []branch{{wordStart, 0, sorted(starts)}, {continuation, 0, sorted(continuations)}}
	for len(b.branches) > 0 {
		next := b.branches[0]
		b.branches = b.branches[1:]
		b.grow(next)
	}
	return b.nodes
}

func sorted(keys []key) []key {
	slices.SortFunc(keys, func(a, b key) int { return strings.Compare(a.text, b.text) })
	return keys
}

// trieBuilder places nodes breadth first, so that those that every word passes lie close together.
type trieBuilder struct {
	nodes    trie
	branches []branch
	free     int32 // all places below are taken: where an only child goes
	wide     int32 // where the search for the places of several children begins
}

// grow places the children of a branch.
func (b *trieBuilder) grow(parent branch) {
	keys := parent.tokens
	if len(keys) > 0 && len(keys[0].text) == parent.depth {
		b.nodes[parent.node].token = keys[0].id
		keys = keys[1:]
	}
	children, groups := split(keys, parent.depth)
	if len(children) == 0 {
		return
	}
	base := b.fit(children)
	b.nodes[parent.node].base = base
	for i, c := range children {
		b.nodes[base+int32(c)].parent = parent.node
		b.branches = append(b.branches, branch{base + int32(c), parent.depth + 1, groups[i]})
	}
}

// split groups sorted keys by their byte at depth.
func split(keys []key, depth int) (bytes []byte, groups [][]key) {
	for start := 0; start < len(keys); {
		c, end := keys[start].text[depth], start+1
		for end < len(keys) && keys[end].text[depth] == c {
			end++
		}
		bytes, groups = append(bytes, c), append(groups, keys[start:end])
		start = end
	}
	return bytes, groups
}

// crowded is the number of places that a search looks at in vain before later ones begin where it ended, which
// keeps the building of any vocabulary linear. The holes left behind are filled by only children, most of all.
const crowded = 256

// fit returns a base where the places of all children are free.
func (b *trieBuilder) fit(children []byte) int32 {
	first := int32(children[0])
	start := &b.wide
	if len(children) == 1 {
		start = &b.free
	}
	for place := max(*start, first+1); ; place++ {
		base := place - first
		b.extend(base + 256)
		if slices.ContainsFunc(children, func(c byte) bool { return b.nodes[base+int32(c)].parent != none }) {
			continue
		}
		passed := *start > first // else the places between them were not looked at
		if len(children) == 1 && passed || place-*start > crowded {
			*start = place
		}
		return base
	}
}

// extend adds free places up to size.
func (b *trieBuilder) extend(size int32) {
	for int32(len(b.nodes)) < size {
		b.nodes = append(b.nodes, node{0, none, none})
	}
}

// longest returns the id and the bytes of the longest token that text begins with, going from a start node;
// length 0 where there is none.
func (t trie) longest(from int32, text []byte) (id int32, length int) {
	for i, b := range text {
		at := t[from].base + int32(b)
		if t[at].parent != from {
			break
		}
		from = at
		if token := t[at].token; token != none {
			id, length = token, i+1
		}
	}
	return id, length
}
