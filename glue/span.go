package glue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"elektron/dataset/wordpiece"
	"elektron/glue/squad"
	"elektron/internal/fault"
	"elektron/internal/settings"
)

// The metrics of SQuAD, beside F1: those of the official scripts.
const (
	ExactMatch  Metric = "em"
	HasAnswerEM Metric = "has_answer_em" // over the questions with an answer
	HasAnswerF1 Metric = "has_answer_f1"
	NoAnswerEM  Metric = "no_answer_em" // over those without, where F1 is the same
	BestEM      Metric = "best_em"      // at the threshold that is best on these questions
	BestF1      Metric = "best_f1"
)

var spanTitles = map[Metric]string{
	HasAnswerEM: "EM, with answer", HasAnswerF1: "F1, with answer", NoAnswerEM: "EM and F1, without answer",
	BestEM: "EM at best threshold", BestF1: "F1 at best threshold",
}

// spanTasks are the tasks whose answers are parts of a text. They are no part of GLUE, and not among "all". Their test sets
// are not public.
var spanTasks = []*Task{
	{Name: "squad1", Title: "SQuAD 1.1", Folders: []string{"SQuAD", "squad"}, Splits: spanSplits("v1.1", 87599, 10570),
		Metrics: []Metric{F1, ExactMatch}, Epochs: 2, Spans: squad.V1},
	{Name: "squad2", Title: "SQuAD 2.0", Folders: []string{"SQuAD", "squad"}, Splits: spanSplits("v2.0", 130319, 11873),
		Metrics: []Metric{F1, ExactMatch, HasAnswerF1, HasAnswerEM, NoAnswerEM, BestF1, BestEM}, Epochs: 2, Spans: squad.V2},
}

func spanSplits(version string, train, dev int) []Split {
	return []Split{{Name: "train", Role: Train, File: "train-" + version + ".json", Rows: train},
		{Name: "dev", Role: Dev, File: "dev-" + version + ".json", Rows: dev}}
}

// spanTaskNames are their names.
func spanTaskNames() []string {
	var names []string
	for _, t := range spanTasks {
		names = append(names, t.Name)
	}
	return names
}

// SquadConfig is what fine-tuning on SQuAD has of its own.
type SquadConfig struct {
	MaxQuestion       int     `yaml:"max_question" doc:"tokens of a question; longer ones are cut"`
	DocStride         int     `yaml:"doc_stride" doc:"tokens of the context from one window's begin to the next one's"`
	MaxAnswer         int     `yaml:"max_answer" doc:"tokens of an answer at most"`
	NBest             int     `yaml:"n_best" doc:"candidates for an answer that are written down"`
	NoAnswerWeight    float64 `yaml:"no_answer_weight" doc:"SQuAD 2.0: weight of the loss that tells whether there is an answer"`
	NoAnswerThreshold float64 `yaml:"no_answer_threshold" doc:"SQuAD 2.0: log-odds of there being no answer above which none is given; 0 are even odds, the published code has -2.75"`
}

// defaultSquad is the published code's but for the threshold, which was found for its models.
var defaultSquad = SquadConfig{MaxQuestion: 64, DocStride: 128, MaxAnswer: 30, NBest: 20, NoAnswerWeight: 0.5}

// check reports what is wrong with the values.
func (c *SquadConfig) check(p *settings.Problems) {
	for _, least := range []struct {
		key   string
		value int
	}{{"max_question", c.MaxQuestion}, {"doc_stride", c.DocStride}, {"max_answer", c.MaxAnswer}, {"n_best", c.NBest}} {
		if least.value < 1 {
			p.Addf("squad.%s is %d; it must be at least 1", least.key, least.value)
		}
	}
	if !(c.NoAnswerWeight >= 0) {
		p.Addf("squad.no_answer_weight is %v; it must not be negative", c.NoAnswerWeight)
	}
}

// cutting says how the job's contexts are cut.
func (j *job) cutting() squad.Cutting {
	return squad.Cutting{MaxLength: j.recipe.MaxSeqLen, MaxQuestion: j.squad.MaxQuestion, Stride: j.squad.DocStride}
}

