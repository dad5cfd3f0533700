package model

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// withGradient is value with a gradient of its own to inputs: what gradient makes of the one that arrives at value, one
// node for each input, of its shape. gradient is called once, if at all. What it takes from around it is kept from the
// forward pass, also where layers are computed again.
func withGradient(value *Node, inputs []*Node, gradient func(arriving *Node) []*Node) *Node {
	var arriving *Node
	var results []*Node
	// The side that is never taken tells GoMLX that the value depends on the inputs; compilers drop it.
	other := ScalarZero(value.Graph(), value.DType())
	for i, input := range inputs {
		tied := IdentityWithCustomGradient(input, func(_, _ *Node) *Node {
			if results == nil {
				results = gradient(arriving)
			}
			return results[i]
		})
		other = Add(other, ConvertDType(firstOf(tied), value.DType()))
	}
	dims := value.Shape().Dimensions
	value = Where(BroadcastToDims(Const(value.Graph(), false), dims...), BroadcastToDims(other, dims...), StopGradient(value))
	return IdentityWithCustomGradient(value, func(_, v *Node) *Node {
		arriving = v
		return v
	})
}

// firstOf is the first element of x, a scalar.
func firstOf(x *Node) *Node { return Reshape(SliceAxis(Reshape(x, -1), 0, AxisElem(0))) }
