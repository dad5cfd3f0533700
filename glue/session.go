package glue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"

	"elektron/dataset/wordpiece"
	"elektron/internal/blob"
	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/internal/settings"
	"elektron/model"
	"elektron/model/hf/safetensors"
	"elektron/trainer"
	"elektron/trainer/checkpoint"
	"elektron/trainer/track"
)

// session is one call of FineTune: the model, the device and what is compiled, over all tasks.
type session struct {
	config   *Config
	store    store
	progress io.Writer
	results  *Results

	model       *trainer.Model
	encoder     model.Config // alone
	tokenizer   *wordpiece.Tokenizer
	lock        *checkpoint.Lock
	device      *device.Device
	classifiers map[programOptions]*classifier
	starts      map[string]start // by task: where those begin that start from its model
}

// start is what runs begin with.
type start struct {
	name    string                                                  // tells it apart from others
	weights func(ctx context.Context) (map[string][]float32, error) // by name; what is not among them is drawn from the seed
}

// FineTune fine-tunes a model on tasks and leaves results, predictions and their zip in run.out, where runs that were finished
// before are not run again. It shows progress on progress and ends with a table on results. When ctx ends, it stops with
// an error of kind fault.Preempted; the same call goes on. s, which may be nil, is written down beside the results.
func FineTune(ctx context.Context, c *Config, s *settings.Settings, progress, results io.Writer) error {
	if err := c.Validate(); err != nil {
		return err
	}
	session := &session{config: c, store: store{c.Run.Out}, progress: progress,
		classifiers: map[programOptions]*classifier{}, starts: map[string]start{}}
	defer session.close()
	err := session.all(ctx, s, results)
	if errors.Is(err, context.Canceled) {
		return fault.New(fault.Preempted, "glue: stopped by a signal; runs that were finished are kept: run the same command again to go on")
	}
	return err
}

// all does what there is to do, in the order in which things can go wrong cheaply.
func (s *session) all(ctx context.Context, written *settings.Settings, results io.Writer) error {
	if err := s.loadModel(); err != nil {
		return err
	}
	jobs, err := plan(ctx, s.config, &s.encoder)
	if err != nil {
		return err
	}
	if err := s.open(ctx, written); err != nil {
		return err
	}
	for _, j := range jobs {
		if err := s.task(ctx, j); err != nil {
			return err
		}
		if err := s.results.Write(ctx, s.config.Run.Out); err != nil { // what there is, should the process end
			return err
		}
	}
	return s.finish(ctx, results)
}

func (s *session) say(format string, args ...any) {
	fmt.Fprintln(s.progress, track.Printable(fmt.Sprintf(format, args...)))
}

// loadModel reads the model and takes its encoder.
func (s *session) loadModel() (err error) {
	r := &s.config.Run
	if s.model, err = trainer.LoadModel(r.Model, r.Vocab); err != nil {
		return err
	}
	for _, warning := range s.model.Warnings {
		s.say("warning: %s", warning)
	}
	if s.model.Vocabulary == nil {
		return fault.New(fault.Data, "glue: %s has no vocabulary beside it; name the one that it was trained with by --vocab", s.model.Path)
	}
	s.tokenizer = wordpiece.New(s.model.Vocabulary, s.model.Text)
	var weights map[string][]float32
	if s.encoder, weights, err = s.model.Config.Alone(s.model.Weights); err != nil {
		return fault.Wrap(fault.Data, err, "glue: %s", s.model.Path)
	}
	name := "the model " + hashOfWeights(weights)
	if r.FromScratch {
		name, weights = "random weights", nil
	}
	s.starts[""] = start{name, func(context.Context) (map[string][]float32, error) { return weights, nil }}
	return nil
}

