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
	toRHS := halfProduct(v, span(len(shared), len(l)), shared, lhs, l, axes.lhs.batch)
	return []*Node{
		ConvertDType(restore(toLHS, axes.lhs, l, axes.rhs.contract), dtypes.BFloat16),
		ConvertDType(restore(toRHS, axes.rhs, r, axes.lhs.contract), dtypes.BFloat16),
	}
}

// restore brings an operand's gradient from the layout of a product (shared axes, own axes, then the contracted
// ones in the other operand's order) to the operand's.
func restore(gradient *Node, own operandAxes, cross, otherContract []int) *Node {
	sorted := slices.Sorted(slices.Values(otherContract))
	from := make([]int, gradient.Rank())
	for i, axis := range own.batch {
		from[axis] = i
	}
	for i, axis := range cross {
		from[axis] = len(own.batch) + i
	}
	for i, axis := range own.contract {
		from[axis] = len(own.batch) + len(cross) + slices.Index(sorted, otherContract[i])
	}
	return TransposeAllAxes(gradient, from...)
}

// span counts n numbers up from first.
func span(first, n int) []int {
	axes := make([]int, n)
	for i := range axes {
		axes[i] = first + i
	}
	return axes
}
