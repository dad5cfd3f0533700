package glue

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"time"

	"elektron/internal/fault"
	"elektron/trainer"
	"elektron/trainer/track"
)

// attempt is one fine-tuning in work: a task, a seed, a learning rate and a number of epochs.
type attempt struct {
	task       *Task
	recipe     *FinetuneConfig
	data       *prepared
	classifier *classifier
	progress   io.Writer

	run      Run
	best     evaluation
	inRow    int // steps without finite numbers
	watch    stepWatch
	lossSum  float64 // since the last point of the curve
	lossTook int
}

// evaluation is what the dev set says of the weights after some steps.
type evaluation struct {
	step    int
	scores  Scores
	outputs [][]float32 // for the main dev split
	weights map[string][]float32
}

// maxNotFinite is how many steps in a row may be lost.
const maxNotFinite = 10

// settledAfter is the step after which a length that was not met yet is so rare that its compilation is no reason to keep
// back how long the run will take.
const settledAfter = 20

// curvePoints are those of a training loss, about.
const curvePoints = 100

// finetune trains from a start (a head, and what else it does not have, is drawn from the seed) and predicts dev and test
// splits with the weights that are chosen, which it returns too. A run that diverges is a record with the failure in
// it and no error. When ctx ends it stops with an error of kind fault.Preempted.
func (a *attempt) finetune(ctx context.Context, p point, from start) (*record, map[string][]float32, error) {
	weights, err := from.weights(ctx)
	if err != nil {
		return nil, nil, err
	}
	began := time.Now()
	total := max(1, int(math.Ceil(p.epochs*float64(a.data.train.Steps())-1e-9)))
	a.run = Run{Task: a.task.Name, Seed: p.seed, LearningRate: p.lr, Epochs: p.epochs, Steps: total}
	defer a.classifier.release()
	if err := a.classifier.start(weights, uint32(p.seed)); err != nil {
		return nil, nil, err
	}
	r := &record{Outputs: map[string]savedOutputs{}}
	err = a.train(ctx, total)
	var chosen map[string][]float32
	if err == nil {
		chosen, err = a.choose(ctx, r)
	}
	a.run.Seconds = time.Since(began).Seconds()
	a.run.TokensPerS = ratio(a.watch.tokens, a.watch.seconds)
	if fault.KindOf(err) == fault.Diverged && err != nil {
		a.run.Failure, a.run.Dev, a.run.Last = err.Error(), nil, nil
		err = nil
	}
	a.run.Loss = finite(a.run.Loss)
	r.Run = a.run
	return r, chosen, err
}

// train goes through the steps and evaluates when that is due.
func (a *attempt) train(ctx context.Context, total int) error {
	schedule := trainer.Schedule{Peak: a.run.LearningRate, Warmup: int64(math.Round(a.recipe.Warmup * float64(total))), Total: int64(total), Power: 1}
	console := track.NewConsole(a.progress, int64(total), 0)
	defer console.Finish()
	next, stop := iter.Pull(a.batches())
	defer stop()
	for step := range total {
		batch, _ := next()
		rate := schedule.At(int64(step))
		if !a.classifier.knows(batch) {
			if err := console.Note("compiling the step for %d examples of %d tokens", batch.Size, batch.SeqLen); err != nil {
				return err
			}
		}
		began := time.Now()
		result, err := a.classifier.step(batch, uint32(a.run.Seed), int64(step), rate)
		if err != nil {
			return err
		}
		a.watch.add(batch, time.Since(began))
		if err := a.afterStep(ctx, console, step+1, rate, result); err != nil {
			return err
		}
	}
	return nil
}

// batches are those of one epoch after another.
func (a *attempt) batches() iter.Seq[*Batch] {
	return func(yield func(*Batch) bool) {
		for epoch := int64(0); ; epoch++ {
			for b := range a.data.train.Epoch(a.run.Seed, epoch) {
				if !yield(b) {
					return
				}
			}
		}
	}
}

// afterStep guards, reports and evaluates after a number of steps.
func (a *attempt) afterStep(ctx context.Context, console *track.Console, done int, rate float64, result stepResult) error {
	if err := a.guard(done, result); err != nil {
		return err
	}
	a.note(done, result.loss)
	settled := len(a.watch.seen) == len(a.data.lengths) || done >= settledAfter
	if settled {
		console.Step(int64(done))
	}
	if a.watch.due() && settled || done == a.run.Steps {
		m := track.Unknown(int64(done))
		m.Loss, m.LearningRate, m.TokensPerS = result.loss, rate, a.watch.speed()
		if err := console.Log(m); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return stopped(a.task, a.run.Seed)
	}
	if !a.evaluates(done) {
		return nil
	}
	return a.evaluate(ctx, console, done)
}

func stopped(t *Task, seed int64) error {
	return fault.New(fault.Preempted, "glue: stopped by a signal in %s, seed %d; runs that were finished are kept: run the same command again to go on", t.Name, seed)
}

// guard gives a run up that stays without finite numbers. A single bad step is harmless: the state stays as it was.
func (a *attempt) guard(done int, r stepResult) error {
	if r.finite {
		a.inRow = 0
		return nil
	}
	if a.inRow++; a.inRow < maxNotFinite {
		return nil
	}
	return fault.New(fault.Diverged, "loss or gradient was not finite in %d steps in a row, the last one step %d; lower finetune.lr", maxNotFinite, done)
}

