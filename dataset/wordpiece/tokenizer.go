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

// Tokenizer encodes text. It keeps a cache of words and a scratch buffer: it must not be used by two
// goroutines at once. Clone gives each goroutine its own; clones share everything that is large but
// the cache (4 MB each).
type Tokenizer struct {
	*matcher
	cache    cache
	word     word
	replaced int64
}

// matcher is the immutable part, shared by clones.
type matcher struct {
	vocabulary *Vocabulary
	tokens     *trie
	classes    *[denseRunes]class
	ascii      [256]byteKind
	punct      [128]int32 // ids of ASCII punctuation
	special    []specialToken
	lowercase  bool
	strip      bool
}

type specialToken struct {
	text string
	id   int32
}

// byteKind is what a byte is to the fast path. The order matters: up to otherByte a segment goes on.
type byteKind uint8

const (
	plainByte   byteKind = iota // ASCII letter or digit
	otherByte                   // ASCII control, or part of a code point above ASCII
	spaceByte                   // a space, tab or line end
	punctByte                   // ASCII punctuation
	specialByte                 // ASCII punctuation that may begin a special token
)

// New makes a tokenizer for a vocabulary. Special tokens that stand in the text, such as "[SEP]", become the
// special token, as in HF's tokenizers.
func New(v *Vocabulary, o Options) *Tokenizer {
	m := &matcher{
		vocabulary: v, tokens: newTrie(v.tokens), classes: denseClasses(), lowercase: !o.Cased,
		strip: o.Accents == StripAccents || o.Accents == AccentsAsCase && !o.Cased,
	}
	for id := range v.special {
		m.special = append(m.special, specialToken{v.tokens[id], id})
	}
	slices.SortFunc(m.special, func(a, b specialToken) int {
		if len(a.text) != len(b.text) {
			return len(b.text) - len(a.text)
		}
		return strings.Compare(a.text, b.text)
	})
	m.setBytes()
	return &Tokenizer{matcher: m, cache: newCache()}
}

func (m *matcher) setBytes() {
	for b := range m.ascii {
		m.ascii[b] = otherByte
		if b >= len(m.punct) {
			continue
		}
		switch m.classes[b] & classMask {
		case letter:
			m.ascii[b] = plainByte
		case space:
			m.ascii[b] = spaceByte
		case punct:
			m.ascii[b] = punctByte
			m.punct[b] = m.vocabulary.unknown
			if id, n := m.tokens.longest(wordStart, []byte{byte(b)}); n == 1 {
				m.punct[b] = id
			}
		}
	}
	for _, s := range m.special {
		m.ascii[s.text[0]] = specialByte
	}
}

// Clone returns a tokenizer for another goroutine, with an empty cache and a count of its own.
func (t *Tokenizer) Clone() *Tokenizer {
	return &Tokenizer{matcher: t.matcher, cache: newCache()}
}

// Vocabulary is the one that the tokenizer was made with.
func (t *Tokenizer) Vocabulary() *Vocabulary { return t.vocabulary }

// Replaced counts the U+FFFD that this tokenizer (not its clones) read in place of invalid UTF-8 so far. Like
// a literal U+FFFD they leave no token.
func (t *Tokenizer) Replaced() int64 { return t.replaced }

// Encode returns the ids of text, without [CLS] and [SEP] around it.
func (t *Tokenizer) Encode(text string) []int32 { return t.AppendEncode(nil, text) }

// AppendEncode appends the ids of text to dst, as append does. It allocates only to grow dst.
func (t *Tokenizer) AppendEncode(dst []int32, text string) []int32 {
	for i := 0; i < len(text); {
		switch b := text[i]; t.ascii[b] {
		case spaceByte:
			i++
		case punctByte:
			dst = append(dst, t.punct[b])
			i++
		case specialByte:
			id, n := t.specialAt(text[i:])
			dst = append(dst, id)
			i += n
		default:
			end, kinds := i, plainByte
			for end < len(text) && t.ascii[text[end]] <= otherByte {
				kinds |= t.ascii[text[end]]
				end++
			}
			dst = t.appendSegment(dst, text[i:end], kinds == plainByte)
			i = end
		}
	}
	return dst
}

// specialAt returns the longest special token that text begins with, else its first byte as punctuation.
func (t *Tokenizer) specialAt(text string) (id int32, length int) {
	for _, s := range t.special {
		if strings.HasPrefix(text, s.text) {
			return s.id, len(s.text)
		}
	}
	return t.punct[text[0]], 1
}

// appendSegment encodes what stands between ASCII spaces and punctuation: for plain ASCII one word, else
// perhaps several. No normalisation looks across such a border, so a segment's ids depend on nothing else.
func (t *Tokenizer) appendSegment(dst []int32, segment string, plain bool) []int32 {
	if len(segment) > cacheKeySize {
		dst, _ = t.appendUncached(dst, segment, plain)
		return dst
	}
	key := cacheKey(segment)
	set := t.cache.set(&key)
	if e := find(set, &key, len(segment)); e != nil {
		return append(dst, e.ids[:e.count]...)
	}
	start := len(dst)
	dst, valid := t.appendUncached(dst, segment, plain)
	if valid { // else it has to be counted again
		put(set, &key, len(segment), dst[start:])
	}
	return dst
}

func (t *Tokenizer) appendUncached(dst []int32, segment string, plain bool) (ids []int32, valid bool) {
	if !plain {
		return t.appendNormalized(dst, segment)
	}
	if len(segment) > maxWordRunes {
		return append(dst, t.vocabulary.unknown), true
	}
	t.word.bytes = append(t.word.bytes[:0], segment...)
	if t.lowercase {
		for i, b := range t.word.bytes {
			if 'A' <= b && b <= 'Z' {
				t.word.bytes[i] = b + 'a' - 'A'
			}
		}
	}
	return t.appendWord(dst, t.word.bytes), true
}

// appendWord matches a normalised word greedily, longest token first; a word that does not come out even is [UNK].
func (t *Tokenizer) appendWord(dst []int32, word []byte) []int32 {
	start, node := len(dst), uint32(wordStart)
	for len(word) > 0 {
		id, n := t.tokens.longest(node, word)
		if n == 0 {
			return append(dst[:start], t.vocabulary.unknown)
		}
		dst = append(dst, id)
		word, node = word[n:], continuation
	}
	return dst
}
