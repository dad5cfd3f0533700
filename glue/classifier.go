// Axes: B batch, S sequence, C outputs.
package glue

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/glue/squad"
	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/stablehlo"
	"elektron/model"
	"elektron/trainer/optimizer"
)

// programOptions are what the programs of a task are compiled for, beside the shapes of batches. Tasks that agree in
// them share their programs. Learning rate and number of steps are inputs and not among them.
type programOptions struct {
	model       model.Config // of the encoder alone, with the dropout of fine-tuning
	optimizer   optimizer.Config
	outputs     int
	regression  bool
	sum         bool // of the losses of a batch; else their mean
	layerDecay  float64
	official    bool // the published code's layer decay
	compute     dtypes.DType
	emulateHalf bool // compute bfloat16 products from float32 ones

	spans          squad.Version // of tasks whose answers are parts of a text, with the head for that; else 0
	noAnswerWeight float64       // of that head's second loss
}

// classifier is a model in fine-tuning: its programs, compiled for a shape when a batch first has it, and its state,
// which lives on the devices, as the optimizer lays it out: the weights, then first, then second moments.
type classifier struct {
	programOptions
	device         *device.Device
	weights        []model.Weight
	layout         *optimizer.Layout // of the weights
	state          []device.Array
	train, predict map[[2]int]device.Program // by shape of batch
}

func newClassifier(d *device.Device, o programOptions) *classifier {
	c := &classifier{programOptions: o, device: d, weights: o.weights(), train: map[[2]int]device.Program{}, predict: map[[2]int]device.Program{}}
	variables := make([]optimizer.Variable, len(c.weights))
	for i, w := range c.weights {
		variables[i] = optimizer.Variable{Name: w.Name, Shape: w.Shape, Rate: c.rate(w.Name)}
	}
	c.layout = o.optimizer.Layout(variables)
	return c
}

// knows tells whether the step is compiled for a batch's shape.
func (c *classifier) knows(b *Batch) bool { return c.train[[2]int{b.Size, b.SeqLen}] != nil }

// weights lists those of the model with the head of the task.
func (o *programOptions) weights() []model.Weight {
	if o.spans != 0 {
		return o.model.SpanWeights(o.spans == squad.V2)
	}
	return o.model.ClassifierWeights(o.outputs)
}

// start sets the state for a run: weights as given by name, those that are not given drawn from the seed, zero moments.
func (c *classifier) start(weights map[string][]float32, seed uint32) error {
	c.release()
	numbers := func(slot optimizer.Slot, i int) ([]float32, error) {
		w := c.weights[i]
		switch values, given := weights[w.Name]; {
		case slot != optimizer.Values:
			return make([]float32, w.Size()), nil
		case given:
			return values, nil
		}
		return w.Initialize(seed, c.model.InitializerRange), nil
	}
	for _, a := range c.layout.Arrays {
		values, err := c.layout.Join(a, numbers)
		if err != nil {
			return err
		}
		array, err := c.device.Put(tensors.FromFlatDataAndDimensions(values, a.Shape...), device.Replicated)
		if err != nil {
			return fmt.Errorf("glue: copying %s to the device: %w", c.weights[a.Of[0]].Name, err)
		}
		c.state = append(c.state, array)
	}
	return nil
}

// release frees the state.
func (c *classifier) release() {
	device.CloseAll(c.state)
	c.state = nil
}

// export copies the weights to the host, by name.
func (c *classifier) export() (map[string][]float32, error) {
	values := map[string][]float32{}
	for i, w := range c.weights {
		flat, err := device.Floats(c.state[i])
		if err != nil {
			return nil, fmt.Errorf("glue: copying %s from the device: %w", w.Name, err)
		}
		values[w.Name] = flat
	}
	return values, nil
}

// stepResult is what a training step reports.
type stepResult struct {
	loss     float64 // mean over the examples, whatever is minimised
	gradNorm float64 // before clipping
	finite   bool    // false if loss or gradient were not: then the state stayed as it was
}

