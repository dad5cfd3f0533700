package device

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/fault"
	"elektron/internal/platform"
)

// goEngine runs programs on GoMLX's pure-Go backend: one device, one program after the other.
type goEngine struct{ backend compute.Backend }

func openGo(o Options) (*Device, error) {
	if o.Devices > 1 {
		return nil, fault.New(fault.Usage, "--devices: the pure-Go platform is one device, not %d; use --platform=cpu", o.Devices)
	}
	// Run in parallel, the operations of a large graph can wait for each other's workers for ever.
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		return nil, fault.Wrap(fault.Device, err, "opening the pure-Go backend")
	}
	return &Device{Platform: platform.Go, Description: "pure Go, 1 device (no XLA)", Count: 1, Processes: 1, own: 1, engine: &goEngine{backend}, exchanges: exchanges{}}, nil
}

func (e *goEngine) close() { e.backend.Finalize() }

func (e *goEngine) put(t *tensors.Tensor, _ int) (Array, error) {
	copied, err := t.LocalClone()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "copying an array")
	}
	return &goArray{copied}, nil
}

func (e *goEngine) compile(s Spec) (Program, error) {
	exec, err := graph.NewExec(e.backend, s.Build)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "%s", s.Name)
	}
	return &goProgram{Spec: s, engine: e, exec: exec.WithName(s.Name)}, nil
}

// goArray is an array in Go's memory; nil once it is closed or donated.
type goArray struct{ tensor *tensors.Tensor }

// Fetch copies it.
func (a *goArray) Fetch() (*tensors.Tensor, error) {
	if a.tensor == nil {
		return nil, fault.New(fault.Internal, "this array is closed or was donated")
	}
	return a.tensor.LocalClone()
}

// Close frees it.
func (a *goArray) Close() {
	if a.tensor != nil {
		a.tensor.FinalizeAll()
		a.tensor = nil
	}
}

// goProgram is a graph that GoMLX compiles for its backend when it first runs.
type goProgram struct {
	Spec
	engine *goEngine
	exec   *graph.Exec
}

// Run runs the graph to its end.
func (p *goProgram) Run(arrays []Array, values ...*tensors.Tensor) (outputs []Array, err error) {
	if err := p.check(len(arrays), values); err != nil {
		return nil, err
	}
	err = fault.Catch("running "+p.Name, func() error {
		outputs, err = p.run(arrays, values)
		return err
	})
	return outputs, err
}

func (p *goProgram) run(arrays []Array, values []*tensors.Tensor) ([]Array, error) {
	args := make([]any, 0, len(p.Inputs))
	for i, a := range arrays {
		held, ok := a.(*goArray)
		if !ok || held.tensor == nil {
			return nil, fault.New(fault.Internal, "argument %d is closed, was donated, or is of another platform", i)
		}
		if p.Inputs[i].Aliased == nil {
			args = append(args, held.tensor)
			continue
		}
		buffer, err := graph.DonateTensorBuffer(held.tensor, p.engine.backend, 0)
		if err != nil {
			return nil, err
		}
		held.tensor = nil
		args = append(args, buffer)
	}
	for _, v := range values {
		args = append(args, v)
	}
	results, err := p.exec.Exec(args...)
	if err != nil {
		return nil, err
	}
	outputs := make([]Array, len(results))
	for i, r := range results {
		outputs[i] = &goArray{r}
	}
	return outputs, nil
}

// Close frees the compiled graph.
func (p *goProgram) Close() { p.exec.Finalize() }
