package trainer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/gomlx/compute/dtypes"

	"elektron/dataset"
	"elektron/dataset/wordpiece"
	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/trainer/checkpoint"
	"elektron/trainer/track"
)

// run is one pre-training run in one process: the device, the data, the step, and where results go.
type run struct {
	config  Config
	lock    *checkpoint.Lock
	device  *device.Device
	step    *Step
	done    int64 // steps done
	given   int64 // steps done or under way on the devices
	began   time.Time
	earlier float64 // seconds of earlier sessions

	phases     []phase // those that are not behind; the last one in any case
	phase      *phase  // the present one
	vocabulary *wordpiece.Vocabulary

	console  *track.Console
	folder   *track.Folder
	trackers track.All // both of them; the console alone where another process leads
	guard    guard
	saves    saves
	stopping bool // on several hosts: one of them got a signal
}

// openDevice opens the run's devices; tests have it say that there are several hosts.
var openDevice = device.Open

// Pretrain trains a model as the settings say and leaves checkpoints, metrics and a report in run.out. It
// shows progress on progress and ends with a summary on results. When ctx ends, it finishes the step, saves
// and returns an error of kind fault.Preempted: the same call goes on from there.
func Pretrain(ctx context.Context, c *Config, s *settings.Settings, progress, results io.Writer) error {
	if err := c.Validate(); err != nil {
		return err
	}
	r := &run{config: *c, began: time.Now(), saves: saves{last: -1}}
	defer r.close()
	if err := r.open(ctx, s, progress); err != nil {
		if errors.Is(err, context.Canceled) {
			return fault.New(fault.Preempted, "trainer: stopped by a signal before the first step; nothing is lost, run the same command again")
		}
		return err
	}
	if r.done < c.Run.Steps {
		if err := r.train(ctx); err != nil {
			return err
		}
	}
	return r.summary(results)
}

// open makes everything ready: the device, which says whether this process leads the run, the folder, the text, then
// the model and its checkpoint.
func (r *run) open(ctx context.Context, s *settings.Settings, progress io.Writer) (err error) {
	c := &r.config
	say := func(line string) { fmt.Fprintln(progress, track.Printable(line)) }
	if r.device, err = openDevice(ctx, c.deviceOptions(say)); err != nil {
		return err
	}
	saved, err := r.begin(say)
	if err != nil {
		return err
	}
	if err := r.prepare(ctx, say); err != nil {
		return err
	}
	if err := r.agree(); err != nil {
		return err
	}
	if err := r.build(saved); err != nil {
		return err
	}
	if err := r.writeConfig(s); err != nil {
		return err
	}
	r.banner(progress, saved != nil)
	return r.openTrackers(progress)
}

// prepare reads the text and settles what follows from the vocabulary. Data of a later phase are made ready
// too, so that what is wrong with them shows now and not after days.
func (r *run) prepare(ctx context.Context, say func(string)) error {
	c := &r.config
	for _, p := range c.phases() {
		if p.end <= r.done && p.end < c.Run.Steps {
			continue
		}
		data, err := dataset.Prepare(ctx, dataOptions(c, p.batch), say)
		if err != nil {
			return err
		}
		p.data, r.vocabulary = data, data.Vocabulary
		r.phases = append(r.phases, p)
	}
	r.phase = &r.phases[0]
	size := r.vocabulary.Size()
	if c.Model.VocabSize == 0 {
		c.Model.VocabSize = size
	}
	if c.Model.VocabSize < size {
		return fault.New(fault.Usage, "trainer: model.vocab_size is %d and the vocabulary has %d entries; set it to at least that, or to 0", c.Model.VocabSize, size)
	}
	return nil
}

// build makes the step and gives it its state: the checkpoint's, or a fresh one.
func (r *run) build(saved *savedRun) (err error) {
	c := &r.config
	if err := c.divisible(r.device.Count); err != nil {
		return err
	}
	if r.step, err = NewStep(r.device, c.stepOptions(r.device.Platform)); err != nil {
		return err
	}
	if saved == nil {
		return r.step.Initialize(uint32(c.Run.Seed))
	}
	if r.leads() {
		if err := saved.fits(c, r.vocabulary.Hash()); err != nil {
			return err
		}
	}
	return r.step.Import(saved.state.Tensors)
}

func computeType(name string) dtypes.DType {
	if name == "bf16" {
		return dtypes.BFloat16
	}
	return dtypes.Float32
}

