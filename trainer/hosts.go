package trainer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"elektron/dataset"
	"elektron/internal/fault"
	"elektron/trainer/checkpoint"
)

// A run on several hosts is the same command on each of them. Every process makes its devices' rows of each batch and
// gives its devices the same programs in the same order. Process 0 leads: it alone has the run's folder, where it
// writes checkpoints and metrics, and from where the others get the state. What decides what is run next is the same
// everywhere (configuration, data, step) or asked of all (signals).

// leads tells whether this process has the run's folder.
func (r *run) leads() bool { return r.device.Process == 0 }

// alone tells whether there is no other process.
func (r *run) alone() bool { return r.device.Processes == 1 }

// begin takes the folder and finds the checkpoint to go on from, and tells the other processes where that is.
func (r *run) begin(say func(string)) (saved *savedRun, err error) {
	if r.leads() {
		if r.lock, err = checkpoint.LockDir(r.config.Run.Out); err != nil {
			return nil, err
		}
		if saved, err = r.restore(say); err != nil {
			return nil, err
		}
	}
	if !r.alone() {
		if saved, err = r.followSaved(saved); err != nil {
			return nil, err
		}
	}
	if saved != nil {
		r.done, r.earlier = saved.state.Step, saved.meta.ElapsedS
		r.saves.last = r.done
	}
	return saved, nil
}

// followSaved is the leader's checkpoint, on other processes with its step alone.
func (r *run) followSaved(own *savedRun) (*savedRun, error) {
	said := make([]int32, 3)
	if own != nil {
		said = []int32{1, int32(own.state.Step >> 31), int32(own.state.Step & (1<<31 - 1))}
	}
	answers, err := r.ask(said)
	if err != nil || r.leads() || answers[0][0] == 0 {
		return own, err
	}
	step := int64(answers[0][1])<<31 | int64(answers[0][2])
	return &savedRun{path: "process 0", state: &checkpoint.State{Step: step}}, nil
}

// ask tells all processes what each of them says.
func (r *run) ask(said []int32) ([][]int32, error) {
	survey, err := r.device.Survey(said)
	if err != nil {
		return nil, err
	}
	return survey.Answers()
}

// agree refuses to run with processes that were told different things or read different data.
func (r *run) agree() error {
	if r.alone() {
		return nil
	}
	digest, err := r.digest()
	if err != nil {
		return err
	}
	answers, err := r.ask(digest)
	if err != nil {
		return err
	}
	return agreeing(answers)
}

// agreeing refuses answers that are not all the same.
func agreeing(answers [][]int32) error {
	for i, other := range answers {
		if !slices.Equal(other, answers[0]) {
			return fault.New(fault.Usage, "trainer: the process of device %d of %d runs another configuration or reads other data than process 0; give all hosts the same command, data and vocabulary", i, len(answers))
		}
	}
	return nil
}

// digest stands for all that must be the same on all hosts. Paths may differ, what they hold may not.
func (r *run) digest() ([]int32, error) {
	c := r.config
	c.Run.Out, c.Run.Plugin, c.Run.Programs, c.Run.Offline, c.Run.Resume = "", "", "", false, ""
	c.Data.Paths, c.Data.Vocab, c.Data.Cache, c.Data.Workers = nil, "", "", 0
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "trainer: writing the configuration")
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s", text, r.vocabulary.Hash())
	for _, p := range r.phases {
		for _, d := range []*dataset.Dataset{p.data.Train, p.data.Valid} {
			fmt.Fprintf(sum, " %d %d", d.Tokens(), d.Examples())
		}
	}
	var words [4]int32
	if _, err := binary.Decode(sum.Sum(nil), binary.LittleEndian, &words); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "trainer: hashing the configuration")
	}
	return words[:], nil
}

// loader makes the batches of the phase.
func (r *run) loader() *dataset.Loader {
	first, end := r.rows()
	return dataset.NewLoader(r.phase.data.Train, dataset.LoaderOptions{First: r.done, RowStart: first, RowEnd: end})
}

// rows are the rows [first, end) of a batch that this process makes: its devices', or all of a batch in parts, which is
// divided by the tokens of all its rows.
func (r *run) rows() (first, end int) {
	if r.phase.parts > 1 {
		return 0, r.phase.batch.BatchSize
	}
	return r.device.Rows(r.phase.batch.BatchSize)
}

// vote asks all processes, with the steps that it goes with, whether one of them was told to stop. Alone there is
// nobody to ask.
func (r *run) vote(ctx context.Context, d *dispatch) (err error) {
	if r.alone() {
		return nil
	}
	said := []int32{0}
	if ctx.Err() != nil {
		said[0] = 1
	}
	d.vote, err = r.device.Survey(said)
	return err
}

// count hears what came out of a vote.
func (r *run) count(d *dispatch) error {
	if d.vote == nil {
		return nil
	}
	answers, err := d.vote.Answers()
	for _, said := range answers {
		r.stopping = r.stopping || said[0] != 0
	}
	return err
}

// stopped tells whether no more steps are to be begun: the same on all processes after the same steps.
func (r *run) stopped(ctx context.Context) bool {
	if r.alone() {
		return ctx.Err() != nil
	}
	return r.stopping
}
