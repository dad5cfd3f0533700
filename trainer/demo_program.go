// Axes: S sequence, K positions to fill, V vocabulary.
package trainer

import (
	"math"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/internal/stablehlo"
	"elektron/model"
)

// The sides of a model, as the names of their weights begin.
const (
	discriminator = "discriminator"
	generator     = "generator"
)

const (
	shortestProgram = 16 // positions; the programs are for this and its doublings
	fillSlots       = 8  // masks that one call of a program fills
)

// program names what is compiled once: a side for sequences up to a length.
type program struct {
	side   string
	length int
}

// newDemo copies the weights that the model has to the device.
func newDemo(m *Model, opened *device.Device) (*Demo, error) {
	d := &Demo{model: m, device: opened, programs: map[program]device.Program{}, turn: make(chan struct{}, 1)}
	for _, w := range m.Config.Weights() {
		values, ok := m.Weights[w.Name]
		if !ok {
			continue
		}
		array, err := opened.Put(tensors.FromFlatDataAndDimensions(values, w.Shape...), device.Replicated)
		if err != nil {
			return nil, err
		}
		d.weights, d.values = append(d.weights, w), append(d.values, array)
	}
	return d, nil
}

// lacks says that the model has no such side, and why.
func (d *Demo) lacks(side string) error {
	c := &d.model.Config
	if side == discriminator && c.Objective == model.ObjectiveMLM {
		return fault.New(fault.Data, "demo: %s is a masked language model (model.objective mlm) without a discriminator that could tell replaced tokens; it can fill masks", d.model.Path)
	}
	for _, w := range c.Weights() {
		if _, ok := d.model.Weights[w.Name]; !ok && strings.HasPrefix(w.Name, side) {
			return fault.New(fault.Data, "demo: %s has no %s, so there is no %s to ask", d.model.Path, w.Name, side)
		}
	}
	return nil
}

// detect gives the discriminator's logits [S].
func (d *Demo) detect(ids, segments []int32) ([]float32, error) {
	logits, err := d.call(discriminator, ids, segments, nil)
	return logits[:min(len(ids), len(logits))], err
}

// fill gives the generator's logits [K·V].
func (d *Demo) fill(ids, segments, positions []int32) ([]float32, error) {
	var all []float32
	for len(positions) > 0 {
		n := min(fillSlots, len(positions))
		logits, err := d.call(generator, ids, segments, positions[:n])
		if err != nil {
			return nil, err
		}
		all = append(all, logits[:n*d.model.Config.VocabSize]...)
		positions = positions[n:]
	}
	return all, nil
}

// call runs a side on one sequence, padded to its program's length. Logits that are not finite are an error.
func (d *Demo) call(side string, ids, segments, positions []int32) (logits []float32, err error) {
	p := program{side, d.programLength(len(ids))}
	padded := func(values []int32, size int) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(append(make([]int32, 0, size), values...)[:size], 1, size)
	}
	err = fault.Catch("demo: "+side, func() error {
		compiled, err := d.compiled(p)
		if err != nil {
			return err
		}
		out, err := compiled.Run(d.values, padded(ids, p.length), padded(segments, p.length),
			tensors.FromFlatDataAndDimensions([]int32{int32(len(ids))}, 1), padded(positions, fillSlots))
		if err != nil {
			return err
		}
		defer device.CloseAll(out)
		logits, err = device.Floats(out[0])
		return err
	})
	for _, z := range logits {
		if err == nil && (math.IsNaN(float64(z)) || math.IsInf(float64(z), 0)) {
			err = fault.New(fault.Data, "demo: the outputs of %s are not finite; `inspect` shows which of its weights are not", d.model.Path)
		}
	}
	return logits, err
}

// programLength is the length of the shortest program for n tokens.
func (d *Demo) programLength(n int) int {
	length := shortestProgram
	for length < n {
		length *= 2
	}
	return min(length, d.model.Config.MaxPositions)
}

// compiled is a program, compiled when it is first called; its inputs are the weights, ids and segments [1,S], lengths
// [1] and positions [1,K].
func (d *Demo) compiled(p program) (device.Program, error) {
	if compiled := d.programs[p]; compiled != nil {
		return compiled, nil
	}
	spec := device.Spec{Name: p.side, Build: func(in []*graph.Node) []*graph.Node { return []*graph.Node{d.build(p.side, in)} }}
	for _, w := range d.weights {
		spec.Inputs = append(spec.Inputs, stablehlo.Input{Name: w.Name, DType: dtypes.Float32, Dims: w.Shape})
	}
	for _, in := range []stablehlo.Input{{Name: "ids", Dims: []int{1, p.length}}, {Name: "segment_ids", Dims: []int{1, p.length}},
		{Name: "lengths", Dims: []int{1}}, {Name: "positions", Dims: []int{1, fillSlots}}} {
		in.DType = dtypes.Int32
		spec.Inputs = append(spec.Inputs, in)
	}
	compiled, err := d.device.Compile(spec)
	if err == nil {
		d.programs[p] = compiled
	}
	return compiled, err
}

// build is the graph of a side: the discriminator's logits [1,S], or the generator's at positions [1,K,V].
func (d *Demo) build(side string, in []*graph.Node) *graph.Node {
	byName := map[string]*graph.Node{}
	for i, w := range d.weights {
		byName[w.Name] = in[i]
	}
	in = in[len(d.weights):]
	ctx, text := model.NewContext(byName, dtypes.Float32, nil), model.Text{IDs: in[0], SegmentIDs: in[1], Lengths: in[2]}
	if side == discriminator {
		return d.model.Config.Detect(ctx, text)
	}
	return d.model.Config.Fill(ctx, text, in[3])
}
