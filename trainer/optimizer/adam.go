package optimizer

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// adam is Adam with decoupled weight decay (Kingma and Ba, 2015; Loshchilov and Hutter, 2019). Without bias
// correction it is the official ELECTRA's optimizer.
type adam struct{ Config }

func (a adam) moments(u unit) (first, second *Node) {
	first = Add(MulScalar(u.first, a.Beta1), MulScalar(u.gradient, 1-a.Beta1))
	second = Add(MulScalar(u.second, a.Beta2), MulScalar(Square(u.gradient), 1-a.Beta2))
	return first, second
}

func (a adam) direction(u unit, step *Node) *Node {
	mean, square := u.first, u.second
	if a.BiasCorrection {
		mean = Div(mean, missingMass(a.Beta1, step))
		square = Div(square, missingMass(a.Beta2, step))
	}
	update := Div(mean, AddScalar(Sqrt(square), a.Epsilon))
	if a.WeightDecay > 0 && Decayed(u.name) {
		update = Add(update, MulScalar(u.value, a.WeightDecay))
	}
	return update
}

// missingMass is 1 − βᵗ for the t-th update, t = step + 1: by expm1 of t·ln β, exact where βᵗ is close to 1.
func missingMass(beta float64, step *Node) *Node {
	return Neg(Expm1(MulScalar(AddScalar(step, 1), math.Log(beta))))
}
