package wordpiece

import (
	"sort"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// class is what the normaliser and the pre-tokeniser do with a code point.
type class uint8

const (
	letter  class = iota // everything else: part of a word
	drop                 // control and format characters, U+FFFD, private use: leaves no trace
	space                // ends a word
	punct                // a word of its own
	mark                 // an accent (nonspacing mark): stripped where accents are
	barrier              // a nonspacing mark that other marks are not sorted across
	cjk                  // an ideograph: a word of its own

	classMask  class = 7
	decomposes class = 8  // NFD changes it
	recased    class = 16 // lowercasing changes it
)

type classRange struct {
	first, last rune
	class       class
}

type combiningRange struct {
	first, last rune
	class       uint8
}

// denseRunes is the number of code points, from 0, whose class is in a table rather than searched for.
const denseRunes = 0x20000

var denseClasses = sync.OnceValue(func() *[denseRunes]class {
	table := new([denseRunes]class)
	for r := range rune(denseRunes) {
		table[r] = searchClass(r)
	}
	return table
})

// searchClass computes the class of a code point with its flags.
func searchClass(r rune) class {
	found := letter
	i := sort.Search(len(classRanges), func(i int) bool { return classRanges[i].last >= r })
	if i < len(classRanges) && r >= classRanges[i].first {
		found = classRanges[i].class
	}
	if lower(r) != r {
		found |= recased
	}
	if len(decomposition(r)) > 0 {
		found |= decomposes
	}
	return found
}

// combiningClass is the canonical combining class of a code point that is no mark, 0 for nearly all.
func combiningClass(r rune) uint8 {
	if r < combiningRanges[0].first {
		return 0
	}
	i := sort.Search(len(combiningRanges), func(i int) bool { return combiningRanges[i].last >= r })
	if i < len(combiningRanges) && r >= combiningRanges[i].first {
		return combiningRanges[i].class
	}
	return 0
}

// decomposition is the full canonical decomposition, nil where NFD leaves the code point as it is. HF's
// tables end before Unicode 11: what later versions decompose stays whole, whatever x/text's version.
func decomposition(r rune) []rune {
	switch {
	case r >= hangulFirst && r <= hangulLast:
		return hangul(r)
	case r == 0x105C9, r == 0x105E4, r == 0x11938, 0x11380 <= r && r <= 0x113FF, 0x16100 <= r && r <= 0x1613F, 0x16D40 <= r && r <= 0x16D7F:
		return nil
	}
	var buffer [utf8.UTFMax]byte
	n := utf8.EncodeRune(buffer[:], r)
	return []rune(string(norm.NFD.Properties(buffer[:n]).Decomposition()))
}

const hangulFirst, hangulLast = 0xAC00, 0xD7A3

// hangul splits a syllable into its two or three letters (Unicode Standard, section 3.12).
func hangul(r rune) []rune {
	const leading, vowel, trailing, vowels, trailings = 0x1100, 0x1161, 0x11A7, 21, 28
	s := r - hangulFirst
	letters := []rune{leading + s/(vowels*trailings), vowel + s%(vowels*trailings)/trailings}
	if t := s % trailings; t != 0 {
		letters = append(letters, trailing+t)
	}
	return letters
}

// lower is the simple lower case of Unicode 17, which HF uses, whatever the version of Go's tables. U+0130
// is the only code point that has two letters; its caller sees to it.
func lower(r rune) rune {
	switch {
	case r < 0x1C89:
		return unicode.ToLower(r)
	case r == 0xA7CB:
		return 0x264
	case r == 0xA7DC:
		return 0x19B
	case r == 0x1C89, r == 0xA7CC, r == 0xA7CE, r == 0xA7D2, r == 0xA7D4, r == 0xA7DA:
		return r + 1
	case 0x10D50 <= r && r <= 0x10D65:
		return r + 0x20
	case 0x16EA0 <= r && r <= 0x16EB8:
		return r + 0x1B
	}
	return unicode.ToLower(r)
}

// word collects the normalised code points of one word.
type word struct {
	runes   []rune // no more than maxWordRunes+1 are kept: a longer word is unknown anyway
	barrier int    // marks are not sorted across this index
	bytes   []byte // scratch: the word as UTF-8
}

// maxWordRunes is HF's max_input_chars_per_word: a longer word becomes [UNK].
const maxWordRunes = 100

func (w *word) reset() { w.runes, w.barrier = w.runes[:0], 0 }

func (w *word) add(r rune) {
	if len(w.runes) <= maxWordRunes {
		w.runes = append(w.runes, r)
	}
}

// addSorted adds a code point in canonical order (Unicode Standard, section 3.11, D109): a combining one goes before
// those of a higher class at the end.
func (w *word) addSorted(r rune) {
	w.add(r)
	own := combiningClass(r)
	if own == 0 {
		return
	}
	for i := len(w.runes) - 1; i > w.barrier && combiningClass(w.runes[i-1]) > own; i-- {
		w.runes[i-1], w.runes[i] = w.runes[i], w.runes[i-1]
	}
}

func (w *word) utf8() []byte {
	w.bytes = w.bytes[:0]
	for _, r := range w.runes {
		w.bytes = utf8.AppendRune(w.bytes, r)
	}
	return w.bytes
}

// appendNormalized encodes a segment that has other bytes than ASCII letters and digits: HF's clean_text,
// spaces around ideographs, NFD, stripping of accents and lowercase, in this order, a code point at a time,
// then the split at spaces and punctuation. It reports whether the segment was valid UTF-8.
func (t *Tokenizer) appendNormalized(dst []int32, segment string) (ids []int32, valid bool) {
	valid = true
	t.word.reset()
	for i := 0; i < len(segment); {
		r, n := utf8.DecodeRuneInString(segment[i:])
		if r == utf8.RuneError && n == 1 {
			n = brokenLength(segment[i:])
			t.replaced++
			valid = false
		}
		dst = t.appendRune(dst, r)
		i += n
	}
	return t.endWord(dst), valid
}

func (t *Tokenizer) appendRune(dst []int32, r rune) []int32 {
	c := t.classOf(r)
	switch c & classMask {
	case drop:
		return dst
	case space:
		return t.endWord(dst)
	case cjk:
		dst = t.endWord(dst)
		return t.endWord(t.appendStripped(dst, r, c))
	}
	return t.appendStripped(dst, r, c)
}

// appendStripped takes a code point through NFD and the stripping of accents where the options ask for it.
func (t *Tokenizer) appendStripped(dst []int32, r rune, c class) []int32 {
	if !t.strip {
		return t.appendSplit(dst, r, c)
	}
	if c&decomposes == 0 {
		return t.appendSplit(dst, r, c)
	}
	for _, part := range decomposition(r) {
		dst = t.appendSplit(dst, part, t.classOf(part))
	}
	return dst
}

// appendSplit lowercases a code point and adds it to the word, or ends the word where it is a space or punctuation.
func (t *Tokenizer) appendSplit(dst []int32, r rune, c class) []int32 {
	switch kind := c & classMask; {
	case kind == space:
		return t.endWord(dst)
	case kind == punct:
		dst = t.endWord(dst)
		t.word.add(r)
		return t.endWord(dst)
	case t.strip && kind == mark:
		return dst
	case t.strip && kind == barrier:
		t.word.barrier = len(t.word.runes)
		return dst
	}
	if t.lowercase && c&recased != 0 {
		if r == 'İ' {
			t.word.add('i')
			r = '\u0307'
		} else {
			r = lower(r)
		}
	}
	if t.strip {
		t.word.addSorted(r)
	} else {
		t.word.add(r)
	}
	return dst
}

// endWord encodes the collected word, if there is one, and begins the next.
func (t *Tokenizer) endWord(dst []int32) []int32 {
	switch n := len(t.word.runes); {
	case n > maxWordRunes:
		dst = append(dst, t.vocabulary.unknown)
	case n > 0:
		dst = t.appendWord(dst, t.word.utf8())
	}
	t.word.reset()
	return dst
}

func (t *Tokenizer) classOf(r rune) class {
	if r < denseRunes {
		return t.classes[r]
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
