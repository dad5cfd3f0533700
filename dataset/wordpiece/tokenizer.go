package wordpiece

import (
	"slices"
	"strings"
)

// Options say how text is normalised before it is matched. The zero value is BERT's and ELECTRA's uncased tokenizer.
type Options struct {
	// Cased keeps upper case. Default: text is lowercased.
	Cased bool
	// Accents says whether accents are stripped. Default: they are where text is lowercased.
	Accents Accents
}

// Accents says what happens to accents (nonspacing marks).
type Accents uint8

// What to do with accents. HF's strip_accents null, true and false.
const (
	AccentsAsCase Accents = iota // stripped where text is lowercased, kept where not
	StripAccents
	KeepAccents
)

// Tokenizer encodes text. It keeps a cache of segments and scratch buffers: it must not be used by two
// goroutines at once. Clone gives each goroutine its own; clones share everything that is large but
// the cache (1 MB each).
type Tokenizer struct {
	*matcher
	normalizer normalizer
	cache      cache
}

// matcher is the immutable part, shared by clones.
type matcher struct {
	vocabulary *Vocabulary
	tokens     trie
	bytes      [256]byteKind
	punct      [128]int32 // ids of ASCII punctuation
	literals   []literal  // longest first
}

// literal is a token that is found in the text as it stands, before normalisation.
type literal struct {
	text string
	id   int32
}

// New makes a tokenizer for a vocabulary. Special tokens that stand in the text, such as "[SEP]", become the
// special token, as in HF's tokenizers.
func New(v *Vocabulary, o Options) *Tokenizer {
	m := &matcher{vocabulary: v, tokens: newTrie(v.tokens), bytes: byteKinds}
	for b, kind := range m.bytes {
		if kind == punctByte {
			m.punct[b] = m.wordID([]byte{byte(b)})
		}
	}
	for _, id := range v.literal {
		m.literals = append(m.literals, literal{v.tokens[id], id})
		m.bytes[v.tokens[id][0]] = literalByte
	}
	slices.SortFunc(m.literals, func(a, b literal) int { return len(b.text) - len(a.text) })
	return &Tokenizer{matcher: m, normalizer: newNormalizer(o), cache: newCache()}
}

// wordID returns the id of the token that is the whole word, else of [UNK].
func (m *matcher) wordID(word []byte) int32 {
	if id, n := m.tokens.longest(wordStart, word); n == len(word) {
		return id
	}
	return m.vocabulary.unknown
}

// Clone returns a tokenizer for another goroutine, with an empty cache and a count of its own.
func (t *Tokenizer) Clone() *Tokenizer {
	return &Tokenizer{matcher: t.matcher, normalizer: t.normalizer.clone(), cache: newCache()}
}

// Vocabulary is the one that the tokenizer was made with.
func (t *Tokenizer) Vocabulary() *Vocabulary { return t.vocabulary }

// Replaced counts the U+FFFD that this tokenizer (not its clones) read in place of invalid UTF-8 so far. Like
// a literal U+FFFD they leave no token.
func (t *Tokenizer) Replaced() int64 { return t.normalizer.replaced }

// Encode returns the ids of text, without [CLS] and [SEP] around it.
func (t *Tokenizer) Encode(text string) []int32 { return t.AppendEncode(nil, text) }

// AppendEncode appends the ids of text to dst, as append does. It allocates only to grow dst.
func (t *Tokenizer) AppendEncode(dst []int32, text string) []int32 {
	for i := 0; i < len(text); {
		switch b := text[i]; t.bytes[b] {
		case spaceByte:
			i++
		case punctByte:
			dst = append(dst, t.punct[b])
			i++
		case literalByte:
			id, n := t.literalAt(text[i:])
			dst = append(dst, id)
			i += n
		default:
			n, plain := segmentLength(text[i:])
			dst = t.appendSegment(dst, text[i:i+n], plain)
			i += n
		}
	}
	return dst
}

// literalAt returns the longest literal token that text begins with, else its first byte as punctuation.
func (t *Tokenizer) literalAt(text string) (id int32, length int) {
	for _, s := range t.literals {
		if strings.HasPrefix(text, s.text) {
			return s.id, len(s.text)
		}
	}
	return t.punct[text[0]], 1
}

// appendSegment encodes a segment. Matching plain ASCII takes no longer than finding it in the cache, which
// so is left to text that has to be normalised.
func (t *Tokenizer) appendSegment(dst []int32, segment string, plain bool) []int32 {
	if plain {
		return t.appendWord(dst, t.normalizer.plainWord(segment))
	}
	if len(segment) > cacheKeySize {
		dst, _ = t.appendUncached(dst, segment)
		return dst
	}
	key := cacheKey(segment)
	set := t.cache.set(&key)
	if e := find(set, &key, len(segment)); e != nil {
		return append(dst, e.ids[:e.count]...)
	}
	start := len(dst)
	dst, valid := t.appendUncached(dst, segment)
	if valid { // invalid UTF-8 has to be counted each time
		put(set, &key, len(segment), dst[start:])
	}
	return dst
}

// appendUncached encodes any segment and reports whether it was valid UTF-8.
func (t *Tokenizer) appendUncached(dst []int32, segment string) (ids []int32, valid bool) {
	valid = t.normalizer.words(segment, func(word []byte) { dst = t.appendWord(dst, word) })
	return dst, valid
}

// appendWord matches a normalised word greedily, longest token first. A word that does not come out even
// is [UNK], and so is nil, a word that was too long.
func (m *matcher) appendWord(dst []int32, word []byte) []int32 {
	if word == nil {
		return append(dst, m.vocabulary.unknown)
	}
	start, node := len(dst), int32(wordStart)
	for len(word) > 0 {
		id, n := m.tokens.longest(node, word)
		if n == 0 {
			return append(dst[:start], m.vocabulary.unknown)
		}
		dst = append(dst, id)
		word, node = word[n:], continuation
	}
	return dst
}
