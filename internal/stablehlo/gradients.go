package stablehlo

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// gradients says which nodes of a graph were built as the gradient of which. They are stretches of nodes: what GoMLX
// builds between two of them (sums of gradients that meet) belongs to the one before.
type gradients struct{ stretches []stretch }

type stretch struct{ first, end, of int }

type gradientsKey struct{}

func gradientsOf(g *graph.Graph) *gradients {
	found, _ := g.State(gradientsKey{}).(*gradients)
	return found
}

// of is the number of the node that node i was built as the gradient of, or -1.
func (s *gradients) of(i int) int {
	n, found := slices.BinarySearchFunc(s.stretches, i, func(s stretch, i int) int { return s.first - i })
	if !found {
		n--
	}
	if n < 0 || i >= s.stretches[n].end && n == len(s.stretches)-1 {
		return -1
	}
	return s.stretches[n].of
}

// FollowGradients lets every rule of GoMLX's gradient note for which node it builds what, in graphs that are traced
// here: it has no other way to tell. Without it the operations of gradients have no places. The rules are one table of
// GoMLX's, so it is to be called in an init function of a package that imports all those that register rules.
func FollowGradients() {
	for kind, rule := range graph.VJPRegistration {
		graph.VJPRegistration[kind] = noting(rule)
	}
}

func noting(rule graph.VJP) graph.VJP {
	return func(node *graph.Node, vjps []*graph.Node, shape shapes.Shape) []*graph.Node {
		g := node.Graph()
		notes := gradientsOf(g)
		if notes == nil {
			return rule(node, vjps, shape)
		}
		first := len(g.Nodes())
		inputs := rule(node, vjps, shape)
		notes.stretches = append(notes.stretches, stretch{first, len(g.Nodes()), int(node.Id())})
		return inputs
	}
}
