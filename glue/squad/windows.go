package squad

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
)

// Cutting says how contexts are cut into windows, in tokens.
type Cutting struct {
	MaxLength   int // of a window with its question and three special tokens
	MaxQuestion int // longer questions are cut at their end
	Stride      int // from one window's begin to the next one's
}

// Validate gives an error of kind fault.Usage if windows would have no room.
func (c Cutting) Validate() error {
	if c.MaxQuestion >= 1 && c.Stride >= 1 && c.MaxLength >= c.MaxQuestion+4 {
		return nil
	}
	return fault.New(fault.Usage, "windows of %d tokens at strides of %d, with %d for the question: a window needs room for the question, three special tokens and one of the context; raise the length or lower the question's",
		c.MaxLength, c.Stride, c.MaxQuestion)
}

// Window is a part of a context behind its question: [CLS] question [SEP] part [SEP].
type Window struct {
	Question     int // its place in Set.Questions
	First, Count int // tokens of the context
	Second       int // where they begin in the row: the question's length and 2
	Start, End   int // places in the row of the first and last token of the answer to learn; 0, which is [CLS], if it holds none
}

// Windows are a set's questions as rows for a model.
type Windows struct {
	Set  *Set
	List []Window // those of a question stand together

	QuestionsCut int // questions that were longer than the limit
	Unlearnable  int // for training: questions left out, for no window holds the whole answer or its place is unknown

	tokenizer *wordpiece.Tokenizer
	contexts  []Tokens  // of Set.Contexts
	questions [][]int32 // ids
	first     []int     // [questions+1] where the windows of each begin in List
}

// Cut makes the windows of a set, each context's tokens from stride to stride until its end is reached, as BERT's code for
// SQuAD cuts them. For training, windows learn the first answer that has a place; one that does not hold all of it
// learns that there is none, and a question is left out, and counted, if that goes for all of its windows.
func Cut(s *Set, tokenizer *wordpiece.Tokenizer, c Cutting, training bool) (*Windows, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	w := &Windows{Set: s, tokenizer: tokenizer, first: []int{0}}
	for _, context := range s.Contexts {
		w.contexts = append(w.contexts, Tokenize(tokenizer, context))
	}
	for i := range s.Questions {
		w.add(i, c, training)
		w.first = append(w.first, len(w.List))
	}
	return w, nil
}

// add cuts for a question.
func (w *Windows) add(i int, c Cutting, training bool) {
	q := &w.Set.Questions[i]
	ids := w.tokenizer.Encode(q.Text)
	if len(ids) > c.MaxQuestion {
		w.QuestionsCut++
		ids = ids[:c.MaxQuestion]
	}
	w.questions = append(w.questions, ids)
	from := len(w.List)
	room := c.MaxLength - len(ids) - 3
	n := len(w.contexts[q.Context].IDs)
	for first := 0; ; first += min(room, c.Stride) {
		w.List = append(w.List, Window{Question: i, First: first, Count: min(room, n-first), Second: len(ids) + 2})
		if first+room >= n {
			break
		}
	}
	if training && q.Answerable() && !w.aim(q, w.List[from:]) {
		w.Unlearnable++
		w.List = w.List[:from]
	}
}

// aim sets the answer that windows learn. It reports whether one of them holds it.
func (w *Windows) aim(q *Question, windows []Window) bool {
	place := q.place()
	if place < 0 {
		return false
	}
	a := q.Answers[place]
	first, last := w.contexts[q.Context].covering(a.Start, a.Start+len(a.Text))
	held := false
	for i := range windows {
		x := &windows[i]
		if first <= last && first >= x.First && last < x.First+x.Count {
			x.Start, x.End = x.Second+first-x.First, x.Second+last-x.First
			held = true
		}
	}
	return held
}

// covering gives the first and the last token that have a part of text[start:end]; first is larger if there is none.
func (t *Tokens) covering(start, end int) (first, last int) {
	for first = 0; first < len(t.IDs) && t.End[first] <= start; first++ {
	}
	for last = len(t.IDs) - 1; last >= 0 && t.Start[last] >= end; last-- {
	}
	return first, last
}

// AppendRow appends the ids of window i.
func (w *Windows) AppendRow(dst []int32, i int) []int32 {
	x, v := w.List[i], w.tokenizer.Vocabulary()
	dst = append(dst, v.ClassID())
	dst = append(dst, w.questions[x.Question]...)
	dst = append(dst, v.SepID())
	dst = append(dst, w.contexts[w.Set.Questions[x.Question].Context].IDs[x.First:x.First+x.Count]...)
	return append(dst, v.SepID())
}

// Of gives the windows of question q, and the place of the first one in List.
func (w *Windows) Of(q int) (windows []Window, first int) {
	return w.List[w.first[q]:w.first[q+1]], w.first[q]
}

// Unknown counts [UNK] among the tokens of contexts, and all of them.
func (w *Windows) Unknown() (unknown, tokens int) {
	id := w.tokenizer.Vocabulary().UnknownID()
	for _, context := range w.contexts {
		for _, x := range context.IDs {
			if x == id {
				unknown++
			}
		}
		tokens += len(context.IDs)
	}
	return unknown, tokens
}

// widest says for each token of a question's context in which of its windows it has the most context: the most tokens
// on its shorter side, and of equals that in the longer window (BERT's "maximal context").
func (w *Windows) widest(q int) []int {
	windows, _ := w.Of(q)
	best := make([]int, len(w.contexts[w.Set.Questions[q].Context].IDs))
	scores := make([]float64, len(best))
	for i, x := range windows {
		for t := x.First; t < x.First+x.Count; t++ {
			score := 1 + float64(min(t-x.First, x.First+x.Count-1-t)) + 0.01*float64(x.Count)
			if score > scores[t] {
				best[t], scores[t] = i, score
			}
		}
	}
	return best
}

// Hash tells the questions, answers and contexts of sets apart.
func (s *Set) Hash() string {
	h := sha256.New()
	for _, context := range s.Contexts {
		fmt.Fprintf(h, "%q\n", context)
	}
	for _, q := range s.Questions {
		fmt.Fprintf(h, "%q %q %d", q.ID, q.Text, q.Context)
		for _, a := range q.Answers {
			fmt.Fprintf(h, " %q %d", a.Text, a.Start)
		}
		fmt.Fprintln(h)
	}
	return hex.EncodeToString(h.Sum(nil))
}