// checkCutting refuses windows without room for a context.
func (j *job) checkCutting() error {
	if j.task.Spans == 0 {
		return nil
	}
	return fault.Wrap(fault.Usage, j.cutting().Validate(), "glue: %s: finetune.max_seq_len, squad.max_question and squad.doc_stride", j.task.Name)
}

// questions reads a split of SQuAD, with what a user should know of it.
func (s *Source) questions(ctx context.Context, split Split) (set *squad.Set, warnings []string, err error) {
	path := s.files[split.Name][0]
	err = readFile(ctx, path, func(in io.Reader) error {
		set, err = squad.Read(s.Task.Spans, path, in)
		return err
	})
	if err == nil && split.Role == Dev {
		err = set.Unique()
	}
	if err != nil {
		return nil, nil, fault.Wrap(fault.Data, err, "glue")
	}
	warnings = set.Warnings()
	if len(set.Questions) != split.Rows {
		warnings = append(warnings, fmt.Sprintf("%s: %d questions; the official file has %d", path, len(set.Questions), split.Rows))
	}
	return set, warnings, nil
}

// spanSplit are the questions of a split and how they are answered.
type spanSplit struct {
	windows   *squad.Windows
	rules     squad.Rules
	threshold float64
}

// prepareSpans reads, cuts and sorts all that a job on SQuAD needs.
func prepareSpans(ctx context.Context, j *job, tokenizer *wordpiece.Tokenizer) (*prepared, error) {
	p := &prepared{}
	set, _, err := j.source.questions(ctx, j.source.Splits(Train)[0])
	if err != nil {
		return nil, err
	}
	set.Questions = someRows(set.Questions, j.recipe.TrainRows)
	p.hash = set.Hash()
	train, windows, err := p.cut(ctx, j, set, tokenizer, true)
	if err != nil {
		return nil, err
	}
	if len(windows.List) == 0 {
		return nil, fault.New(fault.Data, "glue: %s: there is nothing to learn: none of the %d answers is in a window where the file says", set.Name, len(set.Questions))
	}
	for _, x := range windows.List {
		train.spans = append(train.spans, [2]int32{int32(x.Start), int32(x.End)})
	}
	for _, split := range j.source.Splits(Dev) {
		set, _, err := j.source.questions(ctx, split)
		if err != nil {
			return nil, err
		}
		held := &heldOut{Examples: &Examples{Task: j.task, Split: split, Path: set.Name}, hash: set.Hash(),
			spans: &spanSplit{rules: squad.Rules{MaxAnswer: j.squad.MaxAnswer, Best: j.squad.NBest}, threshold: j.squad.NoAnswerThreshold}}
		if held.encoded, held.spans.windows, err = p.cut(ctx, j, set, tokenizer, false); err != nil {
			return nil, err
		}
		p.dev = append(p.dev, held)
	}
	return p, p.sort(train, &j.recipe)
}

// cut makes rows of a set's questions and notes what was lost.
func (p *prepared) cut(ctx context.Context, j *job, set *squad.Set, tokenizer *wordpiece.Tokenizer, training bool) (*Encoded, *squad.Windows, error) {
	w, err := squad.Cut(set, tokenizer, j.cutting(), training)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, nil, err
	}
	v := tokenizer.Vocabulary()
	e := &Encoded{task: j.task, starts: []int{0}}
	e.special.pad, e.special.class, e.special.sep = v.PadID(), v.ClassID(), v.SepID()
	for i, x := range w.List {
		e.ids = w.AppendRow(e.ids, i)
		e.starts, e.second = append(e.starts, len(e.ids)), append(e.second, int32(x.Second))
	}
	note := func(format string, args ...any) {
		p.notes = append(p.notes, fmt.Sprintf("%s: ", j.task.Title)+fmt.Sprintf(format, args...))
	}
	if w.QuestionsCut > 0 {
		note("%d of %d questions of %s are longer than %d tokens and were cut", w.QuestionsCut, len(set.Questions), set.Name, j.squad.MaxQuestion)
	}
	if w.Unlearnable > 0 {
		note("%d of %d questions of %s were left out of training: their answer is in no window as a whole, or not where the file says", w.Unlearnable, len(set.Questions), set.Name)
	}
	if unknown, tokens := w.Unknown(); float64(unknown) > unknownShare*float64(tokens) {
		note("%.1f %% of the tokens of %s are not in the vocabulary; does it fit the language?", 100*float64(unknown)/float64(tokens), set.Name)
	}
	return e, w, nil
}

