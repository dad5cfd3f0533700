package trainer

import (
	"context"
	"fmt"
	"time"

	"elektron/dataset"
	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/platform"
	"elektron/internal/stablehlo"
)

// PlanTopology is what the compiler of a TPU or GPU says of a step of phase 1. Times follow from the TPU compiler's estimate of
// cycles, which was within 30 % of two published runs; they are for planning and comparing, not a promise. The GPU's has no
// estimates: what follows from them is 0 or empty.
type PlanTopology struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"` // of the devices
	Devices int    `json:"devices"`
	Hosts   int    `json:"hosts"`

	Clock     float64 `json:"clock_hz"`   // of a device
	PeakFLOPs float64 `json:"peak_flops"` // of a device, bfloat16, a second
	Compile   float64 `json:"compile_s"`

	// Of a device and step, by the compiler's analysis, which counts what is in a loop once.
	FLOPs float64 `json:"device_flops"`
	Bytes float64 `json:"device_bytes_accessed"`

	TokensPerS float64 `json:"tokens_per_s"`
	// FittingBatch is, where a phase does not fit, the largest batch of it that does, of those with a power of two rows
	// a device; Phase is that phase. 0 where nothing fits or nothing is wrong.
	FittingBatch int `json:"fitting_batch,omitempty"`
	FittingPhase int `json:"fitting_phase,omitempty"`

	Shares    []PlanShare     `json:"shares"`
	Costliest []PlanOperation `json:"costliest"`
	// UncountedLoops are loops of which it is not known how often they go round: they count once.
	UncountedLoops int `json:"uncounted_loops"`
	// Collectives are what devices exchange.
	Collectives []PlanCollective `json:"collectives"`
}

// TopologyOptions say what to compile a plan for.
type TopologyOptions struct {
	Name     string       // such as v5e:2x2 or h100:8
	HLO      string       // file for the compiled program of phase 1; empty for none
	Progress func(string) // told what takes long
}

// AddTopology compiles the training step of each phase for a topology, ahead of time and without its devices, and adds
// what comes out to the plan. A step that does not fit is a result, not an error.
//
// Errors are of kind Usage (no such topology, a batch that its devices do not divide), Device (the plugin is missing or
// damaged) or Storage.
func (p *Plan) AddTopology(ctx context.Context, c *Config, o TopologyOptions) error {
	compiler, err := newTopologyCompiler(ctx, c, o)
	if err != nil {
		return err
	}
	defer compiler.topology.Close()
	compiler.options.Model.VocabSize = p.VocabSize
	phases := c.phases()
	for i := range phases {
		if err := compiler.checkBatch(&phases[i]); err != nil {
			return err
		}
	}
	p.Topology, p.Fits, p.HBM.Limit = compiler.describe(), new(true), &compiler.limit
	hours := 0.0
	for i := range phases {
		step, err := compiler.compile(phases[i].shape(), phases[i].parts)
		if fault.KindOf(err) == fault.OutOfMemory {
			return p.findFit(compiler, &phases[i], err)
		}
		if err != nil {
			return err
		}
		if i == 0 {
			p.addStep(step)
			if err := step.writeHLO(o.HLO); err != nil {
				return err
			}
		}
		if compiler.estimates() {
			one := &p.Phases[i]
			one.Hours = new(float64(one.Steps) * step.seconds(p.Topology) / 3600)
			hours += *one.Hours
		}
	}
	if compiler.estimates() {
		p.Hours = &hours
	}
	return nil
}

// addStep takes over what is known of phase 1's compiled step.
func (p *Plan) addStep(step *compiledStep) {
	t, m := p.Topology, step.memory
	p.HBM.Arguments, p.HBM.Temporaries, p.HBM.Aliased, p.HBM.Peak = &m.Arguments, &m.Temporaries, &m.Aliased, &m.Peak
	t.Compile, t.Collectives = step.took.Seconds(), exchanges(step.costs)
	if t.Clock == 0 {
		return
	}
	seconds := step.seconds(t)
	p.EstimatedCycles, p.EstimatedStep = new(step.cycles()), &seconds
	p.MFU = new(p.FLOPsPerStep / seconds / (t.PeakFLOPs * float64(t.Devices)))
	t.FLOPs, t.Bytes = step.flops, step.bytes
	t.TokensPerS = float64(p.Phases[0].TokensPerStep) / seconds
	t.Shares, t.Costliest, t.UncountedLoops = shares(step.costs), costliest(step.costs), step.loops
}

// topologyCompiler compiles steps of a configuration for a topology.
type topologyCompiler struct {
	topology *pjrt.Topology
	clock    float64 // of a device; 0 where the compiler estimates no cycles
	peak     float64 // FLOPs a second of a device
	limit    int64   // bytes of a device's memory
	options  StepOptions
	traced   stablehlo.Options
	progress func(string)
}

// estimates tells whether the compiler says how long its programs take.
func (t *topologyCompiler) estimates() bool { return t.clock > 0 }

// planPlatform is the platform whose programs are planned: the TPU's unless GPUs are asked for.
func (c *Config) planPlatform() string {
	if c.Run.Platform == platform.GPU {
		return platform.GPU
	}
	return platform.TPU
}

// tracedFor says what programs for so many devices of a platform are traced for.
func (c *Config) tracedFor(on string, devices int) stablehlo.Options {
	gpu := on == platform.GPU
	return stablehlo.Options{Devices: devices, Places: true, CUDA: gpu, FusedAttention: gpu && !c.Run.GPU.DecomposedAttention}
}

