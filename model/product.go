package model

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// product is a matrix product in the compute type with float32 results: the contraction of lhs's axes with
// rhs's. bfloat16 operands carry no accumulator attribute, which TPUs refuse; their matrix units accumulate
// in float32 anyway. The gradient's products are of the compute type too.
func (ctx *Context) product(lhs *Node, lhsContract, lhsBatch []int, rhs *Node, rhsContract, rhsBatch []int) *Node {
	lhs, rhs = ConvertDType(lhs, ctx.compute), ConvertDType(rhs, ctx.compute)
	if ctx.compute == dtypes.Float32 {
		return Dot(lhs, rhs).General(lhsContract, lhsBatch, rhsContract, rhsBatch)
	}
	y := halfProduct(lhs, lhsContract, lhsBatch, rhs, rhsContract, rhsBatch)
	remember(y, productAxes{operandAxes{lhsContract, lhsBatch}, operandAxes{rhsContract, rhsBatch}})
	return y
}

// halfProduct multiplies bfloat16 operands: float32 results.
func halfProduct(lhs *Node, lhsContract, lhsBatch []int, rhs *Node, rhsContract, rhsBatch []int) *Node {
	return Dot(lhs, rhs).WithAccumulatorDType(dtypes.InvalidDType).WithOutputDType(dtypes.Float32).
		General(lhsContract, lhsBatch, rhsContract, rhsBatch)
}

// GoMLX's own gradient of a product with float32 results multiplies in float32. halfProductVJP does it in
// bfloat16. A node does not tell its axes, so product leaves them with the graph, under the node's alias:
// copies of a node that rematerialisation makes have the same one.

// productAxes are the axes of a product's operands.
type productAxes struct{ lhs, rhs operandAxes }

type operandAxes struct{ contract, batch []int }

// cross are the axes of an operand that are neither contracted nor shared.
func (o operandAxes) cross(rank int) []int {
	var axes []int
	for axis := range rank {
		if !slices.Contains(o.contract, axis) && !slices.Contains(o.batch, axis) {
			axes = append(axes, axis)
		}
	}
	return axes
}

// productsKey is where a graph keeps its products' axes, by alias.
type productsKey struct{}

func remember(y *Node, axes productAxes) {
	g := y.Graph()
	known, ok := g.State(productsKey{}).(map[string]productAxes)
	if !ok {
		known = map[string]productAxes{}
		g.AttachState(productsKey{}, known)
	}
	alias := fmt.Sprintf("/product/%d", len(known))
	y.WithAlias(alias)
	known[alias] = axes
}

// init puts the gradient of our bfloat16 products in front of GoMLX's, which has no other place for it than
// its table by kind of node.
func init() {
	others := VJPRegistration[NodeTypeDotGeneral]
	VJPRegistration[NodeTypeDotGeneral] = func(y *Node, v []*Node, outputShape shapes.Shape) []*Node {
		known, _ := y.Graph().State(productsKey{}).(map[string]productAxes)
		axes, ours := known[y.GetAlias()]
		if !ours {
			return others(y, v, outputShape)
		}
		return halfProductVJP(axes, y.Inputs()[0], y.Inputs()[1], ConvertDType(v[0], dtypes.BFloat16))
	}
}

// halfProductVJP gives the gradients of a product's operands. v is laid out as the product's result: shared
// axes, then lhs's own, then rhs's own.
func halfProductVJP(axes productAxes, lhs, rhs, v *Node) []*Node {
	l, r := axes.lhs.cross(lhs.Rank()), axes.rhs.cross(rhs.Rank())
	shared := span(0, len(axes.lhs.batch))
	toLHS := halfProduct(v, span(len(shared)+len(l), len(r)), shared, rhs, r, axes.rhs.batch)
	gradients := []*Node{restore(toLHS, slices.Concat(axes.lhs.batch, l, contracted(axes.lhs, axes.rhs))), nil}
	// XLA's CPU compiler leaves bfloat16 products that it cannot run where the first operand of these is the
	// activation, or v if axes are shared.
	own := span(len(shared), len(l))
	if len(shared) > 0 {
		toRHS := halfProduct(lhs, l, axes.lhs.batch, v, own, shared)
		gradients[1] = restore(toRHS, slices.Concat(axes.rhs.batch, contracted(axes.rhs, axes.lhs), r))
	} else {
		toRHS := halfProduct(v, own, nil, lhs, l, nil)
		gradients[1] = restore(toRHS, slices.Concat(r, contracted(axes.rhs, axes.lhs)))
	}
	return gradients
}

// contracted are the contracted axes of an operand, in the order of the other's.
func contracted(own, other operandAxes) []int {
	axes := slices.Clone(own.contract)
	slices.SortFunc(axes, func(a, b int) int {
		return other.contract[slices.Index(own.contract, a)] - other.contract[slices.Index(own.contract, b)]
	})
	return axes
}

// restore brings an operand's gradient to the operand's layout and type; axes are the operand's axes in the
// order in which they lie in the gradient.
func restore(gradient *Node, axes []int) *Node {
	from := make([]int, len(axes))
	for at, axis := range axes {
		from[axis] = at
	}
	return ConvertDType(TransposeAllAxes(gradient, from...), dtypes.BFloat16)
}

// span counts n numbers up from first.
func span(first, n int) []int {
	axes := make([]int, n)
	for i := range axes {
		axes[i] = first + i
	}
	return axes
}
