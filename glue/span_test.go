package glue

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/janpfeifer/must"

	"elektron/dataset/wordpiece"
	"elektron/glue/squad"
	"elektron/internal/fault"
	"elektron/trainer"
)

// toyArticles is a file of SQuAD with a question about each of some texts of letters, from 3 to 22 of them. Answers go from an X to a Y with
// at most two letters between them; every third text has neither and no answer, if that may be.
func toyArticles(from, to int, version squad.Version) string {
	var paragraphs []map[string]any
	for i := from; i < to; i++ {
		before := toySafe.Replace(words(i*3, i%12))
		answer := "X " + strings.ToUpper(toySafe.Replace(words(i*5, i%3))) + "y"
		after := " " + toySafe.Replace(words(i*7, i*5%7))
		answers := []map[string]any{{"text": answer, "answer_start": len(before)}}
		if version == squad.V2 && i%3 == 0 {
			answer, answers = "o", nil
		}
		paragraphs = append(paragraphs, map[string]any{"context": before + answer + after,
			"qas": []map[string]any{{"id": fmt.Sprintf("q%d", i), "question": "where " + string(rune('a'+i%20)), "answers": answers}}})
	}
	return string(must.M1(json.Marshal(map[string]any{"data": []map[string]any{{"title": "Letters", "paragraphs": paragraphs}}})))
}

func toySquad(t testing.TB) string {
	return writeFiles(t, map[string]string{
		"SQuAD/train-v1.1.json": toyArticles(0, 96, squad.V1), "SQuAD/dev-v1.1.json": toyArticles(96, 126, squad.V1),
		"SQuAD/train-v2.0.json": toyArticles(0, 120, squad.V2), "SQuAD/dev-v2.0.json": toyArticles(120, 150, squad.V2)})
}

// squadConfig fine-tunes a narrow model on windows of at most 20 tokens.
func squadConfig(t testing.TB, tasks ...string) *Config {
	c := toyConfig(t, toyModel(t, nil), "")
	c.Run.Tasks, c.Run.DataDir = tasks, toySquad(t)
	c.Finetune.MaxSeqLen, c.Finetune.Shapes, c.Squad.MaxQuestion, c.Squad.DocStride, c.Squad.MaxAnswer = 20, 1, 4, 6, 5
	return c
}

func readJSON[T any](t testing.TB, folder, name string) (value T) {
	t.Helper()
	must.M(json.Unmarshal(must.M1(os.ReadFile(filepath.Join(folder, name))), &value))
	return value
}

