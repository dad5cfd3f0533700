// Axes: B batch, S sequence, K masked slots.
package trainer

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/dataset"
	"elektron/internal/fault"
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
}

// Step is the program of one training step and the state it works on. The state is a list: the weights,
// then their first moments, then their second moments; it lives on the device and nothing else is kept
// from step to step. Everything else comes in with the call: the batch, the step's number, the learning
// rate and the seed.
//
// The step is traced once for every shape of batch and compiled for the device at its first call.
type Step struct {
	StepOptions
	backend compute.Backend
	weights []model.Weight

	state []*tensors.Tensor // 3·len(weights)
	sums  []*tensors.Tensor // of gradients, and of the statistics: zero between steps; nil until needed

	train, part, apply, eval *graph.Exec
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

// NewStep builds the step on a backend; nothing is compiled yet.
func NewStep(backend compute.Backend, o StepOptions) (*Step, error) {
	if err := o.Model.Validate(); err != nil {
		return nil, err
	}
	if err := o.Optimizer.Validate(); err != nil {
		return nil, err
	}
	o.Parts = max(1, o.Parts)
	s := &Step{StepOptions: o, backend: backend, weights: o.Model.Weights()}
	for _, program := range []struct {
		exec  **graph.Exec
		name  string
		build func([]*graph.Node) []*graph.Node
	}{
		{&s.train, "train_step", s.buildTrain}, {&s.part, "gradient_of_part", s.buildPart},
		{&s.apply, "apply_gradient", s.buildApply}, {&s.eval, "evaluation_step", s.buildEval},
	} {
		exec, err := graph.NewExec(backend, program.build)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "trainer: %s", program.name)
		}
		*program.exec = exec.WithName(program.name)
	}
	return s, nil
}

// Train runs one step and updates the state. After an error of the device the state is lost and the last
// checkpoint is what remains.
func (s *Step) Train(b *dataset.Batch, c Control) (Result, error) {
	var r Result
	err := fault.Catch(fmt.Sprintf("trainer: step %d", c.Step+1), func() error {
		run := s.trainWhole
		if s.Parts > 1 {
			run = s.trainParts
		}
		metrics, err := run(b, c)
		if err != nil {
			return err
		}
		r.Statistics = model.ParseStatistics(metrics)
		r.GradNorm, r.Finite = float64(metrics[model.StatisticsSize]), metrics[model.StatisticsSize+1] == 1
		return nil
	})
	return r, err
}

// trainWhole is a step in one program: its metrics vector.
func (s *Step) trainWhole(b *dataset.Batch, c Control) ([]float32, error) {
	out, err := Call(s.backend, s.train, nil, s.state, append(batchTensors(b), controlTensors(c)...))
	if err != nil {
		return nil, err
	}
	s.state = out[:len(out)-1]
	return Take(out[len(out)-1])
}

// trainParts is a step in parts: its metrics vector.
func (s *Step) trainParts(b *dataset.Batch, c Control) ([]float32, error) {
	if b.Size%s.Parts != 0 {
		return nil, fault.New(fault.Usage, "trainer: a batch of %d examples cannot be computed in %d equal parts", b.Size, s.Parts)
	}
	if s.sums == nil {
		s.sums = s.zeroSums()
	}
	n, size := len(s.weights), b.Size/s.Parts
	for first := 0; first < b.Size; first += size {
		inputs := append(append(batchTensors(rows(b, first, size)), controlTensors(c)...), totalTensors(b, first)...)
		sums, err := Call(s.backend, s.part, s.state[:n], s.sums, inputs)
		if err != nil {
			return nil, err
		}
		s.sums = sums
	}
	out, err := Call(s.backend, s.apply, nil, slices.Concat(s.state, s.sums), controlTensors(c))
	if err != nil {
		return nil, err
	}
	s.state, s.sums = out[:slots*n], out[slots*n:len(out)-1]
	return Take(out[len(out)-1])
}

// zeroSums are sums of gradients and statistics before the first part.
func (s *Step) zeroSums() []*tensors.Tensor {
	sums := make([]*tensors.Tensor, 0, len(s.weights)+1)
	for _, w := range s.weights {
		sums = append(sums, tensors.FromFlatDataAndDimensions(make([]float32, w.Size()), w.Shape...))
	}
	return append(sums, tensors.FromFlatDataAndDimensions(make([]float32, model.StatisticsSize), model.StatisticsSize))
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
			inputs := append(batchTensors(rows(b, first, size)), tensors.FromScalar(c.Seed), tensors.FromScalar(uint32(c.Step)), tensors.FromScalar(uint32(first)))
			out, err := Call(s.backend, s.eval, s.state[:len(s.weights)], nil, inputs)
			if err != nil {
				return err
			}
			metrics, err := Take(out[0])
			if err != nil {
				return err
			}
			sum.Add(model.ParseStatistics(metrics))
		}
		return nil
	})
	return sum, err
}
