package trainer

import (
	"cmp"
	"slices"
	"strings"

	"elektron/internal/pjrt/hlo"
)

// PlanShare is a part of a step's cycles.
type PlanShare struct {
	Name   string  `json:"name"`
	Cycles int64   `json:"cycles"`
	Share  float64 `json:"share"`
}

// PlanOperation is an instruction of the compiled program.
type PlanOperation struct {
	Name   string  `json:"name"`
	Opcode string  `json:"opcode"`
	Shape  string  `json:"shape"`
	Place  string  `json:"place"` // the functions that build it; empty where the compiler made it up
	Runs   int64   `json:"runs"`  // a step
	Cycles int64   `json:"cycles"`
	Share  float64 `json:"share"`
}

// shownOperations is how many of the costliest instructions a plan names.
const shownOperations = 10

// costliest are the instructions with most cycles.
func costliest(costs []hlo.Cost) []PlanOperation {
	all := float64(hlo.Cycles(costs))
	sorted := slices.SortedStableFunc(slices.Values(costs), func(a, b hlo.Cost) int { return cmp.Compare(b.Cycles, a.Cycles) })
	var list []PlanOperation
	for _, c := range sorted[:min(shownOperations, len(sorted))] {
		list = append(list, PlanOperation{Name: c.Name, Opcode: c.Opcode, Shape: c.Shape.String(), Place: c.OpName, Runs: c.Runs,
			Cycles: c.Cycles, Share: float64(c.Cycles) / all})
	}
	return list
}

// PlanCollective is what devices exchange in a step by one kind of operation.
type PlanCollective struct {
	Opcode  string `json:"opcode"`
	Runs    int64  `json:"runs"`    // a step
	Numbers int64  `json:"numbers"` // that a device gives, a step
}

// collectiveOpcodes are the operations by which devices exchange numbers. The halves that wait for one that was begun
// earlier end in -done.
var collectiveOpcodes = []string{"all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute"}

// exchanges are the collectives of a step by kind, in the order of collectiveOpcodes.
func exchanges(costs []hlo.Cost) []PlanCollective {
	list := []PlanCollective{}
	for _, opcode := range collectiveOpcodes {
		sum := PlanCollective{Opcode: opcode}
		for _, c := range costs {
			if c.Opcode != opcode && c.Opcode != opcode+"-start" {
				continue
			}
			sum.Runs += c.Runs
			for _, operand := range c.Operands {
				for _, array := range operand.Shape.Arrays() {
					sum.Numbers += c.Runs * int64(array.Size())
				}
			}
		}
		if sum.Runs > 0 {
			list = append(list, sum)
		}
	}
	return list
}

// parts of a step, by a piece of the places of their operations; the first that fits counts.
var parts = []struct{ name, place string }{
	{"clipping and optimizer", "update"},
	{"vocabulary: sampling", "/sample"},
	{"vocabulary: softmax", "/newDistribution"},
	{"vocabulary: logits", "/vocabulary"},
	{"vocabulary: logits", "/labelLogits"},
	{"attention", "/attention"},
	{"sums and LayerNorm of layers", "/addNorm"},
	{"feed-forward layers", "/layers/encode"},
	{"embeddings", "/embed"},
	{"statistics", "tatistics"},
	{"statistics", "/generatorSums"},
	{"gathering of masked slots", "/gatherAt"},
}

// Names of shares that have no place.
const (
	collectives = "sums over devices"
	unplaced    = "without a place: copies and what the compiler made up"
	otherPart   = "other: heads, masks, losses"
)

// shares divides the cycles by parts of the step. A fusion counts where its main operation belongs.
func shares(costs []hlo.Cost) []PlanShare {
	cycles := map[string]int64{}
	for _, c := range costs {
		cycles[partOf(c.Instruction)] += c.Cycles
	}
	all := float64(hlo.Cycles(costs))
	var list []PlanShare
	for name, n := range cycles {
		list = append(list, PlanShare{Name: name, Cycles: n, Share: float64(n) / all})
	}
	slices.SortFunc(list, func(a, b PlanShare) int {
		return cmp.Or(cmp.Compare(b.Cycles, a.Cycles), strings.Compare(a.Name, b.Name))
	})
	return list
}

func partOf(i *hlo.Instruction) string {
	if strings.HasPrefix(i.Opcode, "all-reduce") {
		return collectives
	}
	for _, p := range parts {
		if strings.Contains(i.OpName, p.place) {
			return p.name
		}
	}
	if i.OpName == "" {
		return unplaced
	}
	return otherPart
}
