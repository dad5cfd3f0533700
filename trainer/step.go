// Axes: B batch, S sequence, K masked slots.
package trainer

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/dataset"
	"elektron/internal/fault"
	"elektron/model"
	"elektron/trainer/optimizer"
)

// Step is the program of one training step and the state it works on. The state is a list: the weights,
// then their first moments, then their second moments; it lives on the device and nothing else is kept
// from step to step. Everything else comes in with the call: the batch, the step's number, the learning
// rate and the seed.
//
// The step is traced once and compiled for the device at its first call.
type Step struct {
	model     model.Config
	optimizer optimizer.Config
	compute   dtypes.DType
	backend   compute.Backend
	weights   []model.Weight

	state       []*tensors.Tensor // 3·len(weights)
	train, eval *graph.Exec
}

// Control is what a step needs to know besides its batch.
type Control struct {
	Seed         uint32
	Step         int64   // steps done before this one
	LearningRate float64 // of this step
}

// Result is what a step reports.
type Result struct {
	model.Statistics
	GradNorm float64 // global norm before clipping
	Finite   bool    // false if loss or gradient were not: then weights and moments stayed as they were
}

// NewStep builds the step for a model and an optimizer on a backend; nothing is compiled yet.
func NewStep(backend compute.Backend, m model.Config, o optimizer.Config, compute dtypes.DType) (*Step, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Step{model: m, optimizer: o, compute: compute, backend: backend, weights: m.Weights()}
	var err error
	if s.train, err = graph.NewExec(backend, s.buildTrain); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "trainer: training step")
	}
	if s.eval, err = graph.NewExec(backend, s.buildEval); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "trainer: evaluation step")
	}
	s.train.WithName("train_step")
	s.eval.WithName("evaluation_step")
	return s, nil
}

// batchInputs is the number of arrays of a batch.
const batchInputs = 6

// buildTrain is the graph of a training step. Inputs: state, batch, seed, step, learning rate. Outputs: the
// new state, then the metrics vector: statistics, gradient norm, finite flag.
func (s *Step) buildTrain(in []*graph.Node) []*graph.Node {
	n := slots * len(s.weights)
	state, batch, control := in[:n], in[n:n+batchInputs], in[n+batchInputs:]
	updated, out, norm, finite := s.update(state, batchOf(batch), control[0], control[1], control[2])
	tail := graph.Stack([]*graph.Node{norm, graph.ConvertDType(finite, dtypes.Float32)}, 0)
	return append(updated, graph.Concatenate([]*graph.Node{out.Statistics, tail}, 0))
}

// update is the training step itself: the task, its gradients, the optimizer. Where loss or gradient is not
// finite, the new state is the old one. seed and step are uint32 scalars, rate is a float32 scalar.
func (s *Step) update(state []*graph.Node, batch model.Batch, seed, step, rate *graph.Node) (updated []*graph.Node, out model.Output, norm, finite *graph.Node) {
	n := len(s.weights)
	out = s.model.Forward(s.context(state[:n], model.StepKey(seed, step)), batch)
	gradients := graph.Gradient(out.Loss, state[:n]...)
	variables := make([]optimizer.Variable, n)
	for i, w := range s.weights {
		variables[i] = optimizer.Variable{Name: w.Name, Value: state[i], Gradient: gradients[i],
			First: state[firstSlot*n+i], Second: state[secondSlot*n+i], Rate: 1}
	}
	variables, norm = s.optimizer.Apply(graph.ConvertDType(step, dtypes.Float32), rate, variables)
	finite = graph.And(graph.IsFinite(norm), graph.IsFinite(out.Loss))
	updated = make([]*graph.Node, slots*n)
	for i, v := range variables {
		for slot, node := range [slots]*graph.Node{v.Value, v.First, v.Second} {
			updated[slot*n+i] = graph.Where(finite, node, state[slot*n+i])
		}
	}
	return updated, out, norm, finite
}