func newTopologyCompiler(ctx context.Context, c *Config, o TopologyOptions) (*topologyCompiler, error) {
	if kind, count, known := gpuOf(o.Name); known {
		return newGPUCompiler(ctx, c, o, kind, count)
	}
	return newTPUCompiler(ctx, c, o)
}

func newTPUCompiler(ctx context.Context, c *Config, o TopologyOptions) (*topologyCompiler, error) {
	found, err := platform.Obtain(ctx, platform.Options{Platform: platform.TPU, Plugin: c.Run.Plugin, Offline: c.Run.Offline, Progress: o.Progress})
	if err != nil {
		return nil, fault.Wrap(fault.Device, err, "plan: --topology %s needs the TPU's compiler", o.Name)
	}
	plugin, err := pjrt.LoadCompiler(found.Path)
	if err != nil {
		return nil, fault.Wrap(fault.Device, err, "plan: --topology %s", o.Name)
	}
	topology, err := plugin.Topology(o.Name, nil)
	if fault.KindOf(err) == fault.Usage {
		return nil, fault.New(fault.Usage, "plan: --topology %q is none that the TPU's compiler knows; known ones: %s; and of GPUs, each alone or several as in h100:8: %s", o.Name, knownTopologies, knownGPUs)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Device, err, "plan")
	}
	kind, err := chipOf(topology)
	compiler := &topologyCompiler{topology: topology, clock: kind.clock(), peak: kind.peak, options: c.stepOptions(platform.TPU),
		traced: c.tracedFor(platform.TPU, len(topology.Devices)), progress: o.Progress}
	if err == nil {
		compiler.limit, err = memoryLimit(topology)
	}
	if err != nil {
		topology.Close()
		return nil, err
	}
	return compiler, nil
}

// memoryLimit is the memory of a device that programs may use.
func memoryLimit(t *pjrt.Topology) (int64, error) {
	attributes, err := t.Attributes()
	if err != nil {
		return 0, err
	}
	limit, ok := attributes["device_memory_bytes_limit"].(int64)
	if !ok {
		return 0, fault.New(fault.Device, "plan: the plugin does not say how much memory a device of %s has", t.Name)
	}
	return limit, nil
}

func (t *topologyCompiler) describe() *PlanTopology {
	hosts := map[int]bool{}
	for _, d := range t.topology.Devices {
		hosts[d.ProcessIndex] = true
	}
	return &PlanTopology{Name: t.topology.Name, Kind: t.topology.Devices[0].Kind, Devices: t.devices(), Hosts: len(hosts),
		Clock: t.clock, PeakFLOPs: t.peak}
}

func (t *topologyCompiler) devices() int { return len(t.topology.Devices) }

// checkBatch refuses a batch that cannot be split evenly.
func (t *topologyCompiler) checkBatch(p *phase) error {
	unit := t.devices() * p.parts
	if p.batch.BatchSize%unit == 0 {
		return nil
	}
	below := p.batch.BatchSize / unit * unit
	valid := fmt.Sprintf("%d, %d", below, below+unit)
	if below == 0 {
		valid = fmt.Sprintf("%d, %d", unit, 2*unit)
	}
	return fault.New(fault.Usage, "plan: the batch of %d examples in phase %d cannot be split over the %d devices of %s in %d parts; valid ones: %s, and all other multiples of %d",
		p.batch.BatchSize, p.number, t.devices(), t.topology.Name, p.parts, valid, unit)
}

// shape is that of the phase's batches.
func (p *phase) shape() BatchShape {
	return BatchShape{B: p.batch.BatchSize, S: p.batch.SeqLen, K: dataset.MaskedSlots(p.batch.SeqLen, p.batch.MaskProb)}
}

// compile compiles a step. One that does not fit is an error of kind fault.OutOfMemory.
func (t *topologyCompiler) compile(shape BatchShape, parts int) (*compiledStep, error) {
	t.progress(fmt.Sprintf("compiling the step of %d examples of %d tokens for %s: a minute or several", shape.B, shape.S, t.topology.Name))
	began := time.Now()
	options := t.options
	options.Parts = parts
	programs, err := options.Programs(shape, t.traced)
	if err != nil {
		return nil, err
	}
	step := &compiledStep{}
	for _, p := range programs {
		if err := t.add(step, p); err != nil {
			return nil, err
		}
	}
	step.took = time.Since(began)
	return step, nil
}

// add compiles one program of a step.
func (t *topologyCompiler) add(step *compiledStep, p StepProgram) error {
	o := pjrt.CompileOptions{NumPartitions: t.devices(), SPMD: t.devices() > 1, Shardy: t.devices() > 1}
	for _, d := range t.topology.Devices {
		o.DeviceAssignment = append(o.DeviceAssignment, d.ID)
	}
	executable, err := t.topology.Compile(p.Text, o)
	if err != nil {
		return fault.Wrap(fault.Device, err, "plan: %s", p.Name)
	}
	defer executable.Close()
	if err := step.add(executable, p); err != nil {
		return err
	}
	if m := step.memory; !t.estimates() && m.Peak > t.limit { // a TPU's compiler refuses it itself
		return fault.Wrap(fault.OutOfMemory, tooMuch{m.Peak, m.Temporaries, t.limit}, "plan: %s", p.Name)
	}
	return nil
}
