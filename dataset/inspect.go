package dataset

import (
	"fmt"
	"io"
	"strings"

	"elektron/dataset/wordpiece"
)

// Statistics describe the examples of a dataset, each counted once.
type Statistics struct {
	Examples     int64
	Tokens       int64    // of text
	MeanLength   float64  // with [CLS] and [SEP]
	FillRate     float64  // tokens that are no padding, special ones included, as a share of Examples*S
	OneSegment   float64  // share of examples without a second segment
	Short        float64  // share of examples shorter than S
	DocumentEnd  float64  // share of examples that end a document: most of the others' exceptions
	MeanA, MeanB float64  // tokens of the segments, over the examples that have two
	Lengths      [8]int64 // examples by length, in eighths of S
}

// Statistics goes once over the index.
func (d *Dataset) Statistics() Statistics {
	s := Statistics{Examples: d.Examples(), Tokens: d.Tokens()}
	var length, one, short, a, b int64
	documents := 0
	for i := range d.parts {
		documents += d.parts[i].tokens.NumDocuments()
		for _, e := range d.parts[i].examples {
			n := e.length()
			length += int64(n)
			s.Lengths[(n-1)*len(s.Lengths)/d.options.SeqLen]++
			if n < d.options.SeqLen {
				short++
			}
			if e.lenB() == 0 {
				one++
			} else {
				a += int64(e.lenA())
				b += int64(e.lenB())
			}
		}
	}
	n := float64(s.Examples)
	s.MeanLength = float64(length) / n
	s.FillRate = s.MeanLength / float64(d.options.SeqLen)
	s.OneSegment, s.Short = float64(one)/n, float64(short)/n
	s.DocumentEnd = float64(documents) / n
	two := float64(max(1, s.Examples-one))
	s.MeanA, s.MeanB = float64(a)/two, float64(b)/two
	return s
}

// String is the statistics as a few lines of text.
func (s Statistics) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "examples       %d of %.1f tokens on average; %.1f %% of a row is no padding\n", s.Examples, s.MeanLength, 100*s.FillRate)
	fmt.Fprintf(&b, "text tokens    %d, each in one example\n", s.Tokens)
	fmt.Fprintf(&b, "two segments   %.1f %% (A %.1f and B %.1f tokens on average), one segment %.1f %%\n", 100*(1-s.OneSegment), s.MeanA, s.MeanB, 100*s.OneSegment)
	fmt.Fprintf(&b, "short          %.1f %%; %.1f %% of the examples end a document\n", 100*s.Short, 100*s.DocumentEnd)
	fmt.Fprint(&b, "by length     ")
	for i, n := range s.Lengths {
		fmt.Fprintf(&b, " ≤%d/8 %.1f %%", i+1, 100*float64(n)/float64(s.Examples))
	}
	return b.String()
}

// cause says why an example is not the usual one, full and of two segments; empty for a usual one.
func (d *Dataset) cause(from *part, e example) string {
	full, two := e.length() == d.options.SeqLen, e.lenB() > 0
	if full && two {
		return ""
	}
	var odd []string
	if !full {
		odd = append(odd, "short")
	}
	if !two {
		odd = append(odd, "one segment")
	}
	why := "by chance, as in 5 % (short) and 10 % (one segment) of the examples"
	if from.finished && !d.options.OneSegment {
		why = "it was read as a finished example"
	} else if endsDocument(from.tokens, e) {
		why = "the document ends here"
	} else if d.options.OneSegment && full {
		why = "no second segments are asked for"
	}
	return strings.Join(odd, ", ") + ": " + why
}

// endsDocument tells whether the last token of an example is that of a document.
func endsDocument(text source, e example) bool {
	end := e.start() + e.lenA() + e.lenB()
	low, high := 0, text.NumDocuments()-1
	for low < high { // the first document that ends at end or later
		if middle := (low + high) / 2; text.Document(middle).End < end {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return text.Document(low).End == end
}

// maskLegend explains the marks of writeRow.
const maskLegend = "{word}: the generator sees [MASK]; <word>: to be predicted too, but the generator sees it as it is"

// writeRow prints a row of a batch as text.
func (d *Dataset) writeRow(w io.Writer, v *wordpiece.Vocabulary, b *Batch, row int) {
	number := b.Examples[row]
	from, e := d.example(number)
	marks := map[int32]string{}
	masked, shown := 0, 0
	for slot := row * b.Masked; slot < (row+1)*b.Masked && b.MaskedWeights[slot] > 0; slot++ {
		masked++
		marks[b.MaskedPositions[slot]] = "{}"
		if b.MaskedInputs[slot] != d.special.mask {
			marks[b.MaskedPositions[slot]] = "<>"
			shown++
		}
	}
	fmt.Fprintf(w, "example %d: %d tokens, %d to predict (%d of them shown)", number, b.Lengths[row], masked, shown)
	if cause := d.cause(from, e); cause != "" {
		fmt.Fprintf(w, " [%s]", cause)
	}
	ids := b.IDs[row*b.SeqLen : (row+1)*b.SeqLen]
	fmt.Fprintf(w, "\n  A %s\n", marked(v, ids, marks, 1, 1+e.lenA()))
	if e.lenB() > 0 {
		fmt.Fprintf(w, "  B %s\n", marked(v, ids, marks, 2+e.lenA(), 2+e.lenA()+e.lenB()))
	}
}

// marked writes the tokens at positions [start, end) as words, with a pair of signs around marked ones.
func marked(v *wordpiece.Vocabulary, ids []int32, marks map[int32]string, start, end int) string {
	var b strings.Builder
	for i := start; i < end; i++ {
		token := v.Token(ids[i])
		if v.IsContinuation(ids[i]) && i > start {
			token = strings.TrimPrefix(token, wordpiece.ContinuationPrefix)
		} else if i > start {
			b.WriteByte(' ')
		}
		if mark := marks[int32(i)]; mark != "" {
			token = mark[:1] + token + mark[1:]
		}
		b.WriteString(token)
	}
	return b.String()
}