// hashOfWeights tells models apart.
func hashOfWeights(weights map[string][]float32) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		h.Write([]byte(name))
		h.Write(safetensors.FromFloat32s(name, []int{len(weights[name])}, weights[name]).Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// open takes the output folder and the device.
func (s *session) open(ctx context.Context, written *settings.Settings) (err error) {
	r := &s.config.Run
	name := r.Model
	if s.model.Step > 0 {
		name += fmt.Sprintf(", step %d", s.model.Step)
	}
	if r.FromScratch {
		name = "random weights in the shape of " + name
	}
	s.results = &Results{Model: name, Weights: s.starts[""].name}
	if !blob.IsRemote(r.Out) {
		if s.lock, err = checkpoint.LockDir(r.Out); err != nil {
			return err
		}
	}
	if err := s.carryOver(ctx); err != nil {
		return err
	}
	if written != nil {
		if err := writeSettings(ctx, join(r.Out, "config.yaml"), written); err != nil {
			return err
		}
	}
	s.device, err = device.Open(ctx, device.Options{Platform: r.Platform, Plugin: r.Plugin, Offline: r.Offline, Progress: func(line string) { s.say("%s", line) }})
	if err != nil {
		return err
	}
	s.say("device:  %s", s.device.Description)
	s.say("model:   %s, %s encoder, %d layers of width %d, vocabulary %d", name, s.encoder.Encoder, s.encoder.Layers, s.encoder.HiddenSize, s.encoder.VocabSize)
	return nil
}

// carryOver takes the results of tasks that an earlier call left in the output folder. Those of another model are an
// error of kind fault.Usage.
func (s *session) carryOver(ctx context.Context) error {
	earlier, err := ReadResults(ctx, s.config.Run.Out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if earlier.Weights != s.results.Weights {
		return fault.New(fault.Usage, "glue: %s holds results of another model (%s); choose another --out", s.config.Run.Out, earlier.Model)
	}
	s.results.Tasks = earlier.Tasks
	return nil
}

// dtype is the type of matrix products: f32 or bf16.
func (s *session) dtype() string { return platform.DType(s.config.Run.DType, s.device.Platform) }

// classifier gives the programs for a recipe, the same for all tasks that agree in what is compiled.
func (s *session) classifier(t *Task, f *FinetuneConfig) (*classifier, error) {
	o := programOptions{model: s.encoder, optimizer: s.config.Optim, outputs: t.Outputs(), regression: t.Regression(), sum: f.Loss == lossSum,
		layerDecay: f.LayerDecay, official: f.LayerDecayVariant == decayOfficial, compute: dtypes.Float32}
	if t.Spans != 0 {
		o.spans, o.noAnswerWeight = t.Spans, s.config.Squad.NoAnswerWeight
	}
	o.model.HiddenDropout, o.model.AttentionDropout = f.Dropout, f.Dropout
	host := platform.IsProcessor(s.device.Platform)
	if host {
		o.optimizer = o.optimizer.StoringMoments()
	}
	if s.dtype() == "bf16" {
		o.compute, o.emulateHalf = dtypes.BFloat16, host
	}
	if s.classifiers[o] == nil {
		s.classifiers[o] = newClassifier(s.device, o)
	}
	return s.classifiers[o], nil
}

// finish writes the zip and the results and shows the table.
func (s *session) finish(ctx context.Context, out io.Writer) (err error) {
	if slices.ContainsFunc(s.results.Tasks, func(t *TaskResult) bool { return slices.Contains(taskNames(), t.Task) }) {
		if s.results.Submission, err = WriteSubmission(ctx, s.config.Run.Out); err != nil {
			return err
		}
	}
	if err := s.results.Write(ctx, s.config.Run.Out); err != nil {
		return err
	}
	if err := s.results.writeTerminal(out, s.config.Run.Out); err != nil {
		return err
	}
	return s.results.failed()
}

// close releases what was taken, in reverse.
func (s *session) close() {
	for _, c := range s.classifiers {
		c.release()
	}
	if s.device != nil {
		s.device.Close()
	}
	if s.lock != nil {
		s.lock.Release()
	}
}
