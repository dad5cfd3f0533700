package trainer

import (
	"fmt"

	"elektron/dataset"
	"elektron/internal/blob"
	"elektron/internal/device"
	"elektron/internal/platform"
	"elektron/internal/settings"
	"elektron/model"
	"elektron/trainer/optimizer"
)

// Config is everything that decides a run. Its yaml tags are the keys of run.yaml and of --set.
type Config struct {
	Preset string       `yaml:"preset" doc:"model size" oneof:"tiny,small,small++,base,large"`
	Recipe string       `yaml:"recipe" doc:"how the preset is trained: paper (Adam), lamb, lamb-two-phase (short examples, then long ones)" oneof:"paper,lamb,lamb-two-phase"`
	Data   DataConfig   `yaml:"data"`
	Model  model.Config `yaml:"model"`
	Optim  OptimConfig  `yaml:"optim"`
	Run    RunConfig    `yaml:"run"`
	Phase2 PhaseConfig  `yaml:"phase2"`
}

// DataConfig says where text comes from and how it becomes batches.
type DataConfig struct {
	Paths           []string `yaml:"paths" doc:"text files, globs, folders (also gs://), or folders of shards; PATH=WEIGHT for a mixture; empty reads the Go installation's comments"`
	Vocab           string   `yaml:"vocab" doc:"vocabulary file; empty trains one"`
	VocabSize       int      `yaml:"vocab_size" doc:"size of a trained vocabulary"`
	Cased           bool     `yaml:"cased" doc:"keep upper case and accents"`
	TextField       string   `yaml:"text_field" doc:"field or column of JSON Lines and Parquet that holds the text"`
	DocumentPerFile bool     `yaml:"document_per_file" doc:"a text file is one document, whatever empty lines it has"`
	SkipBadShards   bool     `yaml:"skip_bad_shards" doc:"leave damaged shards out and say so, instead of stopping at them"`
	ValidShare      float64  `yaml:"valid_share" doc:"share of the documents that is held out for validation"`
	SeqLen          int      `yaml:"seq_len" doc:"tokens of an example, 8 to 512"`
	BatchSize       int      `yaml:"batch_size" doc:"examples of a step, over all devices"`
	MaskProb        float64  `yaml:"mask_prob" doc:"share of the tokens that is masked"`
	WholeWord       bool     `yaml:"whole_word" doc:"mask all pieces of a word together"`
	OneSegment      bool     `yaml:"one_segment" doc:"never a second segment"`
	Workers         int      `yaml:"workers" doc:"goroutines that tokenise; 0 takes one a core"`
	Cache           string   `yaml:"cache" doc:"folder of trained vocabularies, shards and indexes; empty takes the user's cache folder"`
}

// OptimConfig is the optimizer and its schedule.
type OptimConfig struct {
	optimizer.Config    `yaml:",inline"`
	LR                  float64 `yaml:"lr" doc:"peak learning rate"`
	DiscriminatorWarmup int64   `yaml:"discriminator_warmup_steps" doc:"steps over which the discriminator's weight rises from 0 to model.discriminator_weight; 0 has it at once"`
	WarmupSteps         int64   `yaml:"warmup_steps" doc:"steps of warm-up; -1 takes 8 % of the phase's steps"`
	Schedule            string  `yaml:"schedule" doc:"of the learning rate: product (warm-up times decay, both from the first step on), or warmup_then_decay" oneof:"product,warmup_then_decay"`
	DecayPower          float64 `yaml:"decay_power" doc:"power of the decay to zero; 1 is linear"`
}

