package trainer

import (
	"elektron/dataset"
	"elektron/dataset/wordpiece"
	"elektron/internal/blob"
	"elektron/internal/fault"
	"elektron/model"
)

// Plan is what a run would be, by arithmetic alone: no device and no network is touched. Sizes are in bytes,
// times in seconds or, where the name says so, hours. Keys whose value only a compiler for the device can give
// are null until AddTopology.
type Plan struct {
	Preset    string           `json:"preset"`
	Recipe    string           `json:"recipe"`
	Encoder   string           `json:"encoder"`
	VocabSize int              `json:"vocab_size"`
	Params    model.Parameters `json:"params"`

	Steps  int64       `json:"steps"`
	Tokens float64     `json:"tokens"` // of all steps, padding counted
	FLOPs  float64     `json:"flops"`  // of all steps
	Phases []PlanPhase `json:"phases"`

	FLOPsPerStep    float64  `json:"flops_per_step"`   // in phase 1
	EstimatedCycles *int64   `json:"estimated_cycles"` // of a step, by the compiler
	EstimatedStep   *float64 `json:"estimated_step_s"` // in phase 1, by the compiler or at the speed that was given
	MFU             *float64 `json:"mfu"`              // in phase 1, given or at that speed
	Hours           *float64 `json:"hours"`            // of all steps, at that speed
	HBM             PlanHBM  `json:"hbm"`
	Fits            *bool    `json:"fits"` // all phases

	Topology *PlanTopology `json:"topology"`
}

// PlanPhase is one phase of a run.
type PlanPhase struct {
	Steps           int64      `json:"steps"`
	BatchSize       int        `json:"batch_size"`
	SeqLen          int        `json:"seq_len"`
	MaskedSlots     int        `json:"masked_slots"`
	TokensPerStep   int        `json:"tokens_per_step"` // padding counted
	FLOPsPerExample float64    `json:"flops_per_example"`
	FLOPsPerStep    float64    `json:"flops_per_step"`
	Memory          PlanMemory `json:"memory"`
	Hours           *float64   `json:"hours"`
}

// PlanHBM is a device's memory as the compiled program uses it.
type PlanHBM struct {
	Arguments   *int64 `json:"arguments"`
	Temporaries *int64 `json:"temporaries"`
	Aliased     *int64 `json:"aliased"`
	Peak        *int64 `json:"peak"`
	Limit       *int64 `json:"limit"`
}

// Speed is how fast a run is assumed to be: in tokens a second, or as a share of the devices' peak. 0 is
// unknown.
type Speed struct {
	TokensPerS float64
	MFU        float64
	PeakFLOPs  float64 // a second, of all devices together
}

// MakePlan computes the plan of a configuration. The vocabulary's size is model.vocab_size, else that of the
// file that data.vocab names, else data.vocab_size. Errors have kind fault.Usage or, where that file cannot be
// read, fault.Storage or fault.Data.
func MakePlan(c *Config, speed Speed) (*Plan, error) {
	if err := speed.validate(); err != nil {
		return nil, err
	}
	m := c.Model
	if m.VocabSize == 0 {
		size, err := plannedVocabulary(&c.Data)
		if err != nil {
			return nil, err
		}
		m.VocabSize = size
	}
	p := &Plan{Preset: c.Preset, Recipe: c.Recipe, Encoder: m.Encoder, VocabSize: m.VocabSize, Params: m.Parameters(), Steps: c.Run.Steps}
	hours := 0.0
	for _, phase := range c.phases() {
		one := planPhase(c, &m, &phase)
		p.Tokens += float64(one.Steps) * float64(one.TokensPerStep)
		p.FLOPs += float64(one.Steps) * one.FLOPsPerStep
		if step := speed.step(&one); step > 0 {
			one.Hours = new(float64(one.Steps) * step / 3600)
			hours += *one.Hours
		}
		p.Phases = append(p.Phases, one)
	}
	p.FLOPsPerStep = p.Phases[0].FLOPsPerStep
	if step := speed.step(&p.Phases[0]); step > 0 {
		p.EstimatedStep, p.Hours = &step, &hours
		if speed.PeakFLOPs > 0 {
			p.MFU = new(p.FLOPsPerStep / step / speed.PeakFLOPs)
		}
	}
	return p, nil
}

func plannedVocabulary(c *DataConfig) (int, error) {
	switch {
	case c.Vocab == "":
		return c.VocabSize, nil
	case blob.IsRemote(c.Vocab):
		return 0, fault.New(fault.Usage, "plan: %s lies in a bucket, and plan touches no network; give its size with --set model.vocab_size", c.Vocab)
	}
	v, err := wordpiece.Load(c.Vocab)
	if err != nil {
		return 0, err
	}
	return v.Size(), nil
}

func planPhase(c *Config, m *model.Config, p *phase) PlanPhase {
	b := p.batch
	flops := m.FLOPs(b.SeqLen, dataset.MaxPredictions(b.SeqLen, b.MaskProb))
	return PlanPhase{Steps: p.steps(), BatchSize: b.BatchSize, SeqLen: b.SeqLen, MaskedSlots: dataset.MaskedSlots(b.SeqLen, b.MaskProb),
		TokensPerStep: b.BatchSize * b.SeqLen, FLOPsPerExample: flops, FLOPsPerStep: float64(b.BatchSize) * flops, Memory: planMemory(c, m, p)}
}

// step is the time of one step of a phase, 0 where no speed is given.
func (s Speed) step(p *PlanPhase) float64 {
	switch {
	case s.TokensPerS > 0:
		return float64(p.TokensPerStep) / s.TokensPerS
	case s.MFU > 0:
		return p.FLOPsPerStep / (s.MFU * s.PeakFLOPs)
	}
	return 0
}

func (s Speed) validate() error {
	switch {
	case !(s.TokensPerS >= 0 && s.MFU >= 0 && s.PeakFLOPs >= 0) || s.MFU > 1:
		return fault.New(fault.Usage, "plan: --tokens-per-s %g, --mfu %g, --peak-tflops %g: a speed must be positive, and --mfu a share of the peak, at most 1", s.TokensPerS, s.MFU, s.PeakFLOPs/1e12)
	case s.TokensPerS > 0 && s.MFU > 0:
		return fault.New(fault.Usage, "plan: --tokens-per-s and --mfu are two speeds; give one of them")
	case s.MFU > 0 && s.PeakFLOPs == 0:
		return fault.New(fault.Usage, "plan: --mfu %g of what? give the peak of all devices together with --peak-tflops (197 for one TPU v5e)", s.MFU)
	case s.PeakFLOPs > 0 && s.MFU == 0 && s.TokensPerS == 0:
		return fault.New(fault.Usage, "plan: --peak-tflops is no speed by itself; give --mfu 0.4, or --tokens-per-s to learn the MFU")
	}
	return nil
}
