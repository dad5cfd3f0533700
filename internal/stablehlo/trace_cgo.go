//go:build cgo

package stablehlo

import (
	"bytes"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	gostablehlo "github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types/shardy"
	"github.com/gomlx/gomlx/core/graph"

	"elektron/internal/fault"
)

// trace builds the graph on a backend that has no device and takes the text out of it before it is compiled.
func (p *Program) trace(o Options, withBody bool, build func([]*graph.Node) []*graph.Node) error {
	backend, err := newOffline(o)
	if err != nil {
		return err
	}
	g := graph.NewGraph(backend, p.Name)
	if o.Places {
		g.SetTraced(true)
		g.AttachState(gradientsKey{}, &gradients{})
	}
	parameters := make([]*graph.Node, len(p.Inputs))
	for i, in := range p.Inputs {
		parameters[i] = graph.Parameter(g, in.Name, shapes.Make(in.DType, in.Dims...))
	}
	outputs := build(parameters)
	if err := p.addOutputs(outputs, o.Splits); err != nil {
		return err
	}
	if err := p.checkAliases(); err != nil {
		return err
	}
	if err := g.Compile(outputs...); err != nil {
		return err
	}
	var places map[*gostablehlo.Value]string
	if o.Places {
		if places, err = placesOf(g); err != nil {
			return err
		}
	}
	return p.write(backend.main, places, withBody)
}

// offline is go-xla's backend without plugin and client: its builder works, its devices do not.
type offline struct {
	*xla.Backend
	main *gostablehlo.Function // of the graph that was built last
}

// newOffline makes a backend whose plugin has no name, so that go-xla takes it neither for a CPU's nor for a GPU's, or
// the name of a GPU's.
func newOffline(o Options) (*offline, error) {
	b, plugin, capabilities := &xla.Backend{}, &pjrt.Plugin{}, xla.Capabilities.Clone()
	if o.CUDA {
		name, err := private[string](plugin, "name")
		if err != nil {
			return nil, err
		}
		*name = "cuda"
	}
	// Of a program that is split, XLA would give all rows to each device.
	fused := o.CUDA && o.FusedAttention && o.Devices <= 1
	capabilities.Operations[compute.OpTypeFusedScaledDotProductAttention] = fused
	capabilities.Operations[compute.OpTypeFusedScaledDotProductAttentionVJP] = fused
	to, err := private[*pjrt.Plugin](b, "plugin")
	if err != nil {
		return nil, err
	}
	*to = plugin
	known, err := private[compute.Capabilities](b, "capabilities")
	if err != nil {
		return nil, err
	}
	*known = capabilities
	return &offline{Backend: b}, nil
}

// Builder gives a builder whose Compile only remembers the program.
func (o *offline) Builder(name string) compute.Builder {
	return &offlineBuilder{o.Backend.Builder(name), o}
}

// Finalize has nothing to free.
func (o *offline) Finalize() {}

type offlineBuilder struct {
	compute.Builder
	backend *offline
}

// Compile takes the program out of the builder. There is nothing to run: the executable is nil.
func (b *offlineBuilder) Compile() (compute.Executable, error) {
	main, ok := b.Builder.Main().(*xla.Function)
	if !ok {
		return nil, changed("xla.Builder.Main", b.Builder.Main())
	}
	fn, err := private[*gostablehlo.Function](main, "fn")
	if err != nil {
		return nil, err
	}
	b.backend.main = *fn
	return nil, nil
}

// private is a field of another package's struct that it does not export. The versions of GoMLX and go-xla are
// pinned; one whose structs differ is an error.
func private[T any](object any, name string) (*T, error) {
	field := reflect.ValueOf(object).Elem().FieldByName(name)
	if !field.IsValid() || field.Type() != reflect.TypeFor[T]() {
		return nil, changed(fmt.Sprintf("%T.%s", object, name), field)
	}
	return (*T)(unsafe.Pointer(field.UnsafeAddr())), nil
}

func changed(what string, found any) error {
	return fault.New(fault.Internal, "tracing: %s is not what it was in the version of go-xla and GoMLX that this was written for, but %T", what, found)
}

// attribute is a value of an MLIR attribute as text.
type attribute string

// ToStableHLO makes go-xla write it as it is.
func (a attribute) ToStableHLO() string { return string(a) }

// write adds what GoMLX has no words for (aliases, shardings of state and batch) and writes the text, with each
// operation's place as its location.
func (p *Program) write(main *gostablehlo.Function, places map[*gostablehlo.Value]string, withBody bool) error {
	if p.Devices > 1 {
		mesh, err := shardy.NewDeviceMesh("mesh", []int{p.Devices}, []string{meshAxis})
		if err != nil {
			return err
		}
		main.Builder.WithShardy(mesh)
	}
	for i, in := range p.Inputs {
		main.Inputs[i].Attributes = p.attributes(in.Dims, in.Split())
		if in.Aliased != nil {
			main.Inputs[i].Attributes["tf.aliasing_output"] = int32(*in.Aliased)
		}
	}
	for i, out := range p.Outputs {
		main.Outputs[i].Attributes = p.attributes(out.Dims, out.Split())
	}
	text, err := main.Builder.Build()
	if err != nil {
		return err
	}
	if places == nil && !withBody {
		p.Text = string(text)
		return nil
	}
	located, starts, err := locate(text, main.Statements, places)
	if err != nil {
		return err
	}
	last := len(starts) - 1
	p.Text, p.body = located, located[starts[0]:starts[last]]
	for _, value := range main.Statements[last].Inputs {
		p.results = append(p.results, value.String())
	}
	for _, input := range main.Inputs {
		p.names = append(p.names, input.String())
	}
	return nil
}

// attributes are the sharding of an array, where there are devices to split it over.
func (p *Program) attributes(dims []int, split int) map[string]any {
	if p.Devices == 1 {
		return map[string]any{}
	}
	return map[string]any{"sdy.sharding": attribute(sharding(dims, split))}
}

// locate writes each statement's place behind it. Of a node that is several statements only the last one's place is
// known: those before it have the same. starts are where the statements begin.
func locate(text []byte, statements []*gostablehlo.Statement, places map[*gostablehlo.Value]string) (whole string, starts []int, err error) {
	of := make([]string, len(statements)+1)
	for i := len(statements) - 1; i >= 0; i-- {
		of[i] = of[i+1]
		if outputs := statements[i].Outputs; len(outputs) > 0 && places[outputs[0]] != "" {
			of[i] = places[outputs[0]]
		}
	}
	var located, one bytes.Buffer
	for i, s := range statements {
		one.Reset()
		if err := s.Write(&one, gostablehlo.IndentationStep+gostablehlo.IndentationStep); err != nil {
			return "", nil, err
		}
		end := bytes.Index(text, one.Bytes()) + one.Len()
		if end < one.Len() {
			return "", nil, fault.New(fault.Internal, "tracing: a statement is not in the text of its program: %s", one.Bytes())
		}
		starts = append(starts, located.Len()+end-one.Len())
		located.Write(text[:end])
		if of[i] != "" {
			fmt.Fprintf(&located, " loc(%q)", of[i])
		}
		text = text[end:]
	}
	located.Write(text)
	return located.String(), starts, nil
}
