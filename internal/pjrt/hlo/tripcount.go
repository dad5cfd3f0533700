package hlo

// The TPU compiler drops its notes on how often a loop goes round, so it is read off the loop itself: a number that
// starts at a constant, grows by a constant, and is compared with a constant.

// inferTripCount is how often a while runs its body, or -1.
func inferTripCount(loop *Instruction) int64 {
	if len(loop.Operands) != 1 {
		return -1
	}
	body, condition := loop.Called[0], loop.Called[1]
	initial, next := through(loop.Operands[0]), body.Root
	compare := condition.Root
	if compare.Opcode != "compare" || len(compare.Operands) != 2 || initial.Opcode != "tuple" || next.Opcode != "tuple" {
		return -1
	}
	state := state{initial.Operands, next.Operands}
	left, right, direction := compare.Operands[0], compare.Operands[1], compare.direction
	if _, known := state.constant(left); known {
		left, right, direction = right, left, mirrored[direction]
	}
	limit, known := state.constant(right)
	start, step, counts := state.counter(left)
	if !known || !counts {
		return -1
	}
	return rounds(start, step, limit, direction)
}

// mirrored are the directions with both sides exchanged.
var mirrored = map[string]string{"LT": "GT", "GT": "LT", "LE": "GE", "GE": "LE", "EQ": "EQ", "NE": "NE"}

// rounds counts how often the condition holds.
func rounds(start, step, limit int64, direction string) int64 {
	switch direction {
	case "GT":
		start, step, limit = -start, -step, -limit
	case "GE":
		start, step, limit = -start, -step, -limit+1
	case "LE":
		limit++
	case "NE":
		if step == 0 || (limit-start)%step != 0 || (limit-start)/step < 0 {
			return -1
		}
		return (limit - start) / step
	case "LT":
	default:
		return -1
	}
	switch {
	case start >= limit:
		return 0
	case step <= 0:
		return -1
	}
	return (limit - start + step - 1) / step
}

// state is what a loop carries from round to round: at first, and as each round leaves it.
type state struct{ initial, next []*Instruction }

// index is the place in the state that a value of the body or condition is read from, or -1.
func (s state) index(i *Instruction) int {
	i = through(i)
	if i.Opcode != "get-tuple-element" || len(i.Operands) != 1 || i.Operands[0].Opcode != "parameter" ||
		i.tupleIndex < 0 || i.tupleIndex >= int64(min(len(s.initial), len(s.next))) {
		return -1
	}
	return int(i.tupleIndex)
}

// constant is the value of a number that is the same in every round.
func (s state) constant(i *Instruction) (int64, bool) {
	if i = through(i); i.integer != nil {
		return *i.integer, true
	}
	k := s.index(i)
	if k < 0 || s.index(s.next[k]) != k {
		return 0, false
	}
	start := through(s.initial[k])
	if start.integer == nil {
		return 0, false
	}
	return *start.integer, true
}

// counter is a number of the state that grows by a constant each round.
func (s state) counter(i *Instruction) (start, step int64, ok bool) {
	k := s.index(i)
	if k < 0 {
		return 0, 0, false
	}
	first, add := through(s.initial[k]), through(s.next[k])
	if first.integer == nil || add.Opcode != "add" || len(add.Operands) != 2 {
		return 0, 0, false
	}
	for n, operand := range add.Operands {
		if step, known := s.constant(add.Operands[1-n]); known && s.index(operand) == k {
			return *first.integer, step, true
		}
	}
	return 0, 0, false
}

// maxMoves bounds how far a value is followed, in case a damaged program moves it in a circle.
const maxMoves = 100

// through looks through what only moves a value.
func through(i *Instruction) *Instruction {
	for range maxMoves {
		if i.Opcode != "copy" && i.Opcode != "bitcast" || len(i.Operands) != 1 {
			break
		}
		i = i.Operands[0]
	}
	return i
}
