package squad

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// flatOutputs are numbers for all windows that prefer nothing.
func flatOutputs(w *Windows) [][]float32 {
	rows := make([][]float32, len(w.List))
	for i := range rows {
		rows[i] = make([]float32, w.Width(i))
		for k := range rows[i] {
			rows[i][k] = -5
		}
	}
	return rows
}

// prefer raises the log-probability of a span of context tokens in window i.
func prefer(w *Windows, rows [][]float32, i, first, last int, by float32) {
	x := w.List[i]
	rows[i][first-x.First] += by
	rows[i][x.Count+last-x.First] += by
}

// TestPredict: the answer is the part of the original text, with its case, accents and spaces.
func TestPredict(t *testing.T) {
	s := amber(t, V2, "What?", "fossilised tree resin", "Where?", "")
	tokenizer := uncased(t)
	w, err := Cut(s, tokenizer, Cutting{MaxLength: 40, MaxQuestion: 4, Stride: 6}, false)
	if err != nil {
		t.Fatal(err)
	}
	tokens := Tokenize(tokenizer, amberContext)
	rules := Rules{MaxAnswer: 12, Best: 5}
	for _, want := range []string{"fossilised tree resin", "Θαλῆς", "café’s", "€12 pieces.", "Amber", "pieces.", "ἤλεκτρον 🟠"} {
		rows := flatOutputs(w)
		start := strings.Index(amberContext, want)
		first, last := tokens.covering(start, start+len(want))
		windows, at := w.Of(1)
		for i, x := range windows {
			if first >= x.First && last < x.First+x.Count {
				prefer(w, rows, at+i, first, last, 4)
			}
		}
		rows[at+1][w.Width(at+1)-1] = -7
		predictions, err := w.Predict(rows, rules)
		if err != nil {
			t.Fatal(err)
		}
		p := predictions[1]
		if p.Text() != want || p.ID != "q1" || p.NoAnswer != -7 || p.Best[0].Score != -2 || len(p.Best) > 5 || p.Answer(-8) != "" || p.Answer(-7) != want {
			t.Errorf("%q: %+v", want, p)
		}
	}
	if predictions, err := w.Predict(flatOutputs(w), rules); err != nil || !SameForAll(predictions, 0) || SameForAll(nil, 0) {
		t.Errorf("%v, %v", predictions, err)
	}
}

// TestPredictAgainstAll compares with a search over all spans of all windows, on numbers drawn at random.
func TestPredictAgainstAll(t *testing.T) {
	s := amber(t, V1, "What?", "fur", "Where is it?", "Gdańsk")
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		rules := Rules{MaxAnswer: 1 + random.IntN(6), Best: 1 + random.IntN(6)}
		w, err := Cut(s, uncased(t), Cutting{MaxLength: 10 + random.IntN(60), MaxQuestion: 4, Stride: 1 + random.IntN(9)}, false)
		if err != nil {
			t.Fatal(err)
		}
		rows := flatOutputs(w)
		for _, row := range rows {
			for k := range row {
				row[k] = random.Float32()
			}
		}
		predictions, err := w.Predict(rows, rules)
		if err != nil {
			t.Fatal(err)
		}
		for q, p := range predictions {
			best := -1.0
			widest := w.widest(q)
			windows, at := w.Of(q)
			for i, x := range windows {
				for a := x.First; a < x.First+x.Count; a++ {
					for b := x.First; b < x.First+x.Count; b++ {
						if b >= a && b-a < rules.MaxAnswer && widest[a] == i {
							best = max(best, float64(rows[at+i][a-x.First])+float64(rows[at+i][x.Count+b-x.First]))
						}
					}
				}
			}
			if p.Best[0].Score != best {
				t.Errorf("%+v: %g, want %g", rules, p.Best[0].Score, best)
			}
			for k := 1; k < len(p.Best); k++ {
				if p.Best[k].Score > p.Best[k-1].Score || p.Best[k].Text == p.Best[k-1].Text || !strings.Contains(amberContext, p.Best[k].Text) {
					t.Errorf("candidates %+v", p.Best)
				}
			}
		}
	}
}

// TestOverlap: a token counts in the window that shows most around it, whatever another one thinks of it.
func TestOverlap(t *testing.T) {
	s := read(t, V1, oneQuestionAbout("a b c d e f g h", "e"))
	w, err := Cut(s, uncased(t), Cutting{MaxLength: 9, MaxQuestion: 1, Stride: 3}, false) // a b c d e; d e f g h
	if err != nil {
		t.Fatal(err)
	}
	rows := flatOutputs(w)
	prefer(w, rows, 0, 4, 4, 4) // e is on the edge there
	prefer(w, rows, 1, 5, 6, 3)
	predictions, err := w.Predict(rows, Rules{MaxAnswer: 3, Best: 3})
	if err != nil || predictions[0].Text() != "f g" {
		t.Errorf("%+v, %v", predictions, err)
	}
}

func TestPredictRefusals(t *testing.T) {
	s := read(t, V1, oneQuestionAbout("a b c", "b"))
	w, err := Cut(s, uncased(t), Cutting{MaxLength: 9, MaxQuestion: 1, Stride: 3}, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rows [][]float32
		kind fault.Kind
	}{{nil, fault.Internal}, {[][]float32{{1}}, fault.Internal}, {[][]float32{{1, 2, 3, 4, 5, float32(math.NaN())}}, fault.Diverged}, {[][]float32{{1, 2, float32(math.Inf(-1)), 4, 5, 6}}, fault.Diverged}} {
		if _, err := w.Predict(c.rows, Rules{MaxAnswer: 1, Best: 1}); fault.KindOf(err) != c.kind {
			t.Errorf("%v: %v", c.rows, err)
		}
	}
}

// TestNoTokens: a context of which the tokenizer leaves nothing has no answer, and nothing falls.
func TestNoTokens(t *testing.T) {
	s := read(t, V2, `{"data":[{"paragraphs":[{"context":"\u0301","qas":[{"id":"7","question":"x","answers":[]}]}]}]}`)
	w, err := Cut(s, uncased(t), Cutting{MaxLength: 9, MaxQuestion: 1, Stride: 3}, true)
	if err != nil || len(w.List) != 1 || w.Width(0) != 1 {
		t.Fatalf("%+v, %v", w, err)
	}
	predictions, err := w.Predict([][]float32{{-1}}, Rules{MaxAnswer: 3, Best: 3})
	if err != nil || predictions[0].Text() != "" || fmt.Sprint(predictions[0].NoAnswer) != "-1" {
		t.Errorf("%+v, %v", predictions, err)
	}
}

// BenchmarkPredict is a question of a usual length: 160 tokens of context.
func BenchmarkPredict(b *testing.B) {
	s := read(b, V1, oneQuestionAbout(strings.Repeat("a b c d ", 40), "d"))
	w, err := Cut(s, uncased(b), Cutting{MaxLength: 384, MaxQuestion: 64, Stride: 128}, false)
	if err != nil {
		b.Fatal(err)
	}
	rows := flatOutputs(w)
	for k := range rows[0] {
		rows[0][k] = rand.Float32()
	}
	for b.Loop() {
		if _, err := w.Predict(rows, Rules{MaxAnswer: 30, Best: 20}); err != nil {
			b.Fatal(err)
		}
	}
}
