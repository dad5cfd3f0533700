package wordpiece

import (
	"strings"
)

// Counter counts the words of texts for the training of a vocabulary. One goroutine uses it; several
// counters are put together with Merge, in any order. It holds each distinct segment once.
type Counter struct {
	normalizer normalizer
	segments   map[string]*int64 // as they stand in the text, not normalised
	words      map[string]int64  // words of segments too long to be held
	punct      [128]int64
}

// longSegment is the number of bytes from which a segment is split into words at once: text in a script
// without spaces, of which whole sentences would be held otherwise.
const longSegment = 64

// NewCounter makes a counter whose words are normalised as the options say.
func NewCounter(o Options) *Counter {
	return &Counter{normalizer: newNormalizer(o), segments: map[string]*int64{}, words: map[string]int64{}}
}

// Add counts the words of a text.
func (c *Counter) Add(text string) {
	for i := 0; i < len(text); {
		switch byteKinds[text[i]] {
		case spaceByte:
			i++
		case punctByte:
			c.punct[text[i]]++
			i++
		default:
			n, plain := segmentLength(text[i:])
			c.addSegment(text[i:i+n], plain)
			i += n
		}
	}
}

func (c *Counter) addSegment(segment string, plain bool) {
	switch count := c.segments[segment]; {
	case count != nil:
		*count++
	case len(segment) < longSegment:
		count = new(int64)
		*count = 1
		c.segments[strings.Clone(segment)] = count
	case !plain:
		c.normalizer.words(segment, func(word []byte) { c.words[string(word)]++ })
	case len(segment) <= maxWordRunes:
		c.words[string(c.normalizer.plainWord(segment))]++
	}
}

// Merge adds what another counter, of the same options, has counted.
func (c *Counter) Merge(other *Counter) {
	for segment, count := range other.segments {
		if sum := c.segments[segment]; sum != nil {
			*sum += *count
		} else {
			c.segments[segment] = count
		}
	}
	for word, count := range other.words {
		c.words[word] += count
	}
	for b, count := range other.punct {
		c.punct[b] += count
	}
}

// Words returns the normalised words with their counts. Words of more than a hundred characters, which the
// tokenizer turns into [UNK], are not among them.
func (c *Counter) Words() map[string]int64 {
	words := make(map[string]int64, len(c.segments)+len(c.words))
	for word, count := range c.words {
		words[word] += count
	}
	for segment, count := range c.segments {
		c.normalizer.words(segment, func(word []byte) { words[string(word)] += *count })
	}
	for b, count := range c.punct {
		if count > 0 {
			words[string(rune(b))] += count
		}
	}
	delete(words, "") // stands for the words that were too long
	return words
}

// countRunes counts the characters of all words, and which of them stand inside a word.
func countRunes(words map[string]int64) (counts map[rune]int64, inside map[rune]bool) {
	counts, inside = map[rune]int64{}, map[rune]bool{}
	for word, count := range words {
		for i, r := range word {
			counts[r] += count
			if i > 0 {
				inside[r] = true
			}
		}
	}
	return counts, inside
}
