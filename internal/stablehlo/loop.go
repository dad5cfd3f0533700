package stablehlo

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"elektron/internal/fault"
)

// TraceLoop makes a program of up to the given number of steps, which the devices run one after the other without the
// host. A step is what build makes of the inputs, as in Trace. Aliased inputs are carried from step to step. All others
// are staged: the program takes them with a first axis that counts the steps; so are the outputs that no input is
// aliased to, of which the rows of steps that were not run are 0. The program's last argument, of its own, is the number
// of steps to run, an int32 named steps.
func TraceLoop(name string, o Options, steps int, inputs []Input, build func([]*graph.Node) []*graph.Node) (*Program, error) {
	step, err := o.trace(name, true, inputs, build)
	if err != nil {
		return nil, err
	}
	l := loop{step: step, steps: steps}
	p := &Program{Name: name, Devices: step.Devices, Outputs: slices.Clone(step.Outputs)}
	carried := map[int]bool{}
	for _, in := range inputs {
		if in.Aliased != nil {
			carried[*in.Aliased] = true
		} else {
			in.Dims, in.Staged = l.staged(in.Dims), true
		}
		p.Inputs = append(p.Inputs, in)
	}
	for i := range p.Outputs {
		if carried[i] {
			continue
		}
		if p.Outputs[i].DType != dtypes.Float32 {
			return nil, fault.New(fault.Internal, "%s: output %d of a step is %s; steps in a loop report float32 numbers", name, i, p.Outputs[i].DType)
		}
		p.Outputs[i].Dims = l.staged(p.Outputs[i].Dims)
	}
	p.Inputs = append(p.Inputs, Input{Name: "steps", DType: dtypes.Int32})
	l.program, l.carried = p, carried
	p.Text = l.text()
	return p, nil
}

// loop writes the program of a loop around that of a step. Names of its own begin with loop_, others are the step's.
type loop struct {
	step, program *Program
	steps         int
	carried       map[int]bool // outputs that go on as inputs
}

func (l *loop) staged(dims []int) []int { return append([]int{l.steps}, dims...) }

// variable is what the loop takes from round to round.
type variable struct {
	kind    string // its type
	initial string // its value before the first round
	inside  string // its name in a round
	next    string // its value after a round
}

// variables are the round's number, the program's inputs and the outputs that are collected. result[i] is the number of
// the variable that output i is in the end.
func (l *loop) variables() (list []variable, result []int) {
	counter := tensorType(dtypes.Int32, nil)
	list = []variable{{counter, "%loop_zero", "%loop_round", "%loop_next"}}
	result = make([]int, len(l.program.Outputs))
	for i, in := range l.program.Inputs {
		v := variable{tensorType(in.DType, in.Dims), argument(i), fmt.Sprintf("%%loop_kept_%d", i), ""}
		v.next = v.inside
		if in.Aliased != nil {
			v.inside, v.next = l.name(i), l.step.results[*in.Aliased]
			result[*in.Aliased] = len(list)
		}
		list = append(list, v)
	}
	for i, out := range l.program.Outputs {
		if !l.carried[i] {
			result[i] = len(list)
			list = append(list, variable{tensorType(out.DType, out.Dims), fmt.Sprintf("%%loop_empty_%d", i),
				fmt.Sprintf("%%loop_reported_%d", i), fmt.Sprintf("%%loop_longer_%d", i)})
		}
	}
	return list, result
}

func argument(i int) string { return fmt.Sprintf("%%loop_in_%d", i) }

// name is how the step's statements call an input.
func (l *loop) name(i int) string { return l.step.names[i] }

// text writes the program.
func (l *loop) text() string {
	var b strings.Builder
	variables, result := l.variables()
	all := func(of func(variable) string) string {
		list := make([]string, len(variables))
		for i, v := range variables {
			list[i] = of(v)
		}
		return strings.Join(list, ", ")
	}
	types := all(func(v variable) string { return v.kind })
	parameters := all(func(v variable) string { return v.inside + ": " + v.kind })
	l.head(&b)
	fmt.Fprintf(&b, "    %%loop_zero = stablehlo.constant dense<0> : tensor<i32>\n")
	for i, out := range l.program.Outputs {
		if !l.carried[i] {
			fmt.Fprintf(&b, "    %%loop_empty_%d = stablehlo.constant dense<0.0> : %s\n", i, tensorType(out.DType, out.Dims))
		}
	}
	fmt.Fprintf(&b, "    %%loop:%d = \"stablehlo.while\"(%s) ({\n", len(variables), all(func(v variable) string { return v.initial }))
	last := fmt.Sprintf("%%loop_kept_%d", len(l.program.Inputs)-1)
	fmt.Fprintf(&b, "      ^loop_condition(%s):\n        %%loop_more = stablehlo.compare LT, %%loop_round, %s : (tensor<i32>, tensor<i32>) -> tensor<i1>\n"+
		"        \"stablehlo.return\"(%%loop_more) : (tensor<i1>) -> ()\n    }, {\n", parameters, last)
	fmt.Fprintf(&b, "      ^loop_body(%s):\n", parameters)
	l.round(&b)
	fmt.Fprintf(&b, "        \"stablehlo.return\"(%s) : (%s) -> ()\n    }) : (%s) -> (%s)\n", all(func(v variable) string { return v.next }), types, types, types)
	results, kinds := make([]string, len(result)), make([]string, len(result))
	for i, n := range result {
		results[i], kinds[i] = fmt.Sprintf("%%loop#%d", n), variables[n].kind
	}
	fmt.Fprintf(&b, "    \"stablehlo.return\"(%s) : (%s) -> ()\n  }\n}\n", strings.Join(results, ", "), strings.Join(kinds, ", "))
	return b.String()
}

