package squad

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"elektron/internal/fault"
)

func TestNormalize(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"The Eiffel  Tower!", "eiffel tower"},
		{"an apple a day", "apple day"},
		{"A-1", "a1"}, // the hyphen goes first: no article is left
		{"a - b", "b"},
		{"theory of the Anathema", "theory of anathema"},
		{"$5.00", "500"},
		{"l’an", "l’"}, // a quotation mark that is not ASCII stays, and bounds a word
		{"à la carte", "à la carte"},
		{"ÉTÉ\u00a0\t x", "été x"},
		{"a\x1cb the_a", "b thea"},
		{"a é the", "é"},
		{"—a—", "— —"},
		{"the", ""},
		{"  ", ""},
	} {
		if got := Normalize(c.text); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestOneAnswer has cases that were computed by hand.
func TestOneAnswer(t *testing.T) {
	for _, c := range []struct {
		version            Version
		answer, prediction string
		em, f1             float64
	}{
		{V1, "Thales of Miletus", "the Thales of Miletus", 1, 1},
		{V1, "Thales of Miletus", "Thales", 0, 0.5}, // precision 1, recall 1/3
		{V1, "Thales of Miletus", "Miletus, of all", 0, 2 * (2.0 / 3) * (2.0 / 3) / (4.0 / 3)},
		{V1, "b b c", "b b b", 0, 2.0 / 3}, // two of three
		{V1, "x", "y", 0, 0},
		{V1, "the", "a", 1, 0}, // both empty: in 1.1 no common word
		{V2, "the", "a", 1, 1},
		{V2, "the", "x", 0, 0},
		{V2, "x", "", 0, 0},
	} {
		if em, f1 := ExactMatch(c.answer, c.prediction), F1(c.version, c.answer, c.prediction); em != c.em || math.Abs(f1-c.f1) > 1e-12 {
			t.Errorf("%v, %q for %q: %g and %g, want %g and %g", c.version, c.prediction, c.answer, em, f1, c.em, c.f1)
		}
	}
}

// predicted makes predictions of texts with log-odds.
func predicted(pairs ...any) []Prediction {
	var list []Prediction
	for i := 0; i < len(pairs); i += 2 {
		p := Prediction{NoAnswer: pairs[i+1].(float64)}
		if text := pairs[i].(string); text != "" {
			p.Best = []Candidate{{Text: text}}
		}
		list = append(list, p)
	}
	return list
}

func answers(texts ...string) (list []Answer) {
	for _, text := range texts {
		list = append(list, Answer{Text: text})
	}
	return list
}

// TestEvaluate follows the official scripts by hand.
func TestEvaluate(t *testing.T) {
	v1 := &Set{Version: V1, Questions: []Question{{Answers: answers("amber", "fossilised resin")}, {Answers: answers("Thales of Miletus", "Thales")}, {Answers: answers("fur")}}}
	v2 := &Set{Version: V2, Questions: []Question{
		{Answers: answers("amber")}, {Answers: answers("fossilised tree resin")}, {}, {}, {Answers: answers("the", "Gdańsk")}, {Answers: answers("a")}}}
	for _, c := range []struct {
		name        string
		set         *Set
		predictions []Prediction
		threshold   float64
		want        map[string]float64
	}{
		{"1.1", v1, predicted("the resin", 0.0, "Thales", 0.0, "wool", 0.0), 0, map[string]float64{"exact_match": 100.0 / 3, "f1": 100 * (2.0/3 + 1) / 3}},
		// Scores of the texts: 1/1, 0/0.8, impossible, impossible, 1/1, and for the last, whose only answer has no words, 0/0.
		// At 0 the third is unanswered, which is right, and the fifth, which is wrong. Sorted by odds:
		// -3 (q0) 2+1=3, -2 (q3, impossible) 2, -1 (q1) 2/2.8, -0.5 (q5) 2/2.8, 1 (q4) 3/3.8, 2 (q2) 2/2.8: best EM 3 at -3, best F1 3.8 at 1.
		{"2.0", v2, predicted("Amber", -3.0, "tree resin", -1.0, "x", 2.0, "y", -2.0, "Gdańsk", 1.0, "z", -0.5), 0, map[string]float64{
			"exact": 100 * 2.0 / 6, "f1": 100 * 2.8 / 6, "total": 6, "HasAns_exact": 25, "HasAns_f1": 45, "HasAns_total": 4,
			"NoAns_exact": 50, "NoAns_f1": 50, "NoAns_total": 2, "best_exact": 50, "best_exact_thresh": -3, "best_f1": 100 * 3.8 / 6, "best_f1_thresh": 1}},
		{"2.0, all answered", v2, predicted("Amber", -3.0, "tree resin", -1.0, "x", 2.0, "y", -2.0, "Gdańsk", 1.0, "z", -0.5), 9, map[string]float64{
			"exact": 100 * 2.0 / 6, "f1": 100 * 2.8 / 6, "total": 6, "HasAns_exact": 50, "HasAns_f1": 70, "HasAns_total": 4,
			"NoAns_exact": 0, "NoAns_f1": 0, "NoAns_total": 2, "best_exact": 50, "best_exact_thresh": -3, "best_f1": 100 * 3.8 / 6, "best_f1_thresh": 1}},
		{"2.0, none answered is best", &Set{Version: V2, Questions: []Question{{}, {Answers: answers("b")}}}, predicted("x", 1.0, "c", 2.0), 0, map[string]float64{
			"exact": 50, "f1": 50, "total": 2, "HasAns_exact": 0, "HasAns_f1": 0, "HasAns_total": 1, "NoAns_exact": 100, "NoAns_f1": 100, "NoAns_total": 1,
			"best_exact": 50, "best_exact_thresh": 0, "best_f1": 50, "best_f1_thresh": 0}},
		{"2.0, no text for a question without answer", &Set{Version: V2, Questions: []Question{{}}}, predicted("", -1.0), 0, map[string]float64{
			"exact": 100, "f1": 100, "total": 1, "NoAns_exact": 100, "NoAns_f1": 100, "NoAns_total": 1, "best_exact": 100, "best_exact_thresh": 0, "best_f1": 100, "best_f1_thresh": 0}},
	} {
		scores, err := Evaluate(c.set, c.predictions, c.threshold)
		if err != nil {
			t.Fatal(err)
		}
		got := scores.Official(c.set.Version)
		if a, b := fmt.Sprint(slices.Sorted(maps.Keys(got))), fmt.Sprint(slices.Sorted(maps.Keys(c.want))); a != b {
			t.Errorf("%s: keys %s, want %s", c.name, a, b)
		}
		for key, want := range c.want {
			if math.Abs(got[key]-want) > 1e-9 {
				t.Errorf("%s: %s is %g, want %g", c.name, key, got[key], want)
			}
		}
	}
	if _, err := Evaluate(v1, nil, 0); fault.KindOf(err) != fault.Internal {
		t.Errorf("no predictions: %v", err)
	}
}
