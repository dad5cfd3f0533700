package squad

import (
	"math"
	"slices"

	"elektron/internal/fault"
)

// Rules say which spans of a window may be answers.
type Rules struct {
	MaxAnswer int // tokens
	Best      int // candidates to keep for a question
}

// Candidate is a possible answer: a part of the context as it stands there, and the sum of the log-probabilities of its
// first and its last token.
type Candidate struct {
	Text  string  `json:"text"`
	Score float64 `json:"score"`
}

// Prediction is what a model says of a question.
type Prediction struct {
	ID       string
	Best     []Candidate // the best one first, no text twice; at least one unless the context has no token
	NoAnswer float64     // V2: log-odds that the context holds no answer
}

// Text is the best answer, "" if there is none.
func (p *Prediction) Text() string {
	if len(p.Best) == 0 {
		return ""
	}
	return p.Best[0].Text
}

// Width is how many numbers a model has for window i: for each token of the context the log-probability that the answer
// begins there, for each that it ends there and, in V2, the log-odds that the window holds none.
func (w *Windows) Width(i int) int {
	n := 2 * w.List[i].Count
	if w.Set.Version == V2 {
		n++
	}
	return n
}

// Predict answers every question from the numbers of its windows (see Width). A span's text is a part of the context.
// All spans of at most so many tokens are looked at whose first token has the most context in that window, so that
// no span counts in two windows (BERT's code looks at the best 20 begins and ends only). A question has no answer
// as far as its least doubtful window has none. A number that is not finite is an error of kind fault.Diverged.
func (w *Windows) Predict(outputs [][]float32, rules Rules) ([]Prediction, error) {
	if err := w.check(outputs); err != nil {
		return nil, err
	}
	predictions := make([]Prediction, len(w.Set.Questions))
	for q := range predictions {
		predictions[q] = w.predict(q, outputs, rules)
	}
	return predictions, nil
}

// check checks the shape and that every number is finite.
func (w *Windows) check(outputs [][]float32) error {
	if len(outputs) != len(w.List) {
		return fault.New(fault.Internal, "squad: %s: outputs for %d windows, want %d", w.Set.Name, len(outputs), len(w.List))
	}
	for i, row := range outputs {
		if len(row) != w.Width(i) {
			return fault.New(fault.Internal, "squad: %s: window %d has %d numbers, want %d", w.Set.Name, i, len(row), w.Width(i))
		}
		for _, x := range row {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return fault.New(fault.Diverged, "squad: %s: the model's output for window %d is %v; fine-tune with a lower learning rate", w.Set.Name, i, x)
			}
		}
	}
	return nil
}

// span is a candidate as places in the context's tokens.
type span struct {
	first, last int
	score       float64
}

func (w *Windows) predict(q int, outputs [][]float32, rules Rules) Prediction {
	question := &w.Set.Questions[q]
	p := Prediction{ID: question.ID}
	windows, at := w.Of(q)
	widest := w.widest(q)
	best := list{most: rules.Best}
	for i, x := range windows {
		row := outputs[at+i]
		starts, ends := row[:x.Count], row[x.Count:2*x.Count]
		for s := range starts {
			if widest[x.First+s] != i {
				continue
			}
			for e := s; e < min(s+rules.MaxAnswer, x.Count); e++ {
				best.add(span{x.First + s, x.First + e, float64(starts[s]) + float64(ends[e])})
			}
		}
		if w.Set.Version == V2 {
			if odds := float64(row[2*x.Count]); i == 0 || odds < p.NoAnswer {
				p.NoAnswer = odds
			}
		}
	}
	tokens, context := &w.contexts[question.Context], w.Set.Contexts[question.Context]
	for _, x := range best.spans {
		text := context[tokens.Start[x.first]:tokens.End[x.last]]
		if !slices.ContainsFunc(p.Best, func(c Candidate) bool { return c.Text == text }) {
			p.Best = append(p.Best, Candidate{text, x.score})
		}
	}
	return p
}

// list keeps the best spans, the best first, of equals the one that came first.
type list struct {
	spans []span
	most  int
}

func (l *list) add(x span) {
	if len(l.spans) >= l.most && x.score <= l.spans[len(l.spans)-1].score {
		return
	}
	place, _ := slices.BinarySearchFunc(l.spans, x.score, func(s span, score float64) int {
		if s.score >= score {
			return -1
		}
		return 1
	})
	l.spans = slices.Insert(l.spans, place, x)
	l.spans = l.spans[:min(len(l.spans), l.most)]
}

// SameForAll says whether every question got the same answer, and is thought to have one or not alike: nothing was learnt.
func SameForAll(predictions []Prediction, threshold float64) bool {
	for i := range predictions {
		if predictions[i].Answer(threshold) != predictions[0].Answer(threshold) {
			return false
		}
	}
	return len(predictions) > 0
}

// Answer is the best answer, or "" where the log-odds that there is none are above the threshold. In V1 they are 0:
// give a threshold of at least that.
func (p *Prediction) Answer(threshold float64) string {
	if p.NoAnswer > threshold {
		return ""
	}
	return p.Text()
}
