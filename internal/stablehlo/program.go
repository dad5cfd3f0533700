// Package stablehlo turns a GoMLX graph into a program artefact: StableHLO text, and beside it the signature that
// says what goes in and what comes out. Nothing is executed, and neither a device nor a plugin is needed; the text
// can be compiled for any platform (internal/pjrt), written to disk and compared.
package stablehlo

import (
	"encoding/json"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"elektron/internal/fault"
)

// Program is a traced graph.
type Program struct {
	Name    string   `json:"name"`
	Devices int      `json:"devices"` // of the mesh that it is split over; 1 is not split
	Inputs  []Input  `json:"inputs"`  // in the order of the arguments
	Outputs []Output `json:"outputs"`
	Text    string   `json:"-"` // StableHLO; places in the model stand in its locations, if there are any

	// Where a loop is to be written around it:
	body           string   // the statements alone
	names, results []string // how they call the inputs, and the values that they end with
}

// Input is an argument of a program.
type Input struct {
	Name string `json:"name"`
	// DType is the type of its elements and Dims are the lengths of its axes, over all devices.
	DType dtypes.DType `json:"-"`
	Dims  []int        `json:"dims"`
	// Aliased is the number of the output that takes over its memory, nil for none: then the caller donates it.
	Aliased *int `json:"aliased_output,omitempty"`
	// Sharded splits Axis over the devices (of a staged input, Axis of a step); else every device has all of it.
	Sharded bool `json:"sharded,omitempty"`
	Axis    int  `json:"axis,omitempty"`
	// Staged says that the first axis counts the steps of a loop (TraceLoop).
	Staged bool `json:"staged,omitempty"`
}

// Output is a result of a program.
type Output struct {
	DType dtypes.DType `json:"-"`
	Dims  []int        `json:"dims"` // over all devices
	// Sharded splits Axis over the devices, as it is in the input that is aliased to it or else as Options say; else every
	// device has all of it.
	Sharded bool `json:"sharded,omitempty"`
	Axis    int  `json:"axis,omitempty"`
}

// Split is the axis that is split over the devices, -1 for none.
func (i Input) Split() int {
	switch {
	case !i.Sharded:
		return -1
	case i.Staged:
		return i.Axis + 1
	}
	return i.Axis
}

// Split is the axis that is split over the devices, -1 for none.
func (o Output) Split() int {
	if o.Sharded {
		return o.Axis
	}
	return -1
}

// Bytes is the size of an input over all devices.
func (i Input) Bytes() int64 { return size(i.DType, i.Dims) }

// Bytes is the size of an output.
func (o Output) Bytes() int64 { return size(o.DType, o.Dims) }

func size(t dtypes.DType, dims []int) int64 {
	bytes := int64(t.Size())
	for _, d := range dims {
		bytes *= int64(d)
	}
	return bytes
}

// MarshalJSON writes the signature with its types by name.
func (i Input) MarshalJSON() ([]byte, error) {
	type plain Input
	return json.Marshal(struct {
		Type string `json:"type"`
		plain
	}{typeName(i.DType), plain(i)})
}

// MarshalJSON writes the signature with its types by name.
func (o Output) MarshalJSON() ([]byte, error) {
	type plain Output
	return json.Marshal(struct {
		Type string `json:"type"`
		plain
	}{typeName(o.DType), plain(o)})
}

// typeName is a type as checkpoints and numpy call it.
func typeName(t dtypes.DType) string {
	switch t {
	case dtypes.Float32:
		return "float32"
	case dtypes.BFloat16:
		return "bfloat16"
	case dtypes.Int32:
		return "int32"
	case dtypes.Uint32:
		return "uint32"
	}
	return t.String()
}

// Backward begins the places of what gradients are computed with.
const Backward = "backward"

// Options say what a program is traced for.
type Options struct {
	Devices int // that it is split over; 0 is 1
	// Places writes to each operation where in the model it comes from, for those who read the program or a profile. They
	// are most of the text, and plugins take their time to read it.
	Places bool
	// CUDA makes it a program for NVIDIA's GPUs: products of float32 numbers are computed as such.
	CUDA bool
	// FusedAttention lets a program for CUDA use cuDNN's attention (compute.OpTypeFusedScaledDotProductAttention), where it
	// is for one device. The GPU must have it: compute capability 8.0.
	FusedAttention bool
	// Splits are the axes along which outputs are split over the devices, -1 for none, in order; those that are not said are
	// not split. An output that takes over an input's memory is split as that is.
	Splits []int
}

// Trace runs build once on nodes for the inputs and writes down what it does. Unless Options say CUDA, the program
// is the one for TPUs: what go-xla does otherwise for CPUs is left out. Inputs whose memory an output takes over must have its type and
// shape. Panics of the builder become errors.
func Trace(name string, o Options, inputs []Input, build func([]*graph.Node) []*graph.Node) (*Program, error) {
	return o.trace(name, false, inputs, build)
}

// trace is Trace; withBody also takes out what a loop is written around.
func (o Options) trace(name string, withBody bool, inputs []Input, build func([]*graph.Node) []*graph.Node) (*Program, error) {
	p := &Program{Name: name, Devices: max(1, o.Devices), Inputs: inputs}
	if err := p.checkSplits(); err != nil {
		return nil, err
	}
	err := fault.Catch("tracing "+name, func() error { return p.trace(o, withBody, build) })
	if err != nil {
		return nil, err
	}
	return p, nil
}

// checkSplits refuses inputs that the devices do not divide.
func (p *Program) checkSplits() error {
	for _, in := range p.Inputs {
		if in.Sharded && !p.divides(in.Dims, in.Axis) {
			return fault.New(fault.Usage, "%s: axis %d of input %s %v cannot be split over %d devices", p.Name, in.Axis, in.Name, in.Dims, p.Devices)
		}
	}
	return nil
}

func (p *Program) divides(dims []int, axis int) bool {
	return axis < len(dims) && dims[axis]%p.Devices == 0
}

// addOutputs makes results of nodes, split as Options say.
func (p *Program) addOutputs(nodes []*graph.Node, splits []int) error {
	for i, node := range nodes {
		out := Output{DType: node.DType(), Dims: node.Shape().Dimensions}
		if i < len(splits) && splits[i] >= 0 {
			out.Sharded, out.Axis = true, splits[i]
			if !p.divides(out.Dims, out.Axis) {
				return fault.New(fault.Internal, "%s: axis %d of output %d %v cannot be split over %d devices", p.Name, out.Axis, i, out.Dims, p.Devices)
			}
		}
		p.Outputs = append(p.Outputs, out)
	}
	return nil
}

// checkAliases refuses aliases that XLA would, and splits outputs as the inputs that they are aliased to.
func (p *Program) checkAliases() error {
	taken := map[int]string{}
	for _, in := range p.Inputs {
		if in.Aliased == nil {
			continue
		}
		n := *in.Aliased
		if n < 0 || n >= len(p.Outputs) || taken[n] != "" {
			return fault.New(fault.Internal, "%s: input %s is aliased to output %d of %d, which another may have", p.Name, in.Name, n, len(p.Outputs))
		}
		taken[n] = in.Name
		if out := p.Outputs[n]; out.DType != in.DType || !slices.Equal(out.Dims, in.Dims) {
			return fault.New(fault.Internal, "%s: input %s, %s%v, cannot be output %d, %s%v", p.Name, in.Name, in.DType, in.Dims, n, out.DType, out.Dims)
		}
		p.Outputs[n].Sharded, p.Outputs[n].Axis = in.Sharded, in.Axis
	}
	return nil
}
