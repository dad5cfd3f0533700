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
	var scratch [8]rune
	if len(appendDecomposition(scratch[:0], r)) > 0 {
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

// appendDecomposition appends the full canonical decomposition of a code point, nothing where NFD leaves it as it
// is. HF's tables end before Unicode 11: what later versions decompose stays whole, whatever x/text's version.
func appendDecomposition(dst []rune, r rune) []rune {
	switch {
	case r >= hangulFirst && r <= hangulLast:
		return appendHangul(dst, r-hangulFirst)
	case r == 0x105C9, r == 0x105E4, r == 0x11938, 0x11380 <= r && r <= 0x113FF, 0x16100 <= r && r <= 0x1613F, 0x16D40 <= r && r <= 0x16D7F:
		return dst
	}
	var buffer [utf8.UTFMax]byte
	size := utf8.EncodeRune(buffer[:], r)
	for rest := norm.NFD.Properties(buffer[:size]).Decomposition(); len(rest) > 0; rest = rest[size:] {
		r, size = utf8.DecodeRune(rest)
		dst = append(dst, r)
	}
	return dst
}

const hangulFirst, hangulLast = 0xAC00, 0xD7A3

// appendHangul appends the two or three letters of a syllable by its index (Unicode Standard, section 3.12).
func appendHangul(dst []rune, index rune) []rune {
	const leading, vowel, trailing, vowels, trailings = 0x1100, 0x1161, 0x11A7, 21, 28
	dst = append(dst, leading+index/(vowels*trailings), vowel+index%(vowels*trailings)/trailings)
	if t := index % trailings; t != 0 {
		dst = append(dst, trailing+t)
	}
	return dst
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
