package optimizer

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// bundle is one variable, or several that are updated element by element and alike, joined to one vector: a model
// has hundreds of biases and LayerNorms of a few hundred numbers each, and operations of their own for each would take
// a TPU as long as its matrices do.
type bundle struct {
	joined Variable
	of     []Variable
	at     []int // their numbers
}

// bundles puts together what has neither weight decay nor a trust ratio, and the same rate.
func (c Config) bundles(params []Variable) []bundle {
	var bundles []bundle
	byRate := map[float64]int{}
	for i, p := range params {
		if Decayed(p.Name) || c.AdaptAll {
			bundles = append(bundles, bundle{p, []Variable{p}, []int{i}})
			continue
		}
		n, known := byRate[p.Rate]
		if !known {
			n = len(bundles)
			byRate[p.Rate], bundles = n, append(bundles, bundle{})
		}
		bundles[n].of, bundles[n].at = append(bundles[n].of, p), append(bundles[n].at, i)
	}
	for i := range bundles {
		bundles[i].join()
	}
	return bundles
}

func (b *bundle) join() {
	if len(b.of) == 1 {
		b.joined = b.of[0]
		return
	}
	part := func(of func(Variable) *Node) *Node {
		flat := make([]*Node, len(b.of))
		for i, p := range b.of {
			flat[i] = Reshape(of(p), -1)
		}
		return Concatenate(flat, 0)
	}
	b.joined = Variable{Name: b.of[0].Name, Rate: b.of[0].Rate,
		Value:    part(func(p Variable) *Node { return p.Value }),
		Gradient: joinGradients(b.of),
		First:    part(func(p Variable) *Node { return p.First }),
		Second:   part(func(p Variable) *Node { return p.Second })}
}

// split puts the new values of the bundle's variables where these are in the list of all.
func (b *bundle) split(joined Variable, all []Variable) {
	if len(b.of) > 1 { // or every part is an update of its own
		whole := OptimizationBarriers(joined.Value, joined.First, joined.Second)
		joined.Value, joined.First, joined.Second = whole[0], whole[1], whole[2]
	}
	begin := 0
	for i, p := range b.of {
		dims, end := p.Value.Shape().Dimensions, begin+p.Value.Shape().Size()
		part := func(x *Node) *Node {
			if len(b.of) == 1 {
				return x
			}
			return Reshape(SliceAxis(x, 0, AxisRange(begin, end)), dims...)
		}
		all[b.at[i]] = Variable{Name: p.Name, Value: part(joined.Value), First: part(joined.First), Second: part(joined.Second), Rate: p.Rate}
		begin = end
	}
}

// joinGradients are the gradients of variables, one after the other. Those of which there are equal rows are joined with
// all their rows, and cut out together.
func joinGradients(of []Variable) *Node {
	var flat, rows []*Node
	cut := func() {
		if rows != nil {
			flat, rows = append(flat, Reshape(SliceAxis(Concatenate(rows, 1), 0, AxisElem(0)), -1)), nil
		}
	}
	for _, p := range of {
		if p.Rows != nil {
			rows = append(rows, p.Rows)
			continue
		}
		cut()
		flat = append(flat, Reshape(p.Gradient, -1))
	}
	cut()
	return Concatenate(flat, 0)
}