// buildEval is the graph of a validation step: the task without dropout and without update. Inputs: weights,
// batch, seed, step. Output: statistics.
func (s *Step) buildEval(in []*graph.Node) *graph.Node {
	n := len(s.weights)
	control := in[n+batchInputs:]
	key := model.StepKey(control[0], control[1])
	config := s.model
	config.HiddenDropout, config.AttentionDropout = 0, 0
	return config.Forward(s.context(in[:n], key), batchOf(in[n:n+batchInputs])).Statistics
}

// context gives the model its weights by name.
func (s *Step) context(values []*graph.Node, key *graph.Node) *model.Context {
	byName := make(map[string]*graph.Node, len(values))
	for i, w := range s.weights {
		byName[w.Name] = values[i]
	}
	return model.NewContext(byName, s.compute, key)
}

func batchOf(in []*graph.Node) model.Batch {
	return model.Batch{IDs: in[0], SegmentIDs: in[1], Lengths: in[2], MaskedPositions: in[3], MaskedInputs: in[4], MaskedWeights: in[5]}
}

// batchTensors are a batch's arrays in the order of batchOf.
func batchTensors(b *dataset.Batch) []any {
	return []any{
		tensors.FromFlatDataAndDimensions(b.IDs, b.Size, b.SeqLen),
		tensors.FromFlatDataAndDimensions(b.SegmentIDs, b.Size, b.SeqLen),
		tensors.FromFlatDataAndDimensions(b.Lengths, b.Size),
		tensors.FromFlatDataAndDimensions(b.MaskedPositions, b.Size, b.Masked),
		tensors.FromFlatDataAndDimensions(b.MaskedInputs, b.Size, b.Masked),
		tensors.FromFlatDataAndDimensions(b.MaskedWeights, b.Size, b.Masked),
	}
}

// Train runs one step and updates the state. The batch must have the shape of the first one. After an error
// of the device the state is lost and the last checkpoint is what remains.
func (s *Step) Train(b *dataset.Batch, c Control) (Result, error) {
	var r Result
	err := fault.Catch(fmt.Sprintf("trainer: step %d", c.Step+1), func() error {
		args := make([]any, 0, len(s.state)+batchInputs+3)
		for _, t := range s.state {
			donated, err := graph.DonateTensorBuffer(t, s.backend, 0)
			if err != nil {
				return err
			}
			args = append(args, donated)
		}
		inputs := append(batchTensors(b), tensors.FromScalar(c.Seed), tensors.FromScalar(uint32(c.Step)), tensors.FromScalar(float32(c.LearningRate)))
		out, err := s.train.Exec(append(args, inputs...)...)
		if err != nil {
			return err
		}
		s.state = out[:len(out)-1]
		metrics, err := take(out[len(out)-1])
		finalize(inputs)
		if err != nil {
			return err
		}
		r.Statistics = model.ParseStatistics(metrics)
		r.GradNorm, r.Finite = float64(metrics[model.StatisticsSize]), metrics[model.StatisticsSize+1] == 1
		return nil
	})
	return r, err
}

// Evaluate runs the task on a batch without changing the state.
func (s *Step) Evaluate(b *dataset.Batch, c Control) (model.Statistics, error) {
	var r model.Statistics
	err := fault.Catch("trainer: validation", func() error {
		args := make([]any, 0, len(s.weights)+batchInputs+2)
		for _, t := range s.state[:len(s.weights)] {
			args = append(args, t)
		}
		inputs := append(batchTensors(b), tensors.FromScalar(c.Seed), tensors.FromScalar(uint32(c.Step)))
		out, err := s.eval.Exec(append(args, inputs...)...)
		if err != nil {
			return err
		}
		metrics, err := take(out[0])
		finalize(inputs)
		if err != nil {
			return err
		}
		r = model.ParseStatistics(metrics)
		return nil
	})
	return r, err
}

// take copies a result to the host and frees it on the device.
func take(t *tensors.Tensor) ([]float32, error) {
	defer t.FinalizeAll()
	return tensors.CopyFlatData[float32](t)
}

func finalize(inputs []any) {
	for _, in := range inputs {
		in.(*tensors.Tensor).FinalizeAll()
	}
}
