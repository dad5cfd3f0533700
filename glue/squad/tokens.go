package squad

import (
	"unicode"
	"unicode/utf8"

	"elektron/dataset/wordpiece"
)

// Tokens are a text's ids, each with the bytes of the text that it stands for.
type Tokens struct {
	IDs        []int32
	Start, End []int // text[Start[i]:End[i]]; characters are whole, with the combining marks behind them
}

// Tokenize encodes a text piece by piece, where a piece is what no tokenizer of BERT's kind joins to its neighbours: a
// run between spaces, or a punctuation mark. Special tokens that are spelt out in the text are text here. Within a
// piece tokens are put beside characters, as far as there is one for each: else, as for [UNK] and for Hangul
// that is taken apart, each token of the piece stands for all of it. So a span of tokens is always a part of the text.
func Tokenize(tokenizer *wordpiece.Tokenizer, text string) Tokens {
	var t Tokens
	for start := 0; start < len(text); {
		end, blank := pieceEnd(text, start)
		if !blank {
			t.add(tokenizer, text, start, end)
		}
		start = end
	}
	return t
}

// pieceEnd is where the piece that begins at start ends.
func pieceEnd(text string, start int) (end int, blank bool) {
	first, size := utf8.DecodeRuneInString(text[start:])
	end = start + size
	alone := isPunctuation(first)
	for blank = unicode.IsSpace(first); end < len(text); end += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[end:])
		if unicode.IsSpace(r) != blank || !isAttached(r) && (alone || isPunctuation(r)) && !blank {
			break
		}
	}
	return end, blank
}

// isPunctuation is BERT's notion: all that ASCII prints but letters, digits and spaces, and Unicode's punctuation.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	return unicode.IsPunct(r)
}

// isAttached says whether a code point belongs to the character before it: combining marks, and what is not seen.
func isAttached(r rune) bool { return unicode.In(r, unicode.Mn, unicode.Cf) }

// add encodes a piece.
func (t *Tokens) add(tokenizer *wordpiece.Tokenizer, text string, start, end int) {
	from := len(t.IDs)
	t.IDs = tokenizer.AppendEncode(t.IDs, text[start:end])
	ids := t.IDs[from:]
	bounds := characters(text, start, end)
	lengths, total := lengthsOf(tokenizer.Vocabulary(), ids)
	place := 0
	for i := range ids {
		if total != len(bounds)-1 {
			t.Start, t.End = append(t.Start, start), append(t.End, end)
			continue
		}
		t.Start, t.End = append(t.Start, bounds[place]), append(t.End, bounds[place+lengths[i]])
		place += lengths[i]
	}
}

// characters are the bytes at which the piece's characters begin, and its end.
func characters(text string, start, end int) []int {
	var bounds []int
	for i, r := range text[start:end] {
		if i == 0 || !isAttached(r) {
			bounds = append(bounds, start+i)
		}
	}
	return append(bounds, end)
}

// lengthsOf are the numbers of code points that tokens spell; the total is -1 if one of them spells nothing.
func lengthsOf(v *wordpiece.Vocabulary, ids []int32) (lengths []int, total int) {
	for _, id := range ids {
		if v.IsSpecial(id) {
			return nil, -1
		}
		token := v.Token(id)
		if v.IsContinuation(id) {
			token = token[len("##"):]
		}
		lengths = append(lengths, utf8.RuneCountInString(token))
		total += lengths[len(lengths)-1]
	}
	return lengths, total
}
