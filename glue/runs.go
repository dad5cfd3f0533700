package glue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"elektron/internal/fault"
	"elektron/internal/settings"
)

// runs is a task in work: its data, its programs and what is finished.
type runs struct {
	*session
	job        *job
	data       *prepared
	classifier *classifier
	start      start
	swept      bool // files of runs are named by their point too

	list   []*record
	search *Search
	kept   *record              // of a source, the best run that was made in this process
	chosen map[string][]float32 // its weights
}

// task makes all runs of a task, or takes them from an earlier call, and writes its predictions.
func (s *session) task(ctx context.Context, j *job) error {
	r := &runs{session: s, job: j, start: s.starts[j.recipe.InitFromTask]}
	var err error
	if r.data, err = prepare(ctx, j, s.tokenizer); err != nil {
		return err
	}
	j.notes = append(j.notes, r.data.notes...)
	if longest := r.data.lengths[len(r.data.lengths)-1]; s.model.SeqLen > 0 && longest > s.model.SeqLen {
		j.notes = append(j.notes, fmt.Sprintf("%s: examples have up to %d tokens, but the model was pre-trained on %d at most: it has learnt nothing of later positions", j.task.Title, longest, s.model.SeqLen))
	}
	for _, note := range j.notes {
		s.say("note: %s", note)
	}
	if r.classifier, err = s.classifier(j.task, &j.recipe); err != nil {
		return err
	}
	defer r.classifier.release()
	s.say("%s: %d training examples, %d steps an epoch, lengths %s", j.task.Title, r.data.train.data.Len(), r.data.train.Steps(), strings.Trim(fmt.Sprint(r.data.lengths), "[]"))
	best := point{lr: j.recipe.LR, epochs: j.recipe.Epochs}
	if s.config.Run.Sweep {
		if best, err = r.sweep(ctx); err != nil {
			return err
		}
	}
	if err := r.seeds(ctx, best, s.config.Run.Seeds); err != nil {
		return err
	}
	if err := r.conclude(ctx, best); err != nil || !j.isSource {
		return err
	}
	return r.becomeStart()
}

// seeds makes n runs at a point.
func (r *runs) seeds(ctx context.Context, p point, n int) error {
	r.list = nil
	for i := range n {
		p.seed = r.config.Run.Seed + int64(i)
		found, err := r.run(ctx, p, i+1, n)
		if err != nil {
			return err
		}
		r.list = append(r.list, found)
	}
	return nil
}

// run takes a run from the output folder, or makes it and keeps it there.
func (r *runs) run(ctx context.Context, p point, number, of int) (*record, error) {
	path, settings := r.store.path(r.job.task.Name, p, r.swept), r.settings(p)
	found, err := r.store.load(ctx, path, settings)
	if err != nil {
		return nil, err
	}
	title := fmt.Sprintf("%s, seed %d (%d of %d), learning rate %g, %g epochs", r.job.task.Title, p.seed, number, of, p.lr, p.epochs)
	if found != nil && found.complete(r.data) {
		r.say("%s: finished earlier: %s", title, found.Run.summary(r.job.task))
		return found, nil
	}
	r.say("%s: begins", title)
	found, weights, err := r.attempt().finetune(ctx, p, r.start)
	if err != nil {
		return nil, err
	}
	found.Settings = settings
	r.keep(found, weights)
	r.say("%s: %s", title, found.Run.summary(r.job.task))
	return found, r.store.save(context.WithoutCancel(ctx), path, found) // also when a signal came just now
}

func (r *runs) attempt() *attempt {
	return &attempt{task: r.job.task, recipe: &r.job.recipe, data: r.data, classifier: r.classifier, progress: r.progress}
}

// keep remembers the weights of the best run.
func (r *runs) keep(found *record, weights map[string][]float32) {
	if r.job.isSource && found.Run.Failure == "" && (r.kept == nil || r.score(found) > r.score(r.kept)) {
		r.kept, r.chosen = found, weights
	}
}

// score is that by which runs are compared.
func (r *runs) score(found *record) float64 {
	return found.Run.Dev[r.data.dev[0].Split.Name][r.job.task.Main()]
}

// settings are all that the result of a run depends on.
func (r *runs) settings(p point) map[string]string {
	values := r.recipe(p)
	maps.Copy(values, map[string]string{
		"the start": r.start.name, "the model": fmt.Sprintf("%+v", r.encoder), "run.dtype": r.dtype(),
		"the vocabulary": r.model.Vocabulary.Hash(), "how text is normalised": fmt.Sprintf("%+v", r.model.Text),
		"the training data": r.data.hash, "the dev set": r.data.dev[0].hash, "the lengths of batches": fmt.Sprint(r.data.lengths),
		"the seed": strconv.FormatInt(p.seed, 10)})
	return values
}

// recipe are the configuration keys by which the task is trained, with their values.
func (r *runs) recipe(p point) map[string]string {
	f := r.job.recipe
	f.LR, f.Epochs = p.lr, p.epochs
	values := map[string]string{}
	sections := map[string]any{"finetune.": &f, "optim.": &r.config.Optim}
	if r.job.task.Spans != 0 {
		sections["squad."] = &r.config.Squad
	}
	for section, config := range sections {
		for _, key := range settings.New(config).Keys() {
			values[section+key.Name] = key.Value
		}
	}
	return values
}

