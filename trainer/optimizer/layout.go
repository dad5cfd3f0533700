package optimizer

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// Variable is a trained array as the optimizer knows it before there is a graph.
type Variable struct {
	Name  string
	Shape []int
	Rate  float64 // factor of the learning rate, for layer-wise decay; 1 elsewhere
}

func (v Variable) size() int {
	n := 1
	for _, length := range v.Shape {
		n *= length
	}
	return n
}

// Layout says how the arrays that an update changes lie in a list: the variables, in their order, then the first moments of
// each group, then its second ones. A group is a variable of its own, or all that have neither weight decay nor a trust
// ratio and the same rate. These are updated as one vector and have one vector of moments each, one after the other: a
// model has hundreds of biases and norms of a few hundred numbers, and operations and arrays of their own for each would take
// a TPU as long as its matrices do, and a plugin longer to load.
type Layout struct {
	Config
	Variables []Variable
	Arrays    []Array // of the state
	groups    [][]int // numbers of variables
}

// Layout is the optimizer's layout of variables.
func (c Config) Layout(variables []Variable) *Layout {
	l := &Layout{Config: c, Variables: variables}
	byRate := map[float64]int{}
	for i, v := range variables {
		n, known := byRate[v.Rate]
		switch {
		case Decayed(v.Name) || c.AdaptAll:
			l.groups = append(l.groups, []int{i})
		case known:
			l.groups[n] = append(l.groups[n], i)
		default:
			byRate[v.Rate], l.groups = len(l.groups), append(l.groups, []int{i})
		}
	}
	l.Arrays = l.list()
	return l
}

// Slot is what an array of the state is of its variables.
type Slot int

// The slots, in the order in which they lie.
const (
	Values Slot = iota
	FirstMoments
	SecondMoments
	Slots
)

// Array is an array of the state, float32.
type Array struct {
	Slot  Slot
	Of    []int // numbers of the variables that lie in it, one after the other
	Shape []int // that of the variable, or of several, all their numbers
}

// list are the arrays of the state.
func (l *Layout) list() []Array {
	var list []Array
	for i, v := range l.Variables {
		list = append(list, Array{Values, []int{i}, v.Shape})
	}
	for _, slot := range []Slot{FirstMoments, SecondMoments} {
		for _, group := range l.groups {
			list = append(list, Array{slot, group, l.shape(group)})
		}
	}
	return list
}

// shape is that of a group's moments.
func (l *Layout) shape(group []int) []int {
	if len(group) == 1 {
		return l.Variables[group[0]].Shape
	}
	size := 0
	for _, i := range group {
		size += l.Variables[i].size()
	}
	return []int{size}
}

// Join gives the numbers of an array from those that a function gives of its variables, by their number.
func (l *Layout) Join(a Array, numbers func(Slot, int) ([]float32, error)) (values []float32, err error) {
	for _, i := range a.Of {
		own, err := numbers(a.Slot, i)
		if err != nil {
			return nil, err
		}
		values = append(values, own...)
	}
	return values, nil
}

// Cut gives, of the numbers of an array, those of each of its variables.
func (l *Layout) Cut(a Array, values []float32) [][]float32 {
	parts := make([][]float32, len(a.Of))
	for at, i := range a.Of {
		n := l.Variables[i].size()
		parts[at], values = values[:n], values[n:]
	}
	return parts
}

// Grad is the gradient of a variable. Rows is, for a vector [H], an array [R,H] of which each row is the gradient, where
// there is one: it may be used instead.
type Grad struct{ Whole, Rows *Node }

// unit is a group in the graph: a variable, or several joined to one vector.
type unit struct {
	name                           string // the variable's, or that of one of several
	rate                           float64
	value, gradient, first, second *Node
}

// units are the groups of a state (as Arrays lists it).
func (l *Layout) units(state []*Node, gradients []Grad) []unit {
	list := make([]unit, len(l.groups))
	n := len(l.Variables)
	for g, group := range l.groups {
		i := group[0]
		list[g] = unit{name: l.Variables[i].Name, rate: l.Variables[i].Rate, value: state[i], gradient: gradients[i].Whole,
			first: state[n+g], second: state[n+len(l.groups)+g]}
		if len(group) > 1 {
			list[g].value, list[g].gradient = joinValues(group, state), joinGradients(group, gradients)
		}
	}
	return list
}

func joinValues(group []int, state []*Node) *Node {
	flat := make([]*Node, len(group))
	for at, i := range group {
		flat[at] = Reshape(state[i], -1)
	}
	return Concatenate(flat, 0)
}

// joinGradients joins gradients, one after the other. Those of which there are equal rows are joined with all their rows, and
// cut out together.
func joinGradients(group []int, gradients []Grad) *Node {
	var flat, rows []*Node
	cut := func() {
		if rows != nil {
			flat, rows = append(flat, Reshape(SliceAxis(Concatenate(rows, 1), 0, AxisElem(0)), -1)), nil
		}
	}
	for _, i := range group {
		if gradients[i].Rows != nil {
			rows = append(rows, gradients[i].Rows)
			continue
		}
		cut()
		flat = append(flat, Reshape(gradients[i].Whole, -1))
	}
	cut()
	return Concatenate(flat, 0)
}

// state is the list of arrays that updated groups make up.
func (l *Layout) state(updated []unit) []*Node {
	n := len(l.Variables)
	state := make([]*Node, n+2*len(l.groups))
	for g, group := range l.groups {
		u := updated[g]
		state[n+g], state[n+len(l.groups)+g] = u.first, u.second
		if len(group) == 1 {
			state[group[0]] = u.value
			continue
		}
		whole, begin := OptimizationBarrier(u.value), 0 // or every part is an update of its own
		for _, i := range group {
			end := begin + l.Variables[i].size()
			state[i] = Reshape(SliceAxis(whole, 0, AxisRange(begin, end)), l.Variables[i].Shape...)
			begin = end
		}
	}
	return state
}