// step trains on a batch and updates the state. step counts from 0. After an error of the device the state is lost.
func (c *classifier) step(b *Batch, seed uint32, step int64, rate float64) (r stepResult, err error) {
	err = fault.Catch(fmt.Sprintf("glue: step %d", step+1), func() error {
		values := append(textTensors(b), tensors.FromFlatDataAndDimensions(b.Weights, b.Size),
			tensors.FromScalar(seed), tensors.FromScalar(uint32(step)), tensors.FromScalar(float32(rate)))
		values = append(values, c.targets(b)...)
		program, err := c.program(c.train, "finetune_step", b, true, values, c.buildTrain)
		if err != nil {
			return err
		}
		out, err := program.Run(c.state, values...)
		if err != nil {
			return err
		}
		c.state = out[:len(out)-1]
		defer out[len(out)-1].Close()
		metrics, err := device.Floats(out[len(out)-1])
		if err == nil {
			r = stepResult{float64(metrics[0]), float64(metrics[1]), metrics[2] == 1}
		}
		return err
	})
	return r, err
}

// targets are what a batch is to be learnt as: labels or scores, or where answers begin and where they end.
func (c *classifier) targets(b *Batch) []*tensors.Tensor {
	switch {
	case c.spans != 0:
		return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(b.Starts, b.Size), tensors.FromFlatDataAndDimensions(b.Ends, b.Size)}
	case c.regression:
		return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(b.Scores, b.Size)}
	}
	return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(b.Labels, b.Size)}
}

// outputsOf are those of a batch's rows that stand for examples: [Rows][C], and for answers in a text [Rows] with the
// outputs of buildPredict.
func (c *classifier) outputsOf(b *Batch) (rows [][]float32, err error) {
	err = fault.Catch("glue: prediction", func() error {
		values := textTensors(b)
		program, err := c.program(c.predict, "predict", b, false, values, c.buildPredict)
		if err != nil {
			return err
		}
		out, err := program.Run(c.state[:len(c.weights)], values...)
		if err != nil {
			return err
		}
		defer out[0].Close()
		flat, err := device.Floats(out[0])
		if err != nil {
			return err
		}
		for row, width := 0, len(flat)/b.Size; row < b.Rows; row++ {
			rows = append(rows, flat[row*width:(row+1)*width])
		}
		return nil
	})
	return rows, err
}

// program is the program for a batch's shape, compiled when it is first wanted. Training takes all of the state and gives
// it back, prediction only reads the weights.
func (c *classifier) program(known map[[2]int]device.Program, name string, b *Batch, training bool, values []*tensors.Tensor, build func([]*graph.Node) []*graph.Node) (device.Program, error) {
	key := [2]int{b.Size, b.SeqLen}
	if p := known[key]; p != nil {
		return p, nil
	}
	var inputs []stablehlo.Input
	for i, a := range c.layout.Arrays {
		in := stablehlo.Input{Name: fmt.Sprintf("%s#%d", c.weights[a.Of[0]].Name, a.Slot), DType: dtypes.Float32, Dims: a.Shape}
		if training {
			in.Aliased = new(i)
		}
		if training || a.Slot == optimizer.Values {
			inputs = append(inputs, in)
		}
	}
	for _, in := range device.Signature(values...) {
		in.Sharded = len(in.Dims) > 0 && b.Size%c.device.Count == 0 // each device takes its rows
		inputs = append(inputs, in)
	}
	p, err := c.device.Compile(device.Spec{Name: name, Inputs: inputs, Build: build})
	if err == nil {
		known[key] = p
	}
	return p, err
}