// train goes through the phases.
func (r *run) train(ctx context.Context) error {
	if r.done == 0 {
		if err := r.validate(); err != nil {
			return err
		}
	}
	for i := range r.phases {
		if r.phase = &r.phases[i]; r.phase.number > 1 {
			r.console.Note("phase %d: %v", r.phase.number, r.phase)
		}
		r.step.Parts = r.phase.parts
		if err := r.trainPhase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// validate runs the held-out batches, always the same ones with the same masks and the same noise, and logs
// their metrics.
func (r *run) validate() error {
	var sum Result
	var n int64
	for batch, err := range r.phase.data.Valid.ValidationBatches(r.config.Run.EvalBatches) {
		if err != nil {
			return err
		}
		s, err := r.step.Evaluate(batch, Control{Step: n})
		if err != nil {
			return err
		}
		sum.Statistics.Add(s)
		n++
	}
	m := r.lossMetrics(&sum.Statistics, r.config.Model.DiscriminatorWeight)
	m.Split = track.Valid
	return r.trackers.Log(m)
}

// close releases what open took, in reverse.
func (r *run) close() {
	if r.trackers != nil {
		r.trackers.Finish()
	}
	for _, p := range r.phases {
		p.data.Close()
	}
	if r.step != nil {
		r.step.Close()
	}
	if r.device != nil {
		r.device.Close()
	}
	if r.lock != nil {
		r.lock.Release()
	}
}

// guard gives a run up that stays without finite numbers. A single bad step is harmless: the device keeps
// the state as it was.
type guard struct{ inRow int }

// maxNotFinite is how many steps in a row may be lost.
const maxNotFinite = 10

func (g *guard) check(step int64, r Result) error {
	if r.Finite {
		g.inRow = 0
		return nil
	}
	if g.inRow++; g.inRow < maxNotFinite {
		return nil
	}
	return fault.New(fault.Diverged, "trainer: loss or gradient was not finite in %d steps in a row, the last one step %d; lower optim.lr, lengthen optim.warmup_steps, and run again to go on from the last checkpoint", maxNotFinite, step)
}

// saves bears a failed checkpoint now and then: older ones are intact and training goes on.
type saves struct {
	failed int   // in a row
	last   int64 // step of the newest checkpoint, -1 for none
}

const maxFailedSaves = 3

// save writes a checkpoint. The state is fetched first, by all processes together; only what the folder refuses may fail.
func (r *run) save(mustSucceed bool) error {
	tensors, err := r.step.Export()
	if err != nil {
		return err
	}
	if !r.leads() {
		r.saves.last = r.done
		return nil
	}
	err = r.write(tensors)
	if err == nil {
		r.saves.failed = 0
		return nil
	}
	if r.saves.failed++; mustSucceed || r.saves.failed >= maxFailedSaves {
		return err
	}
	r.console.Note("warning: no checkpoint at step %d: %v; older ones are intact, training goes on", r.done, err)
	return nil
}

func (r *run) write(tensors []checkpoint.Tensor) error {
	if err := r.folder.Sync(); err != nil {
		return err
	}
	meta, err := r.meta()
	if err != nil {
		return err
	}
	folder := checkpointFolder(r.config.Run.Out)
	state := &checkpoint.State{Step: r.done, Meta: meta, Tensors: tensors}
	if _, err := checkpoint.Save(context.Background(), folder, state); err != nil {
		return err
	}
	r.saves.last = r.done
	_, err = checkpoint.Retain(folder, checkpoint.Retention{Last: r.config.Run.Keep})
	return err
}

func checkpointFolder(out string) string { return filepath.Join(out, "checkpoints") }

// restore finds the newest good checkpoint of the output folder, or nil for a fresh run.
func (r *run) restore(say func(string)) (*savedRun, error) {
	c, folder := &r.config, checkpointFolder(r.config.Run.Out)
	if err := checkpoint.Clean(folder); err != nil {
		return nil, err
	}
	state, path, warnings, err := checkpoint.Restore(folder)
	for _, w := range warnings {
		say("warning: " + w)
	}
	switch {
	case errors.Is(err, checkpoint.ErrNone) && c.Run.Resume == "must":
		return nil, fault.New(fault.Usage, "trainer: --resume=must, but %s holds no checkpoint; check --out or leave --resume out", folder)
	case errors.Is(err, checkpoint.ErrNone):
		return nil, nil
	case err != nil:
		return nil, err
	case c.Run.Resume == "never":
		return nil, fault.New(fault.Usage, "trainer: --resume=never, but %s holds a run at step %d; choose another --out or remove that folder", c.Run.Out, state.Step)
	}
	return parseSaved(state, path)
}
