package device

import (
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/stablehlo"
)

// xlaProgram is a compiled program on the devices.
type xlaProgram struct {
	Spec
	engine     *xla
	executable *pjrt.LoadedExecutable
	outputs    []stablehlo.Output
}

// Run hands the work over and returns.
func (p *xlaProgram) Run(arrays []Array, values ...*tensors.Tensor) ([]Array, error) {
	if err := p.check(len(arrays), values); err != nil {
		return nil, err
	}
	args := make([][]*pjrt.Buffer, len(p.engine.own))
	for d := range args {
		args[d] = make([]*pjrt.Buffer, 0, len(p.Inputs))
	}
	for i, a := range arrays {
		held, ok := a.(*xlaArray)
		if !ok || len(held.buffers) != len(args) || held.split != p.Inputs[i].Split() {
			return nil, fault.New(fault.Internal, "%s: argument %d is closed, was donated, is split otherwise or is of another platform", p.Name, i)
		}
		for d, b := range held.buffers {
			args[d] = append(args[d], b)
		}
	}
	sent, err := p.send(args, len(arrays), values)
	defer func() {
		for _, b := range sent {
			b.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	donated := p.donated(len(arrays))
	if p.engine.ran { // to clear room for huge pages would delay the first step
		p.engine.ready()
	}
	p.engine.ran = true
	results, done, err := p.executable.Execute(args, donated...)
	if err != nil {
		return nil, err
	}
	done.Close()
	for _, i := range donated {
		arrays[i].(*xlaArray).buffers = nil
	}
	return p.collect(results), nil
}

// send copies the values behind the arrays.
func (p *xlaProgram) send(args [][]*pjrt.Buffer, first int, values []*tensors.Tensor) (sent []*pjrt.Buffer, err error) {
	for i, v := range values {
		d := 0
		err := p.engine.send(v, p.Inputs[first+i].Split(), func(b *pjrt.Buffer) {
			args[d], sent = append(args[d], b), append(sent, b)
			d++
		})
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// collect makes arrays of what the program gives on each device.
func (p *xlaProgram) collect(results [][]*pjrt.Buffer) []Array {
	outputs := make([]Array, len(p.outputs))
	for i, shape := range p.outputs {
		a := &xlaArray{split: shape.Split(), of: len(p.engine.ids), shape: shape, buffers: make([]*pjrt.Buffer, len(results))}
		for d := range results {
			a.buffers[d] = results[d][i]
		}
		outputs[i] = a
	}
	return outputs
}

// Close unloads the program.
func (p *xlaProgram) Close() { p.executable.Close() }