// RunConfig is how long, where and with what reports.
type RunConfig struct {
	Steps           int64  `yaml:"steps" doc:"training steps in all"`
	Seed            int64  `yaml:"seed" doc:"of weights, data order, masks, dropout and sampling"`
	DType           string `yaml:"dtype" doc:"type of matrix products; weights and sums are float32; auto is bf16 on TPU and GPU, f32 elsewhere" oneof:"auto,f32,bf16"`
	Remat           bool   `yaml:"remat" doc:"keep only the layers' inputs for the gradient and compute the rest again: less memory, a third more work"`
	Accumulate      int    `yaml:"accumulate" doc:"parts that a batch is computed in, one after the other: less memory, the same step"`
	Platform        string `yaml:"platform" doc:"device" oneof:"auto,cpu,gpu,tpu,go"`
	Devices         int    `yaml:"devices" doc:"on cpu: how many devices the processor poses as; 0 is 1. All of a TPU's or GPU's are always used"`
	PerDispatch     int    `yaml:"steps_per_dispatch" doc:"steps that the devices are given at once; 0 takes 16 on TPU and GPU, 1 elsewhere"`
	ShardOptimizer  bool   `yaml:"shard_optimizer" doc:"split the optimizer's moments over the devices (ZeRO-1): less memory, the same step"`
	Programs        string `yaml:"programs" doc:"folder of compiled programs; empty takes the user's cache folder, none compiles anew at every start"`
	Plugin          string `yaml:"plugin" doc:"path of a PJRT plugin to use instead of the pinned one"`
	Offline         bool   `yaml:"offline" doc:"never touch the network"`
	Out             string `yaml:"out" doc:"output folder"`
	Resume          string `yaml:"resume" doc:"go on from out's newest checkpoint: if there is one, never, or only so" oneof:"auto,never,must"`
	LogEvery        int64  `yaml:"log_every" doc:"steps between lines of metrics"`
	EvalEvery       int64  `yaml:"eval_every" doc:"steps between validations; 0 validates at the start and the end only"`
	EvalBatches     int    `yaml:"eval_batches" doc:"held-out batches of a validation"`
	CheckpointEvery int64  `yaml:"checkpoint_every" doc:"steps between checkpoints; one is always saved at the end"`
	Keep            int    `yaml:"keep" doc:"newest checkpoints to keep"`

	GPU device.GPUOptions `yaml:"gpu"`
}

// Validate reports everything that is wrong, as one error of kind fault.Usage. A vocabulary size of 0 is
// right until the data are read.
func (c *Config) Validate() error {
	var p settings.Problems
	m := c.Model
	if m.VocabSize == 0 {
		m.VocabSize = c.Data.VocabSize
	}
	p.Add(m.Validate())
	p.Add(c.Optim.Validate())
	atLeast := func(key string, value, least int64) {
		if value < least {
			p.Addf("%s is %d; it must be at least %d", key, value, least)
		}
	}
	atLeast("run.steps", c.Run.Steps, 1)
	atLeast("optim.discriminator_warmup_steps", c.Optim.DiscriminatorWarmup, 0)
	atLeast("run.log_every", c.Run.LogEvery, 1)
	atLeast("run.eval_every", c.Run.EvalEvery, 0)
	atLeast("run.eval_batches", int64(c.Run.EvalBatches), 1)
	atLeast("run.checkpoint_every", c.Run.CheckpointEvery, 1)
	atLeast("run.keep", int64(c.Run.Keep), 1)
	if !(c.Optim.DecayPower > 0) {
		p.Addf("optim.decay_power is %g; it must be positive", c.Optim.DecayPower)
	}
	c.validatePhases(&p, min(dataset.MaxSeqLen, m.MaxPositions))
	if !(c.Data.MaskProb > 0 && c.Data.MaskProb < 1) {
		p.Addf("data.mask_prob is %g; it must lie between 0 and 1", c.Data.MaskProb)
	}
	if !(c.Data.ValidShare > 0 && c.Data.ValidShare < 1) {
		p.Addf("data.valid_share is %g; it must lie between 0 and 1", c.Data.ValidShare)
	}
	if c.Run.Devices < 0 || c.Run.PerDispatch < 0 {
		p.Addf("run.devices (--devices) and run.steps_per_dispatch (--steps-per-dispatch) must not be negative")
	}
	p.Add(c.Run.GPU.Validate())
	switch out := c.Run.Out; {
	case out == "":
		p.Addf("run.out (--out) is empty; name a folder")
	case blob.IsRemote(out):
		p.Addf("run.out (--out) is %s: a run's folder must be on this machine; scripts/tpu_run.sh copies it to a bucket", out)
	}
	return p.Err()
}

