// Axes: B batch, S sequence, K masked slots, H hidden.
package model

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Masked positions are handled by comparisons and where-selects over [B,K,S]: no boolean indexing, no
// scatter, every shape static. K is small, so XLA fuses the comparison into its consumers.

// keepMask is true at the first lengths[b] positions of each row: [B] to [B,S].
func keepMask(lengths *Node, S int) *Node {
	positions := Iota(lengths.Graph(), shapes.Make(dtypes.Int32, 1, S), 1)
	return LessThan(positions, InsertAxes(lengths, -1))
}

// slotMask is true where slot k of row b points at position s and is in use: positions and weights [B,K]
// to [B,K,S].
func slotMask(positions, weights *Node, S int) *Node {
	at := Equal(InsertAxes(positions, -1), Iota(positions.Graph(), shapes.Make(dtypes.Int32, 1, 1, S), 2))
	used := GreaterThan(weights, ScalarZero(weights.Graph(), weights.DType()))
	return LogicalAnd(at, InsertAxes(used, -1))
}

// replaceAt puts values [B,K] at the slots' positions of ids [B,S].
func replaceAt(ids, slots, values *Node) *Node {
	placed := ReduceSum(whereSlot(slots, InsertAxes(values, -1)), 1)
	return Where(ReduceLogicalOr(slots, 1), placed, ids)
}

// readAt reads ids [B,S] at the slots: [B,K], zero at unused ones.
func readAt(ids, slots *Node) *Node {
	return ReduceSum(whereSlot(slots, InsertAxes(ids, 1)), 2)
}

// whereSlot spreads x, [B,K,1] or [B,1,S], to [B,K,S] and zeroes it outside the slots.
func whereSlot(slots, x *Node) *Node {
	return Where(slots, BroadcastToDims(x, slots.Shape().Dimensions...), ScalarZero(x.Graph(), x.DType()))
}

// gatherAt picks the hidden states of the slots, [B,S,H] to [B,K,H], as a product with the slots' one-hot:
// its gradient is a product too.
func (ctx *Context) gatherAt(hidden, slots *Node) *Node {
	return ctx.product(ConvertDType(slots, dtypes.Float32), []int{2}, []int{0}, hidden, []int{1}, []int{0})
}