// note keeps points of the loss curve: means since the point before.
func (a *attempt) note(done int, loss float64) {
	a.lossSum += loss
	a.lossTook++
	if every := max(1, a.run.Steps/curvePoints); done%every == 0 || done == a.run.Steps {
		a.run.Loss = append(a.run.Loss, Point{Step: done, Value: a.lossSum / float64(a.lossTook)})
		a.lossSum, a.lossTook = 0, 0
	}
}

// evaluates says whether the dev set is due: at equal parts of every epoch, and after the last step.
func (a *attempt) evaluates(done int) bool {
	if done == a.run.Steps {
		return true
	}
	part := func(step int) int { return step * a.recipe.EvalsPerEpoch / a.data.train.Steps() }
	return part(done) > part(done-1)
}

// evaluate measures the weights on the main dev split, and keeps them if they are the best so far.
func (a *attempt) evaluate(ctx context.Context, console *track.Console, done int) error {
	main := a.data.dev[0]
	outputs, err := a.predict(ctx, main)
	if err != nil {
		return err
	}
	scores, err := main.evaluate(outputs)
	if err != nil {
		return err
	}
	metric := a.task.Main()
	a.run.Curve = append(a.run.Curve, Point{Step: done, Value: scores[metric]})
	last := done == a.run.Steps
	if last {
		a.run.Last = scores
	}
	better := a.best.scores == nil || scores[metric] > a.best.scores[metric]
	if a.recipe.Choose != chooseBest {
		better = last
	}
	if better {
		a.best = evaluation{step: done, scores: scores, outputs: outputs}
		if !last { // the last weights are still there when they are needed
			if a.best.weights, err = a.classifier.export(); err != nil {
				return err
			}
		}
	}
	return console.Note("step %d/%d  %s  %s %.2f", done, a.run.Steps, main.Split.Name, metric.title(), 100*scores[metric])
}

// predict gives the outputs for all examples of a split.
func (a *attempt) predict(ctx context.Context, held *heldOut) ([][]float32, error) {
	outputs := make([][]float32, held.encoded.Len())
	for batch := range held.batches.InOrder() {
		rows, err := a.classifier.outputsOf(batch)
		if err != nil {
			return nil, err
		}
		for row, output := range rows {
			outputs[batch.Examples[row]] = held.used(batch.Examples[row], output)
		}
		if ctx.Err() != nil {
			return nil, stopped(a.task, a.run.Seed)
		}
	}
	return outputs, nil
}

// choose takes the best weights back and predicts every split with them.
func (a *attempt) choose(ctx context.Context, r *record) (weights map[string][]float32, err error) {
	weights = a.best.weights
	if weights == nil {
		if weights, err = a.classifier.export(); err != nil {
			return nil, err
		}
	} else if err := a.classifier.start(weights, 0); err != nil {
		return nil, err
	}
	a.run.Chosen, a.run.Dev = a.best.step, map[string]Scores{}
	a.run.Degenerate = a.data.dev[0].degenerate(a.best.outputs)
	for i, held := range a.data.dev {
		outputs, scores := a.best.outputs, a.best.scores
		if i > 0 {
			if outputs, err = a.predict(ctx, held); err != nil {
				return nil, err
			}
			if scores, err = held.evaluate(outputs); err != nil {
				return nil, err
			}
		}
		a.run.Dev[held.Split.Name], r.Outputs[held.key()] = scores, saveOutputs(held, outputs)
	}
	for _, held := range a.data.test {
		outputs, err := a.predict(ctx, held)
		if err == nil {
			err = checkOutputs(held.Task, outputs, len(held.List))
		}
		if err != nil {
			return nil, err
		}
		r.Outputs[held.key()] = saveOutputs(held, outputs)
	}
	return weights, nil
}

// summary is the run in one line.
func (r *Run) summary(t *Task) string {
	if r.Failure != "" {
		return "failed: " + r.Failure
	}
	for _, split := range t.SplitsOf(Dev) {
		if scores, ok := r.Dev[split.Name]; ok {
			text := fmt.Sprintf("%s %s %.2f after step %d of %d (last %.2f), %.0f s, %.0f tokens/s", split.Name, t.Main().title(),
				100*scores[t.Main()], r.Chosen, r.Steps, 100*r.Last[t.Main()], r.Seconds, r.TokensPerS)
			if r.Degenerate {
				text += "; DEGENERATE: the same output for every dev example"
			}
			return text
		}
	}
	return "no score"
}

// reportInterval is the time between two lines of progress.
const reportInterval = 10 * time.Second

// stepWatch measures the speed of steps. The first step of a length is compiled and does not count.
type stepWatch struct {
	seen    map[int]bool
	tokens  float64
	seconds float64
	shown   time.Time
}

func (w *stepWatch) add(b *Batch, took time.Duration) {
	if w.seen == nil {
		w.seen, w.shown = map[int]bool{}, time.Now()
	}
	if !w.seen[b.SeqLen] {
		w.seen[b.SeqLen] = true
		return
	}
	for row := range b.Rows {
		w.tokens += float64(b.Lengths[row])
	}
	w.seconds += took.Seconds()
}

// due says whether it is time for a line of progress.
func (w *stepWatch) due() bool {
	if time.Since(w.shown) < reportInterval {
		return false
	}
	w.shown = time.Now()
	return true
}

// speed is in tokens a second; NaN before anything was measured.
func (w *stepWatch) speed() float64 { return w.tokens / w.seconds }