// TestSquad fine-tunes on both versions what can be learnt, looks at all that is left, and goes on.
func TestSquad(t *testing.T) {
	config := squadConfig(t, "squad2", "squad")
	config.Run.Seeds, config.Run.Ensemble, config.Finetune.Epochs = 2, 2, 5
	results, said := fineTune(t, config)
	for place, name := range []string{"squad1", "squad2"} {
		task := results.Tasks[place]
		s := task.Statistics["dev"]
		if task.Task != name || s[F1].Count != 2 || s[F1].Median < 0.9 || s[ExactMatch].Median < 0.85 || s[F1].Degenerate != 0 || task.Ensemble.Dev["dev"][F1] < 0.9 {
			t.Errorf("%s: %+v\n%s", name, s, said)
		}
		official := readJSON[map[string]float64](t, config.Run.Out, "evaluation-"+name+".json")
		if math.Abs(official["f1"]-100*task.Ensemble.Dev["dev"][F1]) > 1e-9 {
			t.Errorf("%s: %v in the file, %v in the results", name, official, task.Ensemble.Dev)
		}
		texts := readJSON[map[string]string](t, config.Run.Out, "predictions-"+name+".json")
		candidates := readJSON[map[string][]squad.Candidate](t, config.Run.Out, "nbest-"+name+".json")
		set := readSet(t, filepath.Join(config.Run.DataDir, "SQuAD", task.devFile()), squad.Version(place+1))
		exact := 0.0
		for _, q := range set.Questions {
			want := ""
			if q.Answerable() {
				want = q.Answers[0].Text
			}
			exact += squad.ExactMatch(want, texts[q.ID])
			if !strings.Contains(set.Contexts[q.Context], texts[q.ID]) || len(candidates[q.ID]) < 3 {
				t.Errorf("%s: %q of %q, %v", name, texts[q.ID], set.Contexts[q.Context], candidates[q.ID])
			}
		}
		if got := 100 * exact / float64(len(set.Questions)); math.Abs(got-max(official["exact"], official["exact_match"])) > 1e-9 || len(texts) != 30 {
			t.Errorf("%s: %g %% of the predictions are exact, the file says %v", name, got, official)
		}
	}
	if odds := readJSON[map[string]float64](t, config.Run.Out, "null-odds-squad2.json"); len(odds) != 30 || odds["q120"] <= odds["q121"] {
		t.Errorf("odds %v", odds)
	}
	text := string(must.M1(os.ReadFile(filepath.Join(config.Run.Out, ResultsText))))
	for _, want := range []string{"| SQuAD 2.0 | dev | F1, with answer |", "| EM |", "F1 at best threshold", "96 questions; the official file has 87599"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if results.Submission != nil {
		t.Error("a submission without a task of GLUE")
	}
	again, said := fineTune(t, config)
	if strings.Count(said, "finished earlier") != 4 || strings.Contains(said, "begins") || !reflect.DeepEqual(again, results) {
		t.Errorf("finished runs were run again:\n%s", said)
	}
	config.Squad.DocStride = 5
	if _, _, err := tryFineTune(t.Context(), config); fault.ExitCode(err) != 2 || !strings.Contains(fmt.Sprint(err), "squad.doc_stride is 6 there and 5 here") {
		t.Errorf("another stride: %v", err)
	}
}

// devFile is the name of the task's dev file.
func (t *TaskResult) devFile() string { return must.M1(FindTask(t.Task)).SplitsOf(Dev)[0].File }

func readSet(t testing.TB, path string, version squad.Version) *squad.Set {
	t.Helper()
	file := must.M1(os.Open(path))
	defer file.Close()
	return must.M1(squad.Read(version, path, file))
}

// TestSpanOutputs: what is kept of a program's outputs for a window are those of its context, whatever the padding.
func TestSpanOutputs(t *testing.T) {
	config := squadConfig(t, "squad2")
	m := must.M1(trainer.LoadModel(config.Run.Model, ""))
	encoder, _, err := m.Config.Alone(m.Weights)
	must.M(err)
	jobs := must.M1(plan(t.Context(), config, &encoder))
	data := must.M1(prepare(t.Context(), jobs[0], wordpiece.New(m.Vocabulary, m.Text)))
	c := toyClassifier(t, encoder, func(o *programOptions) { o.spans, o.compute = squad.V2, dtypes.Float32 })
	must.M(c.start(nil, 1))
	defer c.release()
	held := data.dev[0]
	var rows [2][][]float32
	for i, length := range []int{20, 28} {
		for batch := range must.M1(NewBatches(held.encoded, 64, []int{length})).InOrder() {
			for row, output := range must.M1(c.outputsOf(batch)) {
				example := batch.Examples[row]
				rows[i] = append(rows[i], held.used(example, output))
				checkWindow(t, held, example, batch, row, rows[i][len(rows[i])-1])
			}
		}
	}
	if len(rows[0]) != held.encoded.Len() || held.encoded.Len() <= len(held.spans.windows.Set.Questions) {
		t.Fatalf("%d rows for %d windows", len(rows[0]), held.encoded.Len())
	}
	for i := range rows[0] {
		if d := differ(rows[0][i], rows[1][i]); !(d < 1e-4) {
			t.Errorf("window %d: padding changes outputs by %g", i, d)
		}
	}
	kept := saveOutputs(held, rows[0])
	if !reflect.DeepEqual(kept.of(held), rows[0]) {
		t.Error("outputs do not come back as they were")
	}
	kept.Values = kept.Values[4:]
	if kept.of(held) != nil {
		t.Error("outputs of other windows were taken")
	}
}

// checkWindow checks that a batch's row is the window and that its kept outputs are log-probabilities of its context.
func checkWindow(t *testing.T, held *heldOut, example int, batch *Batch, row int, kept []float32) {
	t.Helper()
	x := held.spans.windows.List[example]
	ids := held.spans.windows.AppendRow(nil, example)
	if !slices.Equal(batch.IDs[row*batch.SeqLen:][:len(ids)], ids) || len(kept) != 2*x.Count+1 || batch.SegmentIDs[row*batch.SeqLen+x.Second] != 1 {
		t.Errorf("window %d: %+v, %d outputs", example, x, len(kept))
	}
	sum := 0.0
	for _, p := range kept[:x.Count] {
		sum += math.Exp(float64(p))
	}
	if sum > 1+1e-5 || sum < 0.5 || slices.Min(kept) < -100 { // what is left is [CLS]'s
		t.Errorf("window %d: probabilities sum to %g; %v", example, sum, kept)
	}
}

// TestSquadTargets: batches of training windows point at the answer's letters.
func TestSquadTargets(t *testing.T) {
	config := squadConfig(t, "squad2")
	data := toyAttempt(t, config).data
	v := letters(t).Vocabulary()
	answers, none := 0, 0
	for batch := range data.train.Epoch(1, 0) {
		for row := range batch.Rows {
			ids := batch.IDs[row*batch.SeqLen:]
			start, end := v.Token(ids[batch.Starts[row]]), v.Token(ids[batch.Ends[row]])
			switch {
			case start == "x" && end == "y":
				answers++
			case batch.Starts[row] == 0 && batch.Ends[row] == 0:
				none++
			default:
				t.Errorf("from %s to %s", start, end)
			}
		}
	}
	if answers < 80 || none < 40 { // of 120 questions 40 have no answer, and some windows do not hold theirs
		t.Errorf("%d answers, %d without", answers, none)
	}
}

func TestSquadRefusals(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(c *Config, folder string)
		code   int
		says   string
	}{
		{"no room", func(c *Config, _ string) { c.Squad.MaxQuestion = 64 }, 2, "glue: squad1: finetune.max_seq_len, squad.max_question and squad.doc_stride: windows of 20 tokens"},
		{"values", func(c *Config, _ string) { c.Squad = SquadConfig{NoAnswerWeight: -1} }, 2, "squad.n_best is 0"},
		{"no folder", func(c *Config, folder string) { c.Run.DataDir = t.TempDir() }, 65, "looked for train-v1.1.json, dev-v1.1.json in"},
		{"no dev file", func(c *Config, folder string) { must.M(os.Remove(filepath.Join(folder, "dev-v1.1.json"))) }, 65, " SQuAD` fetches the official files"},
		{"not JSON", func(c *Config, folder string) { replace(folder, "dev-v1.1.json", "[") }, 65, "dev-v1.1.json:1"},
		{"empty dev set", func(c *Config, folder string) { replace(folder, "dev-v1.1.json", `{"data":[]}`) }, 65, "no questions"},
		{"the other version", func(c *Config, folder string) { replace(folder, "train-v1.1.json", toyArticles(0, 3, squad.V2)) }, 65, "only SQuAD 2.0 knows"},
		{"an id twice", func(c *Config, folder string) {
			replace(folder, "dev-v1.1.json", strings.ReplaceAll(toyArticles(0, 9, squad.V1), `"q8"`, `"q7"`))
		}, 65, `id "q7" is there twice`},
		{"nothing to learn", func(c *Config, folder string) {
			replace(folder, "train-v1.1.json", strings.ReplaceAll(toyArticles(0, 9, squad.V1), `"text":"X`, `"text":"Z`))
		}, 65, "there is nothing to learn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := squadConfig(t, "squad1")
			c.change(config, filepath.Join(config.Run.DataDir, "SQuAD"))
			if _, _, err := tryFineTune(t.Context(), config); fault.ExitCode(err) != c.code || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("exit code %d, want %d and %q in: %v", fault.ExitCode(err), c.code, c.says, err)
			}
		})
	}
}

