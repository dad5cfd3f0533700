package hlo

// Cost is what one instruction costs in one run of the program on one device.
type Cost struct {
	*Instruction
	Runs   int64 // how often it is executed: those in loops, as often as these go round
	Cycles int64 // the compiler's estimate for all of them together
}

// Costs lists the instructions that a run of the program executes one after another, those in loops, branches and
// calls included. What happens within a kernel (a fusion, the comparison of a sort) is part of that kernel. Of a
// branch the costliest side counts; a loop of which it is not known how often it goes round counts once (see
// UnknownLoops).
func (m *Module) Costs() []Cost {
	return m.Entry.costs(1, map[*Computation]bool{})
}

func (c *Computation) costs(runs int64, within map[*Computation]bool) []Cost {
	if within[c] {
		return nil // no program calls itself, but a damaged one might
	}
	within[c] = true
	defer delete(within, c)
	var costs []Cost
	for _, i := range c.Instructions {
		costs = append(costs, Cost{i, runs, runs * i.Cycles})
		switch {
		case i.Opcode == "while":
			for _, callee := range i.Called {
				costs = append(costs, callee.costs(runs*max(i.TripCount, 1), within)...)
			}
		case i.Opcode == "conditional":
			costs = append(costs, costliest(i.Called, runs, within)...)
		case i.Opcode == "call", i.Opcode == "async-start" && i.Cycles == 0:
			for _, callee := range i.Called {
				costs = append(costs, callee.costs(runs, within)...)
			}
		}
	}
	return costs
}

func costliest(branches []*Computation, runs int64, within map[*Computation]bool) (most []Cost) {
	for n, branch := range branches {
		if costs := branch.costs(runs, within); n == 0 || Cycles(costs) > Cycles(most) {
			most = costs
		}
	}
	return most
}

// Cycles is the sum of the estimates.
func Cycles(costs []Cost) (cycles int64) {
	for _, c := range costs {
		cycles += c.Cycles
	}
	return cycles
}

// UnknownLoops are the loops of which it is not known how often they go round.
func (m *Module) UnknownLoops() []*Instruction {
	var loops []*Instruction
	for _, c := range m.Costs() {
		if c.Opcode == "while" && c.TripCount < 0 {
			loops = append(loops, c.Instruction)
		}
	}
	return loops
}