// discriminatorWeight is the weight of its loss in the step after t finished ones.
func (c *Config) discriminatorWeight(t int64) float64 {
	weight := c.Model.DiscriminatorWeight
	if t < c.Optim.DiscriminatorWarmup {
		weight *= float64(t) / float64(c.Optim.DiscriminatorWarmup)
	}
	return weight
}

// stepOptions is what the step is built from on a platform.
func (c *Config) stepOptions(on string) StepOptions {
	host := platform.IsProcessor(on)
	o := StepOptions{Model: c.Model, Optimizer: c.Optim.Config, Compute: computeType(c.dtypeOn(on)),
		EmulateHalf: host, Rematerialize: c.Run.Remat, Parts: c.Run.Accumulate,
		PerDispatch: c.Run.PerDispatch, ShardOptimizer: c.Run.ShardOptimizer}
	if host {
		o.Optimizer = o.Optimizer.StoringMoments()
	}
	if o.PerDispatch == 0 && !host {
		o.PerDispatch = acceleratorDispatch
	}
	return o
}

// dtypeOn is the type of matrix products on a platform: f32 or bf16.
func (c *Config) dtypeOn(on string) string { return platform.DType(c.Run.DType, on) }

// acceleratorDispatch is how many steps a TPU or GPU is given at once: the host's part of a dispatch, some tenths of a
// millisecond, counts little then, and a signal waits for few steps.
const acceleratorDispatch = 16

// deviceOptions say which devices to open. progress may be nil.
func (c *Config) deviceOptions(progress func(string)) device.Options {
	r := &c.Run
	return device.Options{Platform: r.Platform, Plugin: r.Plugin, Offline: r.Offline, Devices: r.Devices, GPU: r.GPU, Cache: r.Programs, Hosts: true, Progress: progress}
}

// batchOptions is the data's half of the configuration, for package dataset.
func (c *Config) batchOptions() dataset.BatchOptions {
	return dataset.BatchOptions{SeqLen: c.Data.SeqLen, BatchSize: c.Data.BatchSize, Seed: c.Run.Seed,
		MaskProb: c.Data.MaskProb, WholeWord: c.Data.WholeWord, OneSegment: c.Data.OneSegment}
}

// frozen lists what a checkpoint after some steps and the run that goes on from it must have in common, by key,
// as text.
func (c *Config) frozen(done int64) map[string]string {
	m := c.Model
	f := map[string]string{}
	for _, v := range []struct {
		key   string
		value any
	}{
		{"model.encoder", m.Encoder}, {"model.vocab_size", m.VocabSize}, {"model.embedding_size", m.EmbeddingSize},
		{"model.hidden_size", m.HiddenSize}, {"model.layers", m.Layers}, {"model.heads", m.Heads},
		{"model.intermediate_size", m.IntermediateSize}, {"model.max_positions", m.MaxPositions}, {"model.token_types", m.TokenTypes},
		{"model.activation", m.DiscriminatorEncoder().Activation}, {"model.objective", m.Objective}, {"model.sharing", m.Sharing}, {"the generator", fmt.Sprintf("%+v", m.GeneratorEncoder())},
		{"data.seq_len", c.Data.SeqLen}, {"data.batch_size", c.Data.BatchSize}, {"data.mask_prob", c.Data.MaskProb},
		{"data.whole_word", c.Data.WholeWord}, {"data.cased", c.Data.Cased}, {"data.one_segment", c.Data.OneSegment},
		{"run.seed", c.Run.Seed}, {"optim.name", c.Optim.Name},
	} {
		f[v.key] = fmt.Sprint(v.value)
	}
	if begin := c.Run.Steps - c.Phase2.Steps; c.Phase2.Steps > 0 && begin < done {
		f["phase2.seq_len"], f["phase2.batch_size"] = fmt.Sprint(c.Phase2.SeqLen), fmt.Sprint(c.Phase2.BatchSize)
		done = begin
	}
	f["the number of steps of phase 1 so far (run.steps less phase2.steps)"] = fmt.Sprint(done)
	return f
}
