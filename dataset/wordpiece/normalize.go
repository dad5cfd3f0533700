package wordpiece

import "unicode/utf8"

// normalizer takes text apart into normalised words. It has scratch buffers: one goroutine uses it.
type normalizer struct {
	classes   *[denseRunes]class
	lowercase bool
	strip     bool  // accents
	replaced  int64 // U+FFFD read in place of invalid UTF-8

	runes   []rune // the word so far; no more than maxWordRunes+1 are kept
	barrier int    // combining marks are not sorted across this index
	parts   []rune // a code point's decomposition
	bytes   []byte // the word as UTF-8
}

// maxWordRunes is HF's max_input_chars_per_word: a longer word becomes [UNK].
const maxWordRunes = 100

func newNormalizer(o Options) normalizer {
	return normalizer{
		classes: denseClasses(), lowercase: !o.Cased,
		strip: o.Accents == StripAccents || o.Accents == AccentsAsCase && !o.Cased,
	}
}

// clone returns a normalizer for another goroutine, with a count of its own.
func (n *normalizer) clone() normalizer {
	return normalizer{classes: n.classes, lowercase: n.lowercase, strip: n.strip}
}

// emitter takes a normalised word, valid until it returns; nil stands for a word of more than maxWordRunes.
type emitter func(word []byte)

// plainWord normalises a segment of ASCII letters and digits, which is one word.
func (n *normalizer) plainWord(segment string) []byte {
	if len(segment) > maxWordRunes {
		return nil
	}
	n.bytes = append(n.bytes[:0], segment...)
	if n.lowercase {
		for i, b := range n.bytes {
			if 'A' <= b && b <= 'Z' {
				n.bytes[i] = b + 'a' - 'A'
			}
		}
	}
	return n.bytes
}

// words normalises any segment and emits its words: HF's clean_text, spaces around ideographs, NFD, stripping of
// accents and lowercase, in this order, a code point at a time, then the split at spaces and punctuation. It
// reports whether the segment was valid UTF-8.
func (n *normalizer) words(segment string, emit emitter) (valid bool) {
	before := n.replaced
	n.runes, n.barrier = n.runes[:0], 0
	for i := 0; i < len(segment); {
		r, size := utf8.DecodeRuneInString(segment[i:])
		if r == utf8.RuneError && size == 1 {
			size = brokenLength(segment[i:])
			n.replaced++
		}
		n.clean(r, emit)
		i += size
	}
	n.endWord(emit)
	return n.replaced == before
}

// clean drops control characters and sets ideographs apart.
func (n *normalizer) clean(r rune, emit emitter) {
	c := n.classOf(r)
	switch c & classMask {
	case drop:
	case space:
		n.endWord(emit)
	case cjk:
		n.endWord(emit)
		n.decompose(r, c, emit)
		n.endWord(emit)
	default:
		n.decompose(r, c, emit)
	}
}

// decompose takes a code point through NFD where accents are to be stripped.
func (n *normalizer) decompose(r rune, c class, emit emitter) {
	if !n.strip || c&decomposes == 0 {
		n.add(r, c, emit)
		return
	}
	n.parts = appendDecomposition(n.parts[:0], r)
	for _, part := range n.parts {
		n.add(part, n.classOf(part), emit)
	}
}

// add strips accents, lowercases and splits.
func (n *normalizer) add(r rune, c class, emit emitter) {
	switch kind := c & classMask; {
	case kind == space:
		n.endWord(emit)
	case kind == punct:
		n.endWord(emit)
		n.push(r)
		n.endWord(emit)
	case n.strip && kind == mark:
	case n.strip && kind == barrier:
		n.barrier = len(n.runes)
	case n.lowercase && r == 'İ': // the only code point with a lower case of two
		n.push('i')
		n.push('\u0307')
	case n.lowercase && c&recased != 0:
		n.push(lower(r))
	default:
		n.push(r)
	}
}

// push adds a code point to the word. After NFD it takes its place in canonical order (Unicode Standard, section
// 3.11, D109): a combining one goes before those of a higher class at the end.
func (n *normalizer) push(r rune) {
	if len(n.runes) > maxWordRunes {
		return
	}
	n.runes = append(n.runes, r)
	if !n.strip {
		return
	}
	own := combiningClass(r)
	for i := len(n.runes) - 1; own != 0 && i > n.barrier && combiningClass(n.runes[i-1]) > own; i-- {
		n.runes[i-1], n.runes[i] = n.runes[i], n.runes[i-1]
	}
}

// endWord emits the word, if there is one, and begins the next.
func (n *normalizer) endWord(emit emitter) {
	if len(n.runes) > maxWordRunes {
		emit(nil)
	} else if len(n.runes) > 0 {
		n.bytes = n.bytes[:0]
		for _, r := range n.runes {
			n.bytes = utf8.AppendRune(n.bytes, r)
		}
		emit(n.bytes)
	}
	n.runes, n.barrier = n.runes[:0], 0
}

func (n *normalizer) classOf(r rune) class {
	if r < denseRunes {
		return n.classes[r]
	}
	return searchClass(r)
}

// brokenLength is the number of bytes of invalid UTF-8 that stand for one U+FFFD: the longest start of a
// well-formed sequence, at least one byte (Unicode Standard, section 3.9, "substitution of maximal subparts").
func brokenLength(s string) int {
	low, high, need := byte(0x80), byte(0xBF), 0
	switch c := s[0]; {
	case 0xC2 <= c && c <= 0xDF:
		need = 1
	case 0xE0 <= c && c <= 0xEF:
		need = 2
		if c == 0xE0 {
			low = 0xA0
		} else if c == 0xED {
			high = 0x9F
		}
	case 0xF0 <= c && c <= 0xF4:
		need = 3
		if c == 0xF0 {
			low = 0x90
		} else if c == 0xF4 {
			high = 0x8F
		}
	}
	n := 1
	for ; n <= need && n < len(s) && low <= s[n] && s[n] <= high; n++ {
		low, high = 0x80, 0xBF
	}
	return n
}
