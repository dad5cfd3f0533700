// Axes: H any width.
package model

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// spread broadcasts a vector [H] along an axis of an array, as a bias is added. Its gradient is a sum over all other
// axes. Where products are bfloat16 that sum is one, with ones: a TPU's matrix units add up in a fraction of the time
// that its vector unit takes. What is summed is rounded, as it is for the weights' gradients, and the sum is float32.
func (ctx *Context) spread(vector *Node, axis int, dims ...int) *Node {
	ones := make([]int, len(dims))
	for i := range ones {
		ones[i] = 1
	}
	ones[axis] = dims[axis]
	y := BroadcastToDims(Reshape(vector, ones...), dims...)
	if !ctx.recomputes() {
		return y
	}
	g := y.Graph()
	known, ok := g.State(spreadsKey{}).(map[string]int)
	if !ok {
		known = map[string]int{}
		g.AttachState(spreadsKey{}, known)
	}
	alias := fmt.Sprintf("/spread/%d", len(known))
	y.WithAlias(alias)
	known[alias] = axis
	return y
}

// spreadsKey is where a graph keeps the axes of what spread made, by alias, as it keeps its products'.
type spreadsKey struct{}

func init() {
	others := VJPRegistration[NodeTypeBroadcastInDim]
	VJPRegistration[NodeTypeBroadcastInDim] = func(y *Node, v []*Node, outputShape shapes.Shape) []*Node {
		known, _ := y.Graph().State(spreadsKey{}).(map[string]int)
		axis, ours := known[y.GetAlias()]
		if !ours {
			return others(y, v, outputShape)
		}
		return []*Node{Reshape(sumToAxis(v[0], axis), y.Inputs()[0].Shape().Dimensions...)}
	}
}

// onesRows is the number of equal rows of ones in sumToAxis: with one, XLA makes a sum of the product again.
const onesRows = 8

// sumToAxis sums x, rounded to bfloat16, over all axes but one, in float32.
func sumToAxis(x *Node, axis int) *Node {
	dims := slices.Delete(slices.Clone(x.Shape().Dimensions), axis, axis+1)
	others := slices.Delete(span(0, x.Rank()), axis, axis+1)
	ones := BroadcastToShape(Scalar(x.Graph(), dtypes.BFloat16, 1.0), shapes.Make(dtypes.BFloat16, append([]int{onesRows}, dims...)...))
	sums := multiply(ones, span(1, len(dims)), nil, ConvertDType(x, dtypes.BFloat16), others, nil)
	return Squeeze(SliceAxis(sums, 0, AxisElem(0)), 0)
}