func replace(folder, name, text string) {
	must.M(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
}

// TestSquadNotes: what is left out of training is said, and counted.
func TestSquadNotes(t *testing.T) {
	config := squadConfig(t, "squad1")
	replace(filepath.Join(config.Run.DataDir, "SQuAD"), "train-v1.1.json", strings.Replace(toyArticles(0, 40, squad.V1), `"text":"X`, `"text":"Z`, 1))
	config.Finetune.Epochs, config.Squad.MaxQuestion = 0.5, 1
	results, _ := fineTune(t, config)
	notes := strings.Join(results.Tasks[0].Notes, "\n")
	for _, want := range []string{"the text of 1 answers does not stand at its answer_start", "1 of 40 questions of", "are longer than 1 tokens and were cut"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is missing in\n%s", want, notes)
		}
	}
}

// TestSpanTable: what the rest of the package takes for granted about the tasks of SQuAD.
func TestSpanTable(t *testing.T) {
	for _, task := range spanTasks {
		if task.Spans == 0 || task.Regression() || task.Pair() || len(task.SplitsOf(Test)) != 0 || task.Main() != F1 || task.Epochs != 2 {
			t.Errorf("%+v", task)
		}
		for _, m := range task.Metrics {
			if title := m.title(); title == "" || title == strings.ToLower(title) {
				t.Errorf("%s: title %q", m, title)
			}
		}
	}
	all := must.M1(ParseTasks([]string{"all"}))
	if slices.ContainsFunc(all, func(t *Task) bool { return t.Spans != 0 }) {
		t.Error("all is GLUE")
	}
	for m := range maps.Keys(spanTitles) {
		if !slices.Contains(spanTasks[1].Metrics, m) {
			t.Errorf("%s is no metric of SQuAD 2.0", m)
		}
	}
}
