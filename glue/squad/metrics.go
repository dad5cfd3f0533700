package squad

import (
	"slices"
	"strings"
	"unicode"

	"elektron/internal/fault"
)

// Normalize is how the official scripts compare answers: lower case, without ASCII punctuation, without the words a, an
// and the, and with single spaces.
func Normalize(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < 0x7f && isPunctuation(r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
	return strings.Join(strings.FieldsFunc(withoutArticles(text), isPythonSpace), " ")
}

// isPythonSpace is what Python's str.split splits at.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// withoutArticles puts a space for each article. A word is what Python's regular expressions take for one, where \b is not ASCII's.
func withoutArticles(text string) string {
	var b strings.Builder
	isWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || r == '_' }
	for len(text) > 0 {
		n := strings.IndexFunc(text, func(r rune) bool { return !isWord(r) })
		if n < 0 {
			n = len(text)
		}
		switch word := text[:n]; word {
		case "a", "an", "the":
			b.WriteByte(' ')
		default:
			b.WriteString(word)
		}
		text = text[n:]
		rest := strings.IndexFunc(text, isWord)
		if rest < 0 {
			rest = len(text)
		}
		b.WriteString(text[:rest])
		text = text[rest:]
	}
	return b.String()
}

// ExactMatch is 1 if two answers are the same once normalised, else 0.
func ExactMatch(answer, prediction string) float64 {
	if Normalize(answer) == Normalize(prediction) {
		return 1
	}
	return 0
}

// F1 is the harmonic mean of precision and recall of the predicted words, each counted as often as it stands in both. Where
// one has no words it is 0 in V1, and in V2 1 if the other has none either.
func F1(version Version, answer, prediction string) float64 {
	want, got := strings.Fields(Normalize(answer)), strings.Fields(Normalize(prediction))
	if version == V2 && (len(want) == 0 || len(got) == 0) {
		return ExactMatch(answer, prediction)
	}
	left := map[string]int{}
	for _, word := range want {
		left[word]++
	}
	same := 0
	for _, word := range got {
		if left[word] > 0 {
			left[word]--
			same++
		}
	}
	if same == 0 {
		return 0
	}
	return 2 * float64(same) / float64(len(want)+len(got))
}

// score is that of one prediction: the best over the answers of several people. In V2 an answer without words
// does not count, and a question without answers has the answer "".
func (q *Question) score(version Version, prediction string) (em, f1 float64) {
	any := false
	for _, a := range q.Answers {
		if version == V2 && Normalize(a.Text) == "" {
			continue
		}
		any = true
		em, f1 = max(em, ExactMatch(a.Text, prediction)), max(f1, F1(version, a.Text, prediction))
	}
	if !any && version == V2 {
		return ExactMatch("", prediction), F1(version, "", prediction)
	}
	return em, f1
}

// Measure is a mean over some questions, from 0 to 1.
type Measure struct {
	EM, F1 float64
	Count  int
}

// Best is the highest mean that some threshold of the log-odds gives, and that threshold.
type Best struct{ Score, Threshold float64 }

// Scores are what the official script of a version prints. In V1 all but All are zero.
type Scores struct {
	All                 Measure
	HasAnswer, NoAnswer Measure // over questions with an answer and without
	BestEM, BestF1      Best    // over thresholds, chosen on these questions: a little too good
}

// Evaluate measures predictions for all questions of a set, in their order. In V2 a question counts as answered with ""
// where the log-odds are above the threshold.
func Evaluate(s *Set, predictions []Prediction, threshold float64) (*Scores, error) {
	if len(predictions) != len(s.Questions) {
		return nil, fault.New(fault.Internal, "squad: %s: %d predictions for %d questions", s.Name, len(predictions), len(s.Questions))
	}
	var scores Scores
	em, f1 := make([]float64, len(predictions)), make([]float64, len(predictions))
	for i := range predictions {
		q, p := &s.Questions[i], &predictions[i]
		em[i], f1[i] = q.score(s.Version, p.Text())
		exact, overlap := em[i], f1[i]
		if s.Version == V2 && p.NoAnswer > threshold {
			exact, overlap = 0, 0
			if !q.Answerable() {
				exact, overlap = 1, 1
			}
		}
		scores.All.add(exact, overlap)
		if s.Version == V2 && q.Answerable() {
			scores.HasAnswer.add(exact, overlap)
		} else if s.Version == V2 {
			scores.NoAnswer.add(exact, overlap)
		}
	}
	for _, m := range []*Measure{&scores.All, &scores.HasAnswer, &scores.NoAnswer} {
		m.EM, m.F1 = m.EM/float64(max(1, m.Count)), m.F1/float64(max(1, m.Count))
	}
	if s.Version == V2 {
		scores.BestEM, scores.BestF1 = bestThreshold(s, predictions, em), bestThreshold(s, predictions, f1)
	}
	return &scores, nil
}

// add sums up.
func (m *Measure) add(em, f1 float64) {
	m.EM, m.F1, m.Count = m.EM+em, m.F1+f1, m.Count+1
}

// bestThreshold goes through the questions from the one that has an answer most surely. A threshold at its odds answers it
// and all before it. As in the official script (find_best_thresh), which starts from answering none at a
// threshold of 0, equal odds are taken one after the other, in the order of the file.
func bestThreshold(s *Set, predictions []Prediction, scores []float64) Best {
	order := make([]int, len(scores))
	sum := 0.0
	for i := range order {
		order[i] = i
		if !s.Questions[i].Answerable() {
			sum++
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := predictions[a].NoAnswer, predictions[b].NoAnswer; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	best := Best{Score: sum}
	for _, i := range order {
		switch {
		case s.Questions[i].Answerable():
			sum += scores[i]
		case predictions[i].Text() != "":
			sum--
		}
		if sum > best.Score {
			best = Best{sum, predictions[i].NoAnswer}
		}
	}
	best.Score /= float64(max(1, len(scores)))
	return best
}

// Official are the scores under the keys of the official script, in percent.
func (s *Scores) Official(version Version) map[string]float64 {
	if version == V1 {
		return map[string]float64{"exact_match": 100 * s.All.EM, "f1": 100 * s.All.F1}
	}
	values := map[string]float64{
		"exact": 100 * s.All.EM, "f1": 100 * s.All.F1, "total": float64(s.All.Count),
		"best_exact": 100 * s.BestEM.Score, "best_exact_thresh": s.BestEM.Threshold,
		"best_f1": 100 * s.BestF1.Score, "best_f1_thresh": s.BestF1.Threshold,
	}
	for name, m := range map[string]Measure{"HasAns": s.HasAnswer, "NoAns": s.NoAnswer} {
		if m.Count > 0 { // the official script leaves them out, too
			values[name+"_exact"], values[name+"_f1"], values[name+"_total"] = 100*m.EM, 100*m.F1, float64(m.Count)
		}
	}
	return values
}