// head writes the module and the signature of its function.
func (l *loop) head(b *strings.Builder) {
	p := l.program
	fmt.Fprintf(b, "module @%s attributes {stablehlo.num_replicas = 1, stablehlo.num_partitions = %d} {\n", p.Name, p.Devices)
	if p.Devices > 1 {
		fmt.Fprintf(b, "  sdy.mesh @mesh = <[\"%s\"=%d]>\n", meshAxis, p.Devices)
	}
	attributes := func(dims []int, split int, more ...string) string {
		if p.Devices > 1 {
			more = append(more, "sdy.sharding = "+sharding(dims, split))
		}
		if len(more) == 0 {
			return ""
		}
		return " {" + strings.Join(more, ", ") + "}"
	}
	inputs, outputs := make([]string, len(p.Inputs)), make([]string, len(p.Outputs))
	for i, in := range p.Inputs {
		var alias []string
		if in.Aliased != nil {
			alias = []string{fmt.Sprintf("tf.aliasing_output = %d : i32", *in.Aliased)}
		}
		inputs[i] = argument(i) + ": " + tensorType(in.DType, in.Dims) + attributes(in.Dims, in.Split(), alias...)
	}
	for i, out := range p.Outputs {
		outputs[i] = tensorType(out.DType, out.Dims) + attributes(out.Dims, out.Split())
	}
	fmt.Fprintf(b, "  func.func @main(%s) -> (%s) {\n", strings.Join(inputs, ", "), strings.Join(outputs, ", "))
}

// round writes one round: it takes the staged inputs' rows, does the step, and adds what that reports to the others'.
func (l *loop) round(b *strings.Builder) {
	fmt.Fprintf(b, "        %%loop_first = stablehlo.constant dense<0> : tensor<i32>\n        %%loop_one = stablehlo.constant dense<1> : tensor<i32>\n")
	for i, in := range l.program.Inputs[:len(l.step.Inputs)] {
		if in.Aliased != nil {
			continue
		}
		row := append([]int{1}, in.Dims[1:]...)
		fmt.Fprintf(b, "        %%loop_row_%d = \"stablehlo.dynamic_slice\"(%%loop_kept_%d, %s) {slice_sizes = array<i64: %s>} : (%s, %s) -> %s\n",
			i, i, at(len(row)), numbers(row), tensorType(in.DType, in.Dims), atTypes(len(row)), tensorType(in.DType, row))
		fmt.Fprintf(b, "        %s = stablehlo.reshape %%loop_row_%d : (%s) -> %s\n", l.name(i), i, tensorType(in.DType, row), tensorType(in.DType, in.Dims[1:]))
	}
	b.WriteString(l.step.body)
	b.WriteString("\n")
	for i, out := range l.program.Outputs {
		if l.carried[i] {
			continue
		}
		row := append([]int{1}, out.Dims[1:]...)
		whole := tensorType(out.DType, out.Dims)
		fmt.Fprintf(b, "        %%loop_new_%d = stablehlo.reshape %s : (%s) -> %s\n", i, l.step.results[i], tensorType(out.DType, out.Dims[1:]), tensorType(out.DType, row))
		fmt.Fprintf(b, "        %%loop_longer_%d = stablehlo.dynamic_update_slice %%loop_reported_%d, %%loop_new_%d, %s : (%s, %s, %s) -> %s\n",
			i, i, i, at(len(row)), whole, tensorType(out.DType, row), atTypes(len(row)), whole)
	}
	fmt.Fprintf(b, "        %%loop_next = stablehlo.add %%loop_round, %%loop_one : tensor<i32>\n")
}

// at are the indices of the round's row in an array of the given number of axes.
func at(axes int) string { return "%loop_round" + strings.Repeat(", %loop_first", axes-1) }

func atTypes(axes int) string { return "tensor<i32>" + strings.Repeat(", tensor<i32>", axes-1) }

func numbers(list []int) string {
	return strings.Join(strings.Fields(strings.Trim(fmt.Sprint(list), "[]")), ", ")
}

// tensorType is a type as StableHLO writes it.
func tensorType(t dtypes.DType, dims []int) string {
	var b strings.Builder
	b.WriteString("tensor<")
	for _, d := range dims {
		fmt.Fprintf(&b, "%dx", d)
	}
	return b.String() + elementName(t) + ">"
}

// elementName is the name of an element's type.
func elementName(t dtypes.DType) string {
	switch t {
	case dtypes.Bool:
		return "i1"
	case dtypes.Float32:
		return "f32"
	case dtypes.BFloat16:
		return "bf16"
	case dtypes.Int32:
		return "i32"
	case dtypes.Uint32:
		return "ui32"
	}
	panic(fault.New(fault.Internal, "stablehlo: a loop cannot carry %s", t))
}

// meshAxis is the one axis of the mesh: what is split over devices is split along it.
const meshAxis = "data"

// sharding is how an array is split over the devices, in Shardy's words.
func sharding(dims []int, split int) string {
	axes := make([]string, len(dims))
	for i := range dims {
		if axes[i] = "{}"; i == split {
			axes[i] = `{"` + meshAxis + `"}`
		}
	}
	return "#sdy.sharding<@mesh, [" + strings.Join(axes, ", ") + "]>"
}
