package optimizer

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// lamb is Adam's step, scaled for each parameter by the trust ratio ‖w‖/‖update‖, so that every one moves
// by the same fraction of its length (You et al., 2020, algorithm 2, without a bound on the ratio).
type lamb struct{ adam }

func (l lamb) direction(u unit, step *Node) *Node {
	update := l.adam.direction(u, step)
	if l.AdaptAll || Decayed(u.name) {
		update = Mul(OptimizationBarrier(update), trustRatio(u.value, update))
	}
	return update
}

// trustRatio is ‖value‖/‖update‖, and 1 where either norm is zero.
func trustRatio(value, update *Node) *Node {
	g := value.Graph()
	length, step := ReduceAllSum(Square(value)), ReduceAllSum(Square(update))
	one, zero := ScalarOne(g, value.DType()), ScalarZero(g, value.DType())
	usable := And(GreaterThan(length, zero), GreaterThan(step, zero))
	return Where(usable, Sqrt(Div(length, Where(usable, step, one))), one)
}
