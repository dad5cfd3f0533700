// Axes: B batch (or a part of it), S sequence, K masked slots.
package trainer

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"elektron/model"
	"elektron/trainer/optimizer"
)

// The graphs of a step. A batch that is computed whole is one program: buildTrain. One that is computed in
// parts is two: buildPart adds a part's gradient to those before it, buildApply updates with the sum. Losses
// are divided by the whole batch's tokens and noise counts the whole batch's rows, so both ways are the same
// step.

// batchInputs is the number of arrays of a batch.
const batchInputs = 6

func batchOf(in []*graph.Node) model.Batch {
	return model.Batch{IDs: in[0], SegmentIDs: in[1], Lengths: in[2], MaskedPositions: in[3], MaskedInputs: in[4], MaskedWeights: in[5]}
}

// controls are the scalars of a step: uint32, uint32, float32, float32.
type controls struct{ seed, step, rate, weight *graph.Node }

func controlsOf(in []*graph.Node) controls {
	return controls{seed: in[0], step: in[1], rate: in[2], weight: in[3]}
}

// totals are the scalars of a part: uint32 number of its first row, float32 masked and other tokens of the
// whole batch.
type totals struct{ firstRow, masked, tokens *graph.Node }

func totalsOf(in []*graph.Node) totals { return totals{in[0], in[1], in[2]} }

const (
	controlInputs = 4
	totalInputs   = 3
)

// buildTrain is a whole training step. Inputs: state, batch, controls. Outputs: the new state, then the metrics
// vector: statistics, gradient norm, finite flag.
func (s *Step) buildTrain(in []*graph.Node) []*graph.Node {
	n := len(s.layout.Arrays)
	state, batch, control := in[:n], batchOf(in[n:]), controlsOf(in[n+batchInputs:])
	gradients, out := s.gradients(state, batch, control, nil)
	updated, norm, finite := s.update(state, gradients, out.Statistics, control)
	return append(updated, metricsVector(out.Statistics, norm, finite))
}

// buildPart is the gradient of a part of a batch. Inputs: weights, sums of gradients, sum of statistics, the
// part, controls, totals. Outputs: the new sums.
func (s *Step) buildPart(in []*graph.Node) []*graph.Node {
	n := len(s.weights)
	weights, sums, rest := in[:n], in[n:2*n+1], in[2*n+1:]
	control, total := controlsOf(rest[batchInputs:]), totalsOf(rest[batchInputs+controlInputs:])
	gradients, out := s.gradients(weights, batchOf(rest), control, &total)
	added := make([]*graph.Node, n+1)
	for i, gradient := range append(gradients, out.Statistics) {
		added[i] = graph.Add(sums[i], gradient)
	}
	return added
}

// buildApply is the update that follows the parts. Inputs: state, sums of gradients, sum of statistics,
// controls. Outputs: the new state, sums set to zero for the next step, the metrics vector.
func (s *Step) buildApply(in []*graph.Node) []*graph.Node {
	n := len(s.weights)
	state, in := in[:len(s.layout.Arrays)], in[len(s.layout.Arrays):]
	sums, control := in[:n+1], controlsOf(in[n+1:])
	statistics := sums[n]
	updated, norm, finite := s.update(state, sums[:n], statistics, control)
	for _, sum := range sums {
		updated = append(updated, graph.ZerosLike(sum))
	}
	return append(updated, metricsVector(statistics, norm, finite))
}

// gradients runs the task forward and backward.
func (s *Step) gradients(weights []*graph.Node, batch model.Batch, control controls, part *totals) ([]*graph.Node, model.Output) {
	weights = weights[:len(s.weights)]
	ctx := s.context(weights, model.StepKey(control.seed, control.step))
	if s.Rematerialize {
		ctx = ctx.Rematerialize()
	}
	if part != nil {
		ctx = ctx.Rows(part.firstRow)
		batch.AllMasked, batch.AllTokens = part.masked, part.tokens
	}
	batch.DiscriminatorWeight = control.weight
	out := s.Model.Forward(ctx, batch)
	return graph.Gradient(out.Loss, weights...), out
}

// update is the optimizer's half of the step. Where losses or gradient are not finite, the new state is the old
// one.
func (s *Step) update(state, gradients []*graph.Node, statistics *graph.Node, control controls) (updated []*graph.Node, norm, finite *graph.Node) {
	arriving := make([]optimizer.Grad, len(gradients))
	for i, gradient := range gradients {
		arriving[i] = optimizer.Grad{Whole: gradient, Rows: model.EqualRows(gradient)}
	}
	losses := graph.ReduceAllSum(statistics)
	return s.layout.ApplyIfFinite(graph.ConvertDType(control.step, dtypes.Float32), control.rate, losses, state, arriving)
}

// metricsSize is the length of the metrics vector.
const metricsSize = model.StatisticsSize + 2

func metricsVector(statistics, norm, finite *graph.Node) *graph.Node {
	tail := graph.Stack([]*graph.Node{norm, graph.ConvertDType(finite, dtypes.Float32)}, 0)
	return graph.Concatenate([]*graph.Node{statistics, tail}, 0)
}

// buildEval is the graph of a validation step: the task without dropout and without update. Inputs: weights,
// a batch or a part of one, seed, step, number of its first row. Output: statistics.
func (s *Step) buildEval(in []*graph.Node) []*graph.Node {
	n := len(s.weights)
	control := in[n+batchInputs:]
	config := s.Model
	config.HiddenDropout, config.AttentionDropout = 0, 0
	ctx := s.context(in[:n], model.StepKey(control[0], control[1])).Rows(control[2])
	return []*graph.Node{config.Forward(ctx, batchOf(in[n:])).Statistics}
}

// context gives the model its weights by name.
func (s *Step) context(values []*graph.Node, key *graph.Node) *model.Context {
	byName := make(map[string]*graph.Node, len(values))
	for i, w := range s.weights {
		byName[w.Name] = values[i]
	}
	ctx := model.NewContext(byName, s.Compute, key)
	if s.EmulateHalf {
		return ctx.EmulateHalf()
	}
	return ctx
}
