package wordpiece

import "strings"

// spacing takes out the spaces that Decode puts before English punctuation and contractions.
var spacing = []struct{ from, to string }{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"},
	{" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

// Decode returns ids as readable text, special tokens included: pieces of a word are joined, and spaces
// before punctuation are taken out, as HF's BERT tokenizers do. What normalisation lost stays lost.
func (t *Tokenizer) Decode(ids []int32) string {
	var out strings.Builder
	for i, id := range ids {
		token := t.vocabulary.Token(id)
		rest, joined := strings.CutPrefix(token, ContinuationPrefix)
		switch {
		case i == 0:
			out.WriteString(token)
		case joined:
			out.WriteString(rest)
		default:
			out.WriteString(" " + token)
		}
	}
	text := out.String()
	for _, s := range spacing {
		text = strings.ReplaceAll(text, s.from, s.to)
	}
	return text
}
