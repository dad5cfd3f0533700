package trainer

import (
	"context"
	"time"

	"elektron/dataset"
	"elektron/internal/device"
	"elektron/internal/fault"
)

// runAhead is how many dispatches are under way at most: while the devices are at work on one, the next one waits for
// them, and the host reads what came out of the one before.
const runAhead = 2

// dispatch are steps that the devices were given at once.
type dispatch struct {
	pending  *Pending
	vote     *device.Survey // on several hosts: whether to stop
	batches  []*dataset.Batch
	controls []Control
	waited   time.Duration // for the data
}

// trainPhase is the loop. Batches are numbered through the run, so that a batch, like everything random, is a
// function of the seed and the step.
func (r *run) trainPhase(ctx context.Context) error {
	loader := r.loader()
	defer loader.Close()
	speed := newStopwatch()
	var queue []*dispatch
	for r.given = r.done; r.done < r.phase.end; {
		stopped := r.stopped(ctx)
		for !stopped && len(queue) < runAhead && r.given < r.nextPause() {
			d, err := r.start(ctx, loader)
			if err != nil {
				return err
			}
			queue = append(queue, d)
		}
		if len(queue) == 0 { // a signal, and nothing is under way
			return r.stop()
		}
		if err := r.collect(queue[0], speed); err != nil {
			return err
		}
		queue = queue[1:]
	}
	return nil
}

// nextPause is the step after which the host needs the state: for validation, a checkpoint or the end of the phase.
func (r *run) nextPause() int64 {
	c, pause := &r.config.Run, r.phase.end
	for _, every := range []int64{c.EvalEvery, c.CheckpointEvery} {
		if every > 0 {
			pause = min(pause, (r.done/every+1)*every)
		}
	}
	return pause
}

// start gives the devices their next steps, as many as go together before the next pause.
func (r *run) start(ctx context.Context, loader *dataset.Loader) (*dispatch, error) {
	c, d := &r.config, &dispatch{}
	for range min(int64(r.step.Together()), r.nextPause()-r.given) {
		batch, waited, err := loader.Next(context.Background()) // a signal waits for the step's end
		if err != nil {
			return nil, err
		}
		d.batches, d.waited = append(d.batches, batch), d.waited+waited
		d.controls = append(d.controls, Control{Seed: uint32(c.Run.Seed), Step: r.given, LearningRate: r.phase.rate(r.given), DiscriminatorWeight: c.discriminatorWeight(r.given)})
		r.given++
	}
	var err error
	if d.pending, err = r.step.Start(d.batches, d.controls); err != nil {
		return nil, err
	}
	return d, r.vote(ctx, d)
}

// collect waits for a dispatch, oldest first, and reports its steps.
func (r *run) collect(d *dispatch, speed *stopwatch) error {
	results, err := d.pending.Results()
	if err != nil {
		return err
	}
	if err := r.count(d); err != nil {
		return err
	}
	first, end := r.rows()
	for _, b := range d.batches {
		speed.add(b, b.Size/(end-first))
	}
	speed.wait(d.waited)
	for i, result := range results {
		r.done++
		if err := r.guard.check(r.done, result); err != nil {
			return err
		}
		if err := r.afterStep(result, d.controls[i].LearningRate, speed); err != nil {
			return err
		}
	}
	return nil
}

// afterStep does what is due, all of it at the end of a phase: metrics, validation, checkpoint, in this order,
// so that a checkpoint's metrics are on disk before it.
func (r *run) afterStep(result Result, rate float64, speed *stopwatch) error {
	c, ended := &r.config.Run, r.done == r.phase.end
	if due(r.done, c.LogEvery) || ended {
		if err := r.trackers.Log(r.trainingMetrics(result, rate, speed)); err != nil {
			return err
		}
		speed.reset()
	}
	r.console.Step(r.done)
	if due(r.done, c.EvalEvery) || ended {
		pause := time.Now()
		if err := r.validate(); err != nil {
			return err
		}
		speed.exclude(time.Since(pause))
	}
	if !due(r.done, c.CheckpointEvery) && !ended {
		return nil
	}
	pause := time.Now()
	err := r.save(r.done == c.Steps)
	speed.exclude(time.Since(pause))
	return err
}

func due(step, every int64) bool { return every > 0 && step%every == 0 }

// stop saves what was done when a signal came, unless it is saved already. Several processes save in any case, as none knows
// whether the leader did, and they fetch the state together.
func (r *run) stop() error {
	if r.saves.last != r.done || !r.alone() {
		if err := r.save(true); err != nil {
			return err
		}
	}
	return fault.New(fault.Preempted, "trainer: stopped by a signal after step %d and saved to %s; run the same command again to go on", r.done, r.config.Run.Out)
}
