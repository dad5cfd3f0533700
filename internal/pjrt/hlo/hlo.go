// Package hlo reads the program that XLA's compiler makes (an HLO proto, from pjrt's OptimizedProgram) as far as
// it tells what a program does and costs: computations, instructions, shapes, places in the model, the TPU
// compiler's estimates of cycles.
package hlo

import (
	"fmt"
	"strings"
)

// Module is a compiled program.
type Module struct {
	Name         string
	Entry        *Computation   // what is run
	Computations []*Computation // all of them, callees before callers
}

// Computation is a function of the program: its body in the order of execution.
type Computation struct {
	Name         string
	ID           int64
	Fused        bool // the body of a fusion: one kernel, whose values are not written to memory
	Instructions []*Instruction
	Root         *Instruction // whose value is the result
}

// Instruction is one operation.
type Instruction struct {
	Name   string
	Opcode string // such as fusion, while, all-reduce
	Shape  Shape  // of the result
	OpName string // where it comes from: the loc("...") of the StableHLO operation; of a fusion, of its main one

	Operands         []*Instruction
	Called           []*Computation // of a fusion its body, of a while its body, then its condition
	CustomCallTarget string         // of a custom-call
	HostTransfer     bool           // a send or receive to or from the host
	Cycles           int64          // the compiler's estimate for one execution; 0 where it gives none
	TripCount        int64          // how often a while runs its body; -1 where that is not known, and for all else
	BackendConfig    string         // the compiler's notes, as JSON where it is a TPU's

	id, tupleIndex int64
	direction      string // of a compare
	integer        *int64 // of an integer constant that is one number
}

// Shape is the shape of an array, or of a tuple.
type Shape struct {
	Type        string // such as f32, bf16, pred; tuple; or what HLO has besides arrays: token, opaque
	Dims        []int
	Dynamic     bool    // some axis has a length that is only known when it runs
	MemorySpace int     // of an array; on TPU 0 is HBM, 1 the on-chip VMEM
	Elements    []Shape // of a tuple
}

// Arrays are the arrays of a shape: itself, or those in the tuple.
func (s Shape) Arrays() []Shape {
	if s.Type != "tuple" {
		return []Shape{s}
	}
	var arrays []Shape
	for _, e := range s.Elements {
		arrays = append(arrays, e.Arrays()...)
	}
	return arrays
}

// Size is the number of elements of an array.
func (s Shape) Size() int {
	size := 1
	for _, d := range s.Dims {
		size *= d
	}
	return size
}

func (s Shape) String() string {
	if s.Type == "tuple" {
		parts := make([]string, len(s.Elements))
		for i, e := range s.Elements {
			parts[i] = e.String()
		}
		return "(" + strings.Join(parts, ", ") + ")"
	}
	dims := strings.Join(strings.Fields(strings.Trim(fmt.Sprint(s.Dims), "[]")), ",")
	return s.Type + "[" + dims + "]"
}
