// Axes: B batch (or a part of it), S sequence, K masked slots.
package trainer

import (
	"github.com/gomlx/compute/dtypes"

	"elektron/dataset"
	"elektron/internal/device"
	"elektron/internal/stablehlo"
	"elektron/model"
	"elektron/trainer/optimizer"
)

// The model registers rules of its own, and is initialised before this package.
func init() { stablehlo.FollowGradients() }

// BatchShape is the shape of a step's batch: rows over all devices, tokens of a row, masked slots of a row.
type BatchShape struct{ B, S, K int }

func shapeOf(b *dataset.Batch) BatchShape { return BatchShape{b.Size, b.SeqLen, b.Masked} }

// StepProgram is a program of a training step and how often a step runs it.
type StepProgram struct {
	*stablehlo.Program
	Runs int
	// Resident are the bytes of state that lie on every device while it runs and that are no argument of it.
	Resident int64
}

// Programs traces the training step for devices: the state is aliased to the new state and each device has
// all of it, the rows of the batch are split. Losses, clipping and noise are those of the whole batch, however many
// devices there are. A step in one part is one program, train_step; one in several is gradient_of_part, which runs once
// for each, and apply_gradient.
func (o StepOptions) Programs(shape BatchShape, on stablehlo.Options) ([]StepProgram, error) {
	s := o.step(max(1, on.Devices))
	n, parts := len(s.weights), max(1, o.Parts)
	shape.B /= parts
	trace := func(kind programKind, runs int) (StepProgram, error) {
		spec := s.spec(programKey{kind, shape})
		p, err := stablehlo.Trace(spec.Name, on, spec.Inputs, spec.Build)
		return StepProgram{Program: p, Runs: runs}, err
	}
	if parts == 1 {
		train, err := trace(trainProgram, 1)
		return []StepProgram{train}, err
	}
	part, err := trace(partProgram, parts)
	if err != nil {
		return nil, err
	}
	for _, moment := range s.stateInputs()[n:] {
		part.Resident += moment.Bytes()
	}
	apply, err := trace(applyProgram, 1)
	return []StepProgram{part, apply}, err
}

// programKind is one of the programs of a step.
type programKind int

const (
	trainProgram programKind = iota // a step
	loopProgram                     // several steps
	partProgram                     // the gradient of a part of a batch
	applyProgram                    // the update that follows the parts
	evalProgram                     // the task alone, for validation
)

// programKey names a program: its kind, and the shape of its batch or part where it has one.
type programKey struct {
	kind  programKind
	shape BatchShape
}

// spec is a program before it is compiled.
func (s *Step) spec(key programKey) device.Spec {
	state, batch := s.stateInputs(), key.shape.inputs()
	weights := state[:len(s.weights)]
	switch key.kind {
	case trainProgram:
		return device.Spec{Name: "train_step", Inputs: join(aliased(state), batch, controlInputList()), Build: s.buildTrain}
	case loopProgram:
		return device.Spec{Name: "train_steps", Inputs: join(aliased(state), batch, controlInputList()), Build: s.buildTrain, Steps: s.PerDispatch}
	case partProgram:
		return device.Spec{Name: "gradient_of_part", Inputs: join(weights, aliased(s.sumInputs()), batch, controlInputList(), totalInputList()), Build: s.buildPart}
	case applyProgram:
		return device.Spec{Name: "apply_gradient", Inputs: join(aliased(append(state, s.sumInputs()...)), controlInputList()), Build: s.buildApply}
	}
	return device.Spec{Name: "evaluation_step", Inputs: join(weights, batch, evalInputList()), Build: s.buildEval}
}

// program is a program of the step, compiled when it is first wanted.
func (s *Step) program(key programKey) (device.Program, error) {
	if p := s.programs[key]; p != nil {
		return p, nil
	}
	p, err := s.device.Compile(s.spec(key))
	if err == nil {
		s.programs[key] = p
	}
	return p, err
}

