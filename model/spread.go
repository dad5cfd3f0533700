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
	known, ok := g.State(spreadsKey{}).(*spreads)
	if !ok {
		known = &spreads{axes: map[string]int{}, sums: map[*Node]*Node{}}
		g.AttachState(spreadsKey{}, known)
	}
	alias := fmt.Sprintf("/spread/%d", len(known.axes))
	y.WithAlias(alias)
	known.axes[alias] = axis
	return y
}

// spreads is what a graph keeps of what spread made: axes by alias, as it keeps its products', and of gradients the
// products with rows of ones that they are the first row of.
type spreads struct {
	axes map[string]int
	sums map[*Node]*Node
}

type spreadsKey struct{}

func init() {
	others := VJPRegistration[NodeTypeBroadcastInDim]
	VJPRegistration[NodeTypeBroadcastInDim] = func(y *Node, v []*Node, outputShape shapes.Shape) []*Node {
		known, _ := y.Graph().State(spreadsKey{}).(*spreads)
		if known == nil {
			return others(y, v, outputShape)
		}
		axis, ours := known.axes[y.GetAlias()]
		if !ours {
			return others(y, v, outputShape)
		}
		sums := sumsToAxis(v[0], axis)
		first := SliceAxis(sums, 0, AxisElem(0))
		known.sums[first] = sums
		return []*Node{Reshape(first, y.Inputs()[0].Shape().Dimensions...)}
	}
}

// EqualRows is, of a vector's gradient [H] that was cut out of an array [R,H] of equal rows, that array; else nil. To cut
// many vectors out one by one takes a TPU much longer than to join the arrays and to cut once.
func EqualRows(gradient *Node) *Node {
	for gradient.Type() == NodeTypeReshape {
		gradient = gradient.Inputs()[0]
	}
	if known, _ := gradient.Graph().State(spreadsKey{}).(*spreads); known != nil {
		return known.sums[gradient]
	}
	return nil
}

// onesRows is the number of equal rows of ones in sumsToAxis: with one, XLA makes a sum of the product again.
const onesRows = 8

// sumsToAxis sums x, rounded to bfloat16, over all axes but one, in float32: several equal rows [R,·].
func sumsToAxis(x *Node, axis int) *Node {
	dims := slices.Delete(slices.Clone(x.Shape().Dimensions), axis, axis+1)
	others := slices.Delete(span(0, x.Rank()), axis, axis+1)
	ones := BroadcastToShape(Scalar(x.Graph(), dtypes.BFloat16, 1.0), shapes.Make(dtypes.BFloat16, append([]int{onesRows}, dims...)...))
	return multiply(ones, span(1, len(dims)), nil, ConvertDType(x, dtypes.BFloat16), others, nil)
}