// conclude puts the runs into the results and writes the predictions of the best ones.
func (r *runs) conclude(ctx context.Context, p point) error {
	result := NewTaskResult(r.job.task, r.made())
	result.Search, result.Notes, result.Settings, result.Start = r.search, r.job.notes, r.recipe(p), r.job.recipe.InitFromTask
	best := r.best(r.config.Run.Ensemble)
	if len(best) > 1 {
		var err error
		if result.Ensemble, err = r.ensemble(best); err != nil {
			return err
		}
	}
	r.results.put(result)
	if len(best) == 0 {
		return nil // every run failed
	}
	for _, held := range r.data.test {
		outputs, err := meanOf(held, best)
		if err != nil {
			return err
		}
		path, err := WritePredictions(ctx, r.config.Run.Out, held.Examples, outputs)
		if err != nil {
			return err
		}
		r.say("%s: predictions in %s", held.Task.Title, path)
	}
	return r.writeAnswers(ctx, best)
}

// made are the runs as results show them.
func (r *runs) made() []Run {
	var list []Run
	for _, found := range r.list {
		list = append(list, found.Run)
	}
	return list
}

// best are the records of the best k runs, the best first.
func (r *runs) best(k int) []*record {
	var found []*record
	for _, run := range BestRuns(r.made(), r.data.dev[0].Split.Name, r.job.task.Main(), k) {
		found = append(found, r.list[slices.IndexFunc(r.list, func(x *record) bool { return x.Run.Seed == run.Seed })])
	}
	return found
}

// ensemble measures the mean output of some runs.
func (r *runs) ensemble(of []*record) (*Ensemble, error) {
	e := &Ensemble{Dev: map[string]Scores{}}
	for _, found := range of {
		e.Seeds = append(e.Seeds, found.Run.Seed)
	}
	for _, held := range r.data.dev {
		outputs, err := meanOf(held, of)
		if err != nil {
			return nil, err
		}
		if e.Dev[held.Split.Name], err = held.evaluate(outputs); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// meanOf is the mean of the outputs of some runs for a split.
func meanOf(held *heldOut, of []*record) ([][]float32, error) {
	var outputs [][][]float32
	for _, found := range of {
		outputs = append(outputs, found.Outputs[held.key()].of(held))
	}
	return MeanOutputs(outputs...)
}

// becomeStart makes the best run the start of other tasks. The weights of one that an earlier call made are not kept:
// it is made again when they are needed.
func (r *runs) becomeStart() error {
	best := r.best(1)
	if len(best) == 0 {
		return fault.New(fault.Diverged, "glue: no run of %s came to an end, from which others were to start; lower finetune.lr", r.job.task.Name)
	}
	run := best[0].Run
	name := fmt.Sprintf("%s, seed %d, of %s", r.job.task.Name, run.Seed, hashOfSettings(best[0].Settings))
	r.starts[r.job.task.Name] = start{name, func(ctx context.Context) (weights map[string][]float32, err error) {
		if r.kept == nil || !maps.Equal(r.kept.Settings, best[0].Settings) {
			r.say("%s, seed %d: once more, for its weights, from which other tasks start", r.job.task.Title, run.Seed)
			if r.kept, r.chosen, err = r.attempt().finetune(ctx, point{run.Seed, run.LearningRate, run.Epochs}, r.start); err != nil {
				return nil, err
			}
			r.kept = best[0]
		}
		_, weights, err = r.encoder.Alone(r.chosen)
		return weights, err
	}}
	return nil
}

// sweep searches the grid and returns its best point: that with the highest mean score, of several the first.
func (r *runs) sweep(ctx context.Context) (point, error) {
	grid, err := r.config.Sweep.grid(r.encoder.HiddenSize)
	if err != nil {
		return point{}, err
	}
	r.swept, r.search = true, &Search{}
	best, highest := 0, 0.0
	for i, p := range grid {
		if err := r.seeds(ctx, p, r.config.Sweep.Seeds); err != nil {
			return point{}, err
		}
		at := Summarize(r.made(), r.data.dev[0].Split.Name, r.job.task.Main())
		r.search.Points = append(r.search.Points, SearchPoint{LearningRate: p.lr, Epochs: p.epochs, Runs: at.Count, Mean: at.Mean})
		if at.Count > 0 && (r.search.Points[best].Runs == 0 || at.Mean > highest) {
			best, highest = i, at.Mean
		}
	}
	r.search.Points[best].Chosen = true
	r.say("%s: learning rate %g and %g epochs are the best of %d points", r.job.task.Title, grid[best].lr, grid[best].epochs, len(grid))
	return grid[best], nil
}

// hashOfSettings tells runs of different settings apart.
func hashOfSettings(values map[string]string) string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(h, "%q=%q\n", key, values[key])
	}
	return hex.EncodeToString(h.Sum(nil))
}
