package squad

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// amberContext has characters of one to four bytes before its last answer.
const amberContext = "Amber is fossilised tree resin. Thales of Miletus (Θαλῆς), who lived about 600 BC, is said to have rubbed amber — in Greek ἤλεκτρον 🟠 — with fur; " +
	"the café’s owner in Gdańsk sells €12 pieces."

// amber is a file of one paragraph; each question is a text, and an answer that stands in the context, or none.
func amber(t testing.TB, version Version, pairs ...string) *Set {
	t.Helper()
	var qas []map[string]any
	for i := 0; i < len(pairs); i += 2 {
		qa := map[string]any{"id": fmt.Sprint("q", i/2), "question": pairs[i], "answers": []any{}}
		if pairs[i+1] != "" {
			start := len([]rune(amberContext[:strings.Index(amberContext, pairs[i+1])]))
			qa["answers"] = []any{map[string]any{"text": pairs[i+1], "answer_start": start}}
		}
		qas = append(qas, qa)
	}
	text, err := json.Marshal(map[string]any{"version": "x", "data": []any{map[string]any{"title": "Amber",
		"paragraphs": []any{map[string]any{"context": amberContext, "qas": qas}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return read(t, version, string(text))
}

func read(t testing.TB, version Version, text string) *Set {
	t.Helper()
	s, err := Read(version, "amber.json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAnswersInBytes: the files count code points; behind them lie bytes.
func TestAnswersInBytes(t *testing.T) {
	answers := []string{"Amber", "Θαλῆς", "ἤλεκτρον", "🟠", "fur", "café", "Gdańsk", "€12"}
	var pairs []string
	for _, a := range answers {
		pairs = append(pairs, "What?", a)
	}
	s := amber(t, V1, pairs...)
	for i, q := range s.Questions {
		if a := q.Answers[0]; a.Start < 0 || s.Contexts[q.Context][a.Start:a.Start+len(a.Text)] != answers[i] || q.Unplaced() {
			t.Errorf("%s: %+v", answers[i], a)
		}
	}
	if s.Misplaced != 0 || len(s.Warnings()) != 0 || s.Unique() != nil {
		t.Errorf("%+v", s)
	}
}

// oneQuestion is a file with a question whose fields are given.
func oneQuestion(fields string) string {
	return `{"data":[{"paragraphs":[{"context":"a b c","qas":[{` + fields + `}]}]}]}`
}

func TestReadRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		version Version
		text    string
		says    string
	}{
		{"no JSON", V1, "{\n\"data\": [,", ":2 (byte 12)"},
		{"cut off", V1, oneQuestion(`"id":"x"`)[:40], "unexpected end"},
		{"another type", V1, "{\"data\":\n7}", ":2"},
		{"nothing", V1, "", "complete and unchanged"},
		{"no questions", V2, `{"data":[]}`, "no questions"},
		{"other JSON", V1, `{"rows":[1]}`, "no questions"},
		{"no context", V1, `{"data":[{"paragraphs":[{"qas":[]}]}]}`, "data[0].paragraphs[0]: there is no context"},
		{"empty context", V1, `{"data":[{"paragraphs":[{"context":" \n","qas":[]}]}]}`, "there is no context"},
		{"no id", V1, oneQuestion(`"question":"x?"`), "qas[0]: the question has no id"},
		{"no text", V1, oneQuestion(`"id":"7"`), `qas[0] (id "7"): the question has no text`},
		{"no answer in 1.1", V1, oneQuestion(`"id":"7","question":"x?","answers":[]`), "only SQuAD 2.0"},
		{"impossible with an answer", V2, oneQuestion(`"id":"7","question":"x?","is_impossible":true,"answers":[{"text":"a","answer_start":0}]`), "is_impossible is true, but there are 1 answers"},
		{"possible without", V2, oneQuestion(`"id":"7","question":"x?","is_impossible":false,"answers":[]`), "there are 0 answers"},
		{"no start", V1, oneQuestion(`"id":"7","question":"x?","answers":[{"text":"a"}]`), "answers[0] has no answer_start"},
	} {
		_, err := Read(c.version, "dev.json", strings.NewReader(c.text))
		if fault.KindOf(err) != fault.Data || !strings.Contains(fmt.Sprint(err), c.says) || !strings.Contains(fmt.Sprint(err), "dev.json") {
			t.Errorf("%s: %v; want %q", c.name, err, c.says)
		}
	}
}

// TestMisplaced: answers that are not where the file says are kept, counted and named.
func TestMisplaced(t *testing.T) {
	for _, c := range []struct {
		answer         string
		start, correct int
	}{{"b", 2, 2}, {"c", 4, 4}, {"b", 1, -1}, {"d", 0, -1}, {"b", 99, -1}, {"b", -3, -1}, {"c ", 4, -1}, {"", 2, -1}} {
		s := read(t, V1, "\uFEFF"+oneQuestion(fmt.Sprintf(`"id":"7","question":"x?","answers":[{"text":%q,"answer_start":%d}]`, c.answer, c.start)))
		q := s.Questions[0]
		if q.Answers[0] != (Answer{c.answer, c.correct}) || s.Misplaced != map[bool]int{true: 1}[c.correct < 0] || q.Unplaced() != (c.correct < 0) {
			t.Errorf("%q at %d: %+v, %d misplaced", c.answer, c.start, q, s.Misplaced)
		}
		if text := strings.Join(s.Warnings(), ""); strings.Contains(text, `qas[0] (id "7")`) != (c.correct < 0) {
			t.Errorf("%q at %d: warnings %q", c.answer, c.start, text)
		}
	}
}

func TestSetWarnings(t *testing.T) {
	if got := amber(t, V2, "What?", "fur").Warnings(); len(got) != 1 || !strings.Contains(got[0], "every question has an answer") {
		t.Errorf("%q", got)
	}
	s := amber(t, V2, "What?", "fur", "Where?", "")
	if got := s.Warnings(); got != nil {
		t.Errorf("%q", got)
	}
	s.Questions[1].ID = "q0"
	if err := s.Unique(); fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), `"q0" is there twice`) {
		t.Errorf("ids: %v", err)
	}
	other := amber(t, V2, "What?", "fur", "Where?", "Gdańsk")
	if s.Hash() == other.Hash() || other.Hash() != amber(t, V2, "What?", "fur", "Where?", "Gdańsk").Hash() {
		t.Error("hashes do not tell sets apart")
	}
}

// FuzzRead: no text makes Read fall, and what it takes can be cut.
func FuzzRead(f *testing.F) {
	f.Add(oneQuestion(`"id":"7","question":"x?","answers":[{"text":"b","answer_start":2}]`), true)
	f.Add(oneQuestion(`"id":"7","question":"x?","is_impossible":true,"answers":[]`), false)
	tokenizer := uncased(f)
	f.Fuzz(func(t *testing.T, text string, first bool) {
		version := V2
		if first {
			version = V1
		}
		s, err := Read(version, "fuzz.json", strings.NewReader(text))
		if err != nil {
			return
		}
		w, err := Cut(s, tokenizer, Cutting{MaxLength: 12, MaxQuestion: 3, Stride: 4}, true)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range w.List {
			if row := w.AppendRow(nil, i); len(row) > 12 || x.Count < 0 || x.End < x.Start || x.End >= len(row) {
				t.Errorf("window %+v", x)
			}
		}
	})
}