func textTensors(b *Batch) []*tensors.Tensor {
	return []*tensors.Tensor{tensors.FromFlatDataAndDimensions(b.IDs, b.Size, b.SeqLen),
		tensors.FromFlatDataAndDimensions(b.SegmentIDs, b.Size, b.SeqLen), tensors.FromFlatDataAndDimensions(b.Lengths, b.Size)}
}

// textInputs is the number of arrays of a batch that its text takes.
const textInputs = 3

func textOf(in []*graph.Node) model.Text {
	return model.Text{IDs: in[0], SegmentIDs: in[1], Lengths: in[2]}
}

// buildTrain is the graph of a training step. Inputs: state; text; weights [B]; seed, step (uint32) and learning rate
// (float32); targets [B]. Outputs: the new state; loss, gradient norm and finite flag [3].
func (c *classifier) buildTrain(in []*graph.Node) []*graph.Node {
	n := len(c.layout.Arrays)
	state, text, rest := in[:n], textOf(in[n:]), in[n+textInputs:]
	weights, seed, step, rate, targets := rest[0], rest[1], rest[2], rest[3], rest[4:]
	values := state[:len(c.weights)]
	losses := c.losses(c.context(values, model.StepKey(seed, step)), text, targets)
	sum := graph.ReduceAllSum(graph.Mul(losses, weights))
	mean := graph.Div(sum, graph.MaxScalar(graph.ReduceAllSum(weights), 1.0))
	minimized := mean
	if c.sum {
		minimized = sum
	}
	gradients := make([]optimizer.Grad, len(values))
	for i, gradient := range graph.Gradient(minimized, values...) {
		gradients[i].Whole = gradient
	}
	updated, norm, finite := c.layout.ApplyIfFinite(graph.ConvertDType(step, dtypes.Float32), rate, minimized, state, gradients)
	return append(updated, graph.Stack([]*graph.Node{mean, norm, graph.ConvertDType(finite, dtypes.Float32)}, 0))
}

// losses are those of the examples: [B].
func (c *classifier) losses(ctx *model.Context, text model.Text, targets []*graph.Node) *graph.Node {
	switch {
	case c.spans != 0:
		return model.SpanLoss(c.model.Spans(ctx, text, c.spans == squad.V2), targets[0], targets[1], c.noAnswerWeight)
	case c.regression:
		return model.SquaredError(c.model.Classify(ctx, text), targets[0])
	}
	return model.CrossEntropy(c.model.Classify(ctx, text), targets[0])
}

// rate is the factor of the learning rate of a weight.
func (c *classifier) rate(name string) float64 {
	e := c.model.DiscriminatorEncoder()
	return optimizer.LayerwiseRate(name, e.Layers, e.HiddenGroups, c.layerDecay, c.official)
}

// buildPredict is the graph of prediction. Inputs: weights, text. Output: [B,C], or, for answers in a text, [B,2S] with the
// log-probabilities of their begin and their end at each position, and in SQuAD 2.0 [B,2S+1] with the log-odds of none.
func (c *classifier) buildPredict(in []*graph.Node) []*graph.Node {
	n := len(c.weights)
	ctx, text := c.context(in[:n], nil), textOf(in[n:])
	if c.spans == 0 {
		return []*graph.Node{c.model.Classify(ctx, text)}
	}
	spans := c.model.Spans(ctx, text, c.spans == squad.V2)
	outputs := []*graph.Node{spans.Start, spans.End}
	if spans.NoAnswer != nil {
		outputs = append(outputs, graph.InsertAxes(spans.NoAnswer, -1))
	}
	return []*graph.Node{graph.Concatenate(outputs, -1)}
}

// context gives the model its weights by name.
func (c *classifier) context(values []*graph.Node, key *graph.Node) *model.Context {
	byName := make(map[string]*graph.Node, len(values))
	for i, w := range c.weights {
		byName[w.Name] = values[i]
	}
	ctx := model.NewContext(byName, c.compute, key)
	if c.emulateHalf {
		return ctx.EmulateHalf()
	}
	return ctx
}
