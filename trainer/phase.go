package trainer

import (
	"fmt"

	"elektron/dataset"
	"elektron/internal/fault"
	"elektron/internal/settings"
)

// PhaseConfig is a second phase of a run, with batches of another shape (as a rule longer examples) and a
// schedule that begins anew. Weights and moments go on.
type PhaseConfig struct {
	Steps       int64   `yaml:"steps" doc:"steps of a second phase, the last ones of run.steps; 0 for none"`
	SeqLen      int     `yaml:"seq_len" doc:"tokens of an example in it"`
	BatchSize   int     `yaml:"batch_size" doc:"examples of a step in it"`
	Accumulate  int     `yaml:"accumulate" doc:"parts that a batch of it is computed in; 0 takes run.accumulate"`
	LR          float64 `yaml:"lr" doc:"its peak learning rate"`
	WarmupSteps int64   `yaml:"warmup_steps" doc:"its steps of warm-up; -1 takes 8 % of phase2.steps"`
}

// phase is a stretch of a run with batches of one shape and a schedule of its own.
type phase struct {
	number     int
	first, end int64 // steps [first, end) of the run
	batch      dataset.BatchOptions
	parts      int // of a batch: gradient accumulation
	schedule   Schedule

	data *dataset.Prepared // in a run
}

// phases are the run's one or two, in order.
func (c *Config) phases() []phase {
	one := phase{number: 1, end: c.Run.Steps - c.Phase2.Steps, batch: c.batchOptions(), parts: c.Run.Accumulate}
	one.schedule = c.schedule(c.Optim.LR, c.Optim.WarmupSteps, one.end)
	if c.Phase2.Steps == 0 {
		return []phase{one}
	}
	two := phase{number: 2, first: one.end, end: c.Run.Steps, batch: c.batchOptions(), parts: c.Phase2.Accumulate}
	two.batch.SeqLen, two.batch.BatchSize = c.Phase2.SeqLen, c.Phase2.BatchSize
	two.schedule = c.schedule(c.Phase2.LR, c.Phase2.WarmupSteps, c.Phase2.Steps)
	if two.parts == 0 {
		two.parts = one.parts
	}
	return []phase{one, two}
}

func (c *Config) schedule(peak float64, warmup, steps int64) Schedule {
	if warmup < 0 {
		warmup = steps * 8 / 100
	}
	return Schedule{Peak: peak, Warmup: warmup, Total: steps, Power: c.Optim.DecayPower, AfterWarmup: c.Optim.Schedule == scheduleThen}
}

// steps is the phase's number of steps.
func (p *phase) steps() int64 { return p.end - p.first }

// rate is the learning rate of the run's step after t finished ones, which lies in the phase.
func (p *phase) rate(t int64) float64 { return p.schedule.At(t - p.first) }

// String describes the phase in a line.
func (p *phase) String() string {
	return fmt.Sprintf("learning rate %g, batch %d of %d tokens, %d steps", p.schedule.Peak, p.batch.BatchSize, p.batch.SeqLen, p.steps())
}

// divisible refuses batches that cannot be split evenly over a number of devices.
func (c *Config) divisible(devices int) error {
	for _, p := range c.phases() {
		if unit := devices * p.parts; p.batch.BatchSize%unit != 0 {
			below := p.batch.BatchSize / unit * unit
			valid := fmt.Sprintf("%d or %d", below, below+unit)
			if below == 0 {
				valid = fmt.Sprint(unit)
			}
			return fault.New(fault.Usage, "trainer: a batch of %d examples (phase %d) cannot be split evenly over %d devices in %d parts; set --batch-size to a multiple of %d, such as %s", p.batch.BatchSize, p.number, devices, p.parts, unit, valid)
		}
	}
	return nil
}

// validatePhases reports what is wrong with the shapes of batches and with the second phase.
func (c *Config) validatePhases(p *settings.Problems, longest int) {
	two := c.Phase2
	if two.Steps < 0 || two.Steps > 0 && two.Steps >= c.Run.Steps {
		p.Addf("phase2.steps is %d and run.steps (--steps) %d, which counts both phases; it must lie between 0 and that", two.Steps, c.Run.Steps)
		return
	}
	keys := []struct{ length, batch, rate, warmup, parts string }{
		{"data.seq_len (--seq-len)", "data.batch_size", "optim.lr", "optim.warmup_steps", "run.accumulate (--accumulate)"},
		{"phase2.seq_len", "phase2.batch_size", "phase2.lr", "phase2.warmup_steps", "phase2.accumulate"},
	}
	warmups := []int64{c.Optim.WarmupSteps, two.WarmupSteps}
	for i, phase := range c.phases() {
		b, key := phase.batch, keys[i]
		if b.SeqLen < dataset.MinSeqLen || b.SeqLen > longest {
			p.Addf("%s is %d; it must be from %d to %d", key.length, b.SeqLen, dataset.MinSeqLen, longest)
		} else if slots := dataset.MaskedSlots(b.SeqLen, b.MaskProb); b.MaskProb < 1 && slots > b.SeqLen {
			p.Addf("data.mask_prob %g of %s %d takes %d masked slots (a multiple of 8), more than there are tokens; lower it", b.MaskProb, key.length, b.SeqLen, slots)
		}
		if b.BatchSize < 1 {
			p.Addf("%s is %d; it must be at least 1", key.batch, b.BatchSize)
		}
		if phase.parts < 1 || b.BatchSize%phase.parts != 0 {
			p.Addf("%s is %d and does not divide %s %d", key.parts, phase.parts, key.batch, b.BatchSize)
		}
		if !(phase.schedule.Peak > 0) {
			p.Addf("%s is %g; it must be positive", key.rate, phase.schedule.Peak)
		}
		if warmups[i] < -1 {
			p.Addf("%s is %d; it must be at least -1", key.warmup, warmups[i])
		}
	}
}
