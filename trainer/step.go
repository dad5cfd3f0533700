// Axes: B batch, S sequence, K masked slots.
package trainer

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/dataset"
	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/model"
	"elektron/trainer/optimizer"
)

// StepOptions say what a step computes and how.
type StepOptions struct {
	Model     model.Config
	Optimizer optimizer.Config
	Compute   dtypes.DType // of matrix products: Float32 or BFloat16
	// EmulateHalf computes bfloat16 products from float32 ones, for platforms that have none.
	EmulateHalf bool
	// Rematerialize keeps only the layers' inputs for the gradient and computes the rest again.
	Rematerialize bool
	// Parts is the number of parts that a batch is computed in, one after the other (gradient accumulation);
	// it divides the batch. 0 is 1.
	Parts int
	// ShardOptimizer splits each moment over the devices along its first axis, where that is divisible: a device holds and
	// updates its part and the new weights are gathered (ZeRO, stage 1: Rajbhandari et al., 2020, section 5.1).
	ShardOptimizer bool
	// PerDispatch is how many steps the devices are given at once, to be run without the host in between. 0 is 1. A batch
	// in parts is one step at a time.
	PerDispatch int
}

// Step is the program of one training step and the state it works on. The state is a list of arrays, as the optimizer
// lays them out: the weights, then first moments, then second moments; it lives on the devices, changes in place, and nothing else is
// kept from step to step. Everything else comes in with the call: the batch, the step's number, the learning
// rate and the seed.
//
// Each of its programs is compiled when a batch first has its shape.
type Step struct {
	StepOptions
	device   *device.Device
	count    int // of devices
	weights  []model.Weight
	layout   *optimizer.Layout // of the weights
	programs map[programKey]device.Program

	state []device.Array
	sums  []device.Array // of gradients, and of the statistics: zero between steps; nil until needed
}

// Control is what a step needs to know besides its batch.
type Control struct {
	Seed                uint32
	Step                int64   // steps done before this one
	LearningRate        float64 // of this step
	DiscriminatorWeight float64 // of this step
}

// Result is what a step reports.
type Result struct {
	model.Statistics
	GradNorm float64 // global norm before clipping
	Finite   bool    // false if loss or gradient were not: then weights and moments stayed as they were
}

// NewStep makes the step for open devices; nothing is compiled yet.
func NewStep(d *device.Device, o StepOptions) (*Step, error) {
	if err := o.Model.Validate(); err != nil {
		return nil, err
	}
	if err := o.Optimizer.Validate(); err != nil {
		return nil, err
	}
	o.Parts = max(1, o.Parts)
	if d.Platform == platform.Go {
		o.PerDispatch = 1 // it has no loops on the device
	}
	s := o.step(d.Count)
	s.device, s.programs = d, map[programKey]device.Program{}
	return s, nil
}

// step is a step for a number of devices, before there are any.
func (o StepOptions) step(devices int) *Step {
	s := &Step{StepOptions: o, count: devices, weights: o.Model.Weights()}
	variables := make([]optimizer.Variable, len(s.weights))
	for i, w := range s.weights {
		variables[i] = optimizer.Variable{Name: w.Name, Shape: w.Shape, Rate: 1}
	}
	s.layout = o.Optimizer.Layout(variables)
	return s
}

// Close frees the state and the programs.
func (s *Step) Close() {
	device.CloseAll(s.state)
	device.CloseAll(s.sums)
	for _, p := range s.programs {
		p.Close()
	}
	s.state, s.sums, s.programs = nil, nil, nil
}

// Pending are steps that the devices were given.
type Pending struct {
	first   int64 // number of the first of them
	count   int
	metrics device.Array // [count or more, statistics + 2]
}

// Start gives the devices steps on batches of one shape, one after the other, and returns while they are at work.
// After an error, of Start or of Results, the state is lost and the last checkpoint is what remains.
func (s *Step) Start(batches []*dataset.Batch, controls []Control) (*Pending, error) {
	p := &Pending{first: controls[0].Step, count: len(batches)}
	err := fault.Catch(p.String(), func() (err error) {
		switch {
		case s.Parts > 1:
			p.metrics, err = s.startParts(batches[0], controls[0])
		case s.PerDispatch > 1:
			p.metrics, err = s.startLoop(batches, controls)
		default:
			p.metrics, err = s.startWhole(batches[0], controls[0])
		}
		return err
	})
	return p, err
}

// Together is how many steps Start takes at most.
func (s *Step) Together() int {
	if s.Parts > 1 {
		return 1
	}
	return max(1, s.PerDispatch)
}