// width is the number of outputs of example i.
func (h *heldOut) width(i int) int {
	if h.spans != nil {
		return h.spans.windows.Width(i)
	}
	return h.Task.Outputs()
}

// used is the part of a row of a program's outputs that is of use: of a window, that of its context.
func (h *heldOut) used(i int, output []float32) []float32 {
	if h.spans == nil {
		return output
	}
	x, s := h.spans.windows.List[i], len(output)/2 // S; with one more for the odds
	row := make([]float32, 0, h.width(i))
	row = append(row, output[x.Second:x.Second+x.Count]...)
	row = append(row, output[s+x.Second:s+x.Second+x.Count]...)
	return append(row, output[2*s:]...)
}

// evaluate measures a model's outputs for a dev split. An output that is not finite is an error of kind fault.Diverged.
func (h *heldOut) evaluate(outputs [][]float32) (Scores, error) {
	if h.spans == nil {
		return Evaluate(h.Task, outputs, h.List)
	}
	_, measured, err := h.spans.answer(outputs)
	if err != nil {
		return nil, err
	}
	scores := Scores{}
	all := map[Metric]float64{F1: measured.All.F1, ExactMatch: measured.All.EM, HasAnswerF1: measured.HasAnswer.F1, HasAnswerEM: measured.HasAnswer.EM,
		NoAnswerEM: measured.NoAnswer.EM, BestF1: measured.BestF1.Score, BestEM: measured.BestEM.Score}
	for _, m := range h.Task.Metrics {
		scores[m] = all[m]
	}
	return scores, nil
}

// degenerate says whether outputs for a dev split show that nothing was learnt.
func (h *heldOut) degenerate(outputs [][]float32) bool {
	if h.spans == nil {
		return Degenerate(h.Task, outputs)
	}
	predictions, _, err := h.spans.answer(outputs)
	return err == nil && squad.SameForAll(predictions, h.spans.threshold)
}

func (s *spanSplit) answer(outputs [][]float32) ([]squad.Prediction, *squad.Scores, error) {
	predictions, err := s.windows.Predict(outputs, s.rules)
	if err != nil {
		return nil, nil, err
	}
	scores, err := squad.Evaluate(s.windows.Set, predictions, s.threshold)
	return predictions, scores, err
}

// writeAnswers writes what the best runs of a task of SQuAD say of the dev set: predictions-TASK.json and, for 2.0,
// null-odds-TASK.json as the official scripts take them, nbest-TASK.json with the candidates, and evaluation-TASK.json
// with what these scripts print. Other tasks have nothing of it.
func (r *runs) writeAnswers(ctx context.Context, best []*record) error {
	held := r.data.dev[0]
	if held.spans == nil {
		return nil
	}
	outputs, err := meanOf(held, best)
	if err != nil {
		return err
	}
	predictions, scores, err := held.spans.answer(outputs)
	if err != nil {
		return err
	}
	texts, odds, candidates := map[string]string{}, map[string]float64{}, map[string][]squad.Candidate{}
	for i := range predictions {
		p := &predictions[i]
		texts[p.ID], odds[p.ID], candidates[p.ID] = p.Answer(held.spans.threshold), p.NoAnswer, append([]squad.Candidate{}, p.Best...)
	}
	name := func(kind string) string { return join(r.config.Run.Out, kind+"-"+r.job.task.Name+".json") }
	files := map[string]any{name("predictions"): texts, name("nbest"): candidates, name("evaluation"): scores.Official(r.job.task.Spans)}
	if r.job.task.Spans == squad.V2 {
		files[name("null-odds")] = odds
	}
	for path, values := range files {
		if err := writeJSON(ctx, path, values); err != nil {
			return err
		}
	}
	r.say("%s: predictions for the dev set in %s", r.job.task.Title, name("predictions"))
	return nil
}

// writeJSON writes a value with its text as it is.
func writeJSON(ctx context.Context, path string, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(value); err != nil {
		return fault.Wrap(fault.Internal, err, "glue: %s", path)
	}
	return writeFile(ctx, path, text.Bytes())
}