func join(lists ...[]stablehlo.Input) (all []stablehlo.Input) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// aliased lets the outputs of a program take over the memory of inputs, in order from the first one.
func aliased(inputs []stablehlo.Input) []stablehlo.Input {
	for i := range inputs {
		inputs[i].Aliased = new(i)
	}
	return inputs
}

// stateInputs are the state's arrays.
func (s *Step) stateInputs() []stablehlo.Input {
	inputs := make([]stablehlo.Input, len(s.layout.Arrays))
	for i, a := range s.layout.Arrays {
		split := s.split(a)
		inputs[i] = stablehlo.Input{Name: s.nameOf(a), DType: dtypes.Float32, Dims: a.Shape, Sharded: split != device.Replicated, Axis: max(0, split)}
	}
	return inputs
}

// nameOf is the name of an array of the state.
func (s *Step) nameOf(a optimizer.Array) string {
	name := "vectors" // biases and norms
	if len(a.Of) == 1 {
		name = s.weights[a.Of[0]].Name
	}
	return name + slotSuffix[a.Slot]
}

// split is the axis along which an array of the state is split over the devices, or device.Replicated. Moments of
// matrices are where asked, along the first axis that the devices divide (ZeRO stage 1: Rajbhandari et al., 2020,
// section 5.1). Those of vectors are little.
func (s *Step) split(a optimizer.Array) int {
	if !s.ShardOptimizer || a.Slot == optimizer.Values || s.count == 1 || len(a.Shape) < 2 {
		return device.Replicated
	}
	for axis, length := range a.Shape {
		if length%s.count == 0 {
			return axis
		}
	}
	return device.Replicated
}

// sumInputs are the arrays of zeroSums.
func (s *Step) sumInputs() []stablehlo.Input {
	inputs := make([]stablehlo.Input, 0, len(s.weights)+1)
	for _, w := range s.weights {
		inputs = append(inputs, stablehlo.Input{Name: w.Name + "#gradient", DType: dtypes.Float32, Dims: w.Shape})
	}
	return append(inputs, stablehlo.Input{Name: "statistics", DType: dtypes.Float32, Dims: []int{model.StatisticsSize}})
}

// inputs are the arrays of batchOf.
func (b BatchShape) inputs() []stablehlo.Input {
	rows := func(name string, t dtypes.DType, dims ...int) stablehlo.Input {
		return stablehlo.Input{Name: name, DType: t, Dims: append([]int{b.B}, dims...), Sharded: true}
	}
	return []stablehlo.Input{
		rows("ids", dtypes.Int32, b.S), rows("segment_ids", dtypes.Int32, b.S), rows("lengths", dtypes.Int32),
		rows("masked_positions", dtypes.Int32, b.K), rows("masked_inputs", dtypes.Int32, b.K), rows("masked_weights", dtypes.Float32, b.K),
	}
}

// controlInputList are the scalars of controlsOf.
func controlInputList() []stablehlo.Input {
	return []stablehlo.Input{{Name: "seed", DType: dtypes.Uint32}, {Name: "step", DType: dtypes.Uint32},
		{Name: "learning_rate", DType: dtypes.Float32}, {Name: "discriminator_weight", DType: dtypes.Float32}}
}

// totalInputList are the scalars of totalsOf.
func totalInputList() []stablehlo.Input {
	return []stablehlo.Input{{Name: "first_row", DType: dtypes.Uint32}, {Name: "all_masked", DType: dtypes.Float32}, {Name: "all_tokens", DType: dtypes.Float32}}
}

// evalInputList are seed, step and number of the first row, the scalars of buildEval.
func evalInputList() []stablehlo.Input {
	return []stablehlo.Input{{Name: "seed", DType: dtypes.Uint32}, {Name: "step", DType: dtypes.Uint32}, {Name: "first_row", DType: dtypes.Uint32}}
}