// Results waits for the steps and says what came out of each.
func (p *Pending) Results() ([]Result, error) {
	metrics, err := device.Floats(p.metrics)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", p, err)
	}
	p.metrics.Close()
	results := make([]Result, p.count)
	for i := range results {
		m := metrics[i*metricsSize:]
		results[i] = Result{model.ParseStatistics(m), float64(m[model.StatisticsSize]), m[model.StatisticsSize+1] == 1}
	}
	return results, nil
}

func (p *Pending) String() string {
	if p.count == 1 {
		return fmt.Sprintf("trainer: step %d", p.first+1)
	}
	return fmt.Sprintf("trainer: steps %d to %d", p.first+1, p.first+int64(p.count))
}

// Train takes one step and waits for it.
func (s *Step) Train(b *dataset.Batch, c Control) (Result, error) {
	p, err := s.Start([]*dataset.Batch{b}, []Control{c})
	if err != nil {
		return Result{}, err
	}
	results, err := p.Results()
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

// startWhole is a step in one program.
func (s *Step) startWhole(b *dataset.Batch, c Control) (device.Array, error) {
	return s.advance(programKey{kind: trainProgram, shape: shapeOf(b)}, append(batchTensors(b), controlTensors(c)...))
}

// startLoop are several steps in one program. The rows of steps that are not wanted are empty.
func (s *Step) startLoop(batches []*dataset.Batch, controls []Control) (device.Array, error) {
	values := stage(batches, controls, s.PerDispatch)
	return s.advance(programKey{kind: loopProgram, shape: shapeOf(batches[0])}, append(values, tensors.FromScalar(int32(len(batches)))))
}

// advance runs a program that takes the state and gives the next one and metrics.
func (s *Step) advance(key programKey, values []*tensors.Tensor) (device.Array, error) {
	program, err := s.program(key)
	if err != nil {
		return nil, err
	}
	out, err := program.Run(s.state, values...)
	if err != nil {
		return nil, err
	}
	s.state = out[:len(out)-1]
	return out[len(out)-1], nil
}

// startParts is a step in parts.
func (s *Step) startParts(b *dataset.Batch, c Control) (device.Array, error) {
	if b.Size%s.Parts != 0 {
		return nil, fault.New(fault.Usage, "trainer: a batch of %d examples cannot be computed in %d equal parts", b.Size, s.Parts)
	}
	if err := s.zeroSums(); err != nil {
		return nil, err
	}
	n, size := len(s.weights), b.Size/s.Parts
	for first := 0; first < b.Size; first += size {
		part := rows(b, first, size)
		program, err := s.program(programKey{kind: partProgram, shape: shapeOf(part)})
		if err != nil {
			return nil, err
		}
		values := append(append(batchTensors(part), controlTensors(c)...), totalTensors(b, first)...)
		if s.sums, err = program.Run(slices.Concat(s.state[:n], s.sums), values...); err != nil {
			return nil, err
		}
	}
	apply, err := s.program(programKey{kind: applyProgram})
	if err != nil {
		return nil, err
	}
	out, err := apply.Run(slices.Concat(s.state, s.sums), controlTensors(c)...)
	if err != nil {
		return nil, err
	}
	s.state, s.sums = out[:len(s.layout.Arrays)], out[len(s.layout.Arrays):len(out)-1]
	return out[len(out)-1], nil
}

// zeroSums makes the sums of gradients and statistics before the first part, if there are none.
func (s *Step) zeroSums() error {
	if s.sums != nil {
		return nil
	}
	for _, in := range s.sumInputs() {
		sum, err := s.device.Put(tensors.FromShape(shapes.Make(in.DType, in.Dims...)), device.Replicated)
		if err != nil {
			return err
		}
		s.sums = append(s.sums, sum)
	}
	return nil
}

// Evaluate runs the task on a batch without changing the state.
func (s *Step) Evaluate(b *dataset.Batch, c Control) (model.Statistics, error) {
	var sum model.Statistics
	err := fault.Catch("trainer: validation", func() error {
		size := b.Size
		if size%s.Parts == 0 {
			size /= s.Parts
		}
		for first := 0; first < b.Size; first += size {
			part := rows(b, first, size)
			program, err := s.program(programKey{kind: evalProgram, shape: shapeOf(part)})
			if err != nil {
				return err
			}
			values := append(batchTensors(part), tensors.FromScalar(c.Seed), tensors.FromScalar(uint32(c.Step)), tensors.FromScalar(uint32(first)))
			out, err := program.Run(s.state[:len(s.weights)], values...)
			if err != nil {
				return err
			}
			metrics, err := device.Floats(out[0])
			if err != nil {
				return err
			}
			out[0].Close()
			sum.Add(model.ParseStatistics(metrics))
		}
		return nil
	})
	return sum, err
}
