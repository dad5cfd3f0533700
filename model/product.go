package model

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// product is a matrix product with float32 results: the contraction of lhs's axes with rhs's. Its operands, and
// those of its gradient's products, are of the compute type.
func (ctx *Context) product(lhs *Node, lhsContract, lhsBatch []int, rhs *Node, rhsContract, rhsBatch []int) *Node {
	lhs, rhs = ctx.operand(lhs), ctx.operand(rhs)
	y := multiply(lhs, lhsContract, lhsBatch, rhs, rhsContract, rhsBatch)
	if ctx.compute != dtypes.Float32 {
		remember(y, productAxes{operandAxes{lhsContract, lhsBatch}, operandAxes{rhsContract, rhsBatch}})
	}
	return y
}

// operand is x as products take it: in the compute type, or in float32 with the numbers of the compute type.
func (ctx *Context) operand(x *Node) *Node {
	if ctx.compute == dtypes.BFloat16 && ctx.emulated {
		return roundHalf(ConvertDType(x, dtypes.Float32))
	}
	return ConvertDType(x, ctx.compute)
}

// roundHalf rounds float32 numbers to those that bfloat16 has, to nearest and ties to even. It works on their
// bits, because a compiler may leave out a conversion to bfloat16 and back. Its gradient is one: the difference
// that is added is exact.
func roundHalf(x *Node) *Node {
	bits := Bitcast(StopGradient(x), dtypes.Uint32)
	odd := BitwiseAnd(BitwiseShiftRightLogicalScalar(bits, uint32(16)), Scalar(x.Graph(), dtypes.Uint32, uint32(1)))
	bits = Add(AddScalar(bits, uint32(0x7fff)), odd)
	rounded := Bitcast(BitwiseAnd(bits, Scalar(x.Graph(), dtypes.Uint32, uint32(0xffff0000))), dtypes.Float32)
	return Add(x, StopGradient(Sub(rounded, x)))
}

// multiply contracts operands of one type: float32 results. bfloat16 operands carry no accumulator attribute,
// which TPUs refuse; their matrix units accumulate in float32 anyway.
func multiply(lhs *Node, lhsContract, lhsBatch []int, rhs *Node, rhsContract, rhsBatch []int) *Node {
	dot := Dot(lhs, rhs)
	if lhs.DType() == dtypes.BFloat16 {
		dot = dot.WithAccumulatorDType(dtypes.InvalidDType).WithOutputDType(dtypes.Float32)
	}
	return dot.General(lhsContract, lhsBatch, rhsContract, rhsBatch)
}

// GoMLX's own gradient of a product with float32 results multiplies in float32. productVJP does it in the compute
// type. A node does not tell its axes, so product leaves them with the graph, under the node's alias: copies of
// a node that rematerialisation makes have the same one.

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

// init puts the gradient of our products in front of GoMLX's, which has no other place for it than its table by
// kind of node.
func init() {
	others := VJPRegistration[NodeTypeDotGeneral]
	VJPRegistration[NodeTypeDotGeneral] = func(y *Node, v []*Node, outputShape shapes.Shape) []*Node {
		known, _ := y.Graph().State(productsKey{}).(map[string]productAxes)
		axes, ours := known[y.GetAlias()]
		if !ours {
			return others(y, v, outputShape)
		}
		return productVJP(axes, y.Inputs()[0], y.Inputs()[1], v[0])
	}
}

// productVJP gives the gradients of a product's operands. v is laid out as the product's result: shared axes,
// then lhs's own, then rhs's own.
func productVJP(axes productAxes, lhs, rhs, v *Node) []*Node {
	if lhs.DType() == dtypes.BFloat16 {
		v = ConvertDType(v, dtypes.BFloat16)
	} else {
		v = roundHalf(v)
	}
	l, r := axes.lhs.cross(lhs.Rank()), axes.rhs.cross(rhs.Rank())
	shared := span(0, len(axes.lhs.batch))
	toLHS := multiply(v, span(len(shared)+len(l), len(r)), shared, rhs, r, axes.rhs.batch)
	toRHS := multiply(v, span(len(shared), len(l)), shared, lhs, l, axes.lhs.batch)
	return []*Node{
		restore(toLHS, slices.Concat(axes.lhs.batch, l, contracted(axes.lhs, axes.rhs)), lhs.DType()),
		restore(toRHS, slices.Concat(axes.rhs.batch, r, contracted(axes.rhs, axes.lhs)), rhs.DType()),
	}
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
func restore(gradient *Node, axes []int, dtype dtypes.DType) *Node {
	from := make([]int, len(axes))
	for at, axis := range axes {
		from[axis] = at
	}
	return ConvertDType(TransposeAllAxes(gradient, from...), dtype)
}

// span counts n numbers up from first.
func span(first, n int) []int {
	axes := make([]int, n)
	for i := range axes {
		axes[i] = first + i
	}
	return axes
}
