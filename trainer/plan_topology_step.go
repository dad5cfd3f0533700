package trainer

import (
	"os"
	"time"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/pjrt/hlo"
)

// compiledStep is what the compiler says of a step's programs, on one device.
type compiledStep struct {
	memory       pjrt.ProgramMemory // of the program that takes most
	flops, bytes float64
	costs        []hlo.Cost // of all programs, as often as a step runs them
	loops        int        // of which it is not known how often they go round
	modules      []*hlo.Module
	code         []byte // the first program's
	took         time.Duration
}

// add takes a program into account.
func (s *compiledStep) add(e *pjrt.Executable, p StepProgram) error {
	memory, err := e.Memory()
	if err != nil {
		return err
	}
	memory.Arguments += p.Resident
	memory.Peak += p.Resident
	if memory.Peak > s.memory.Peak {
		s.memory = memory
	}
	analysis, err := e.CostAnalysis()
	if err != nil && pjrt.CodeOf(err) != pjrt.Unimplemented {
		return err
	}
	s.flops += float64(p.Runs) * analysis["flops"]
	s.bytes += float64(p.Runs) * analysis["bytes accessed"]
	code, format, err := e.OptimizedProgram()
	if err != nil {
		return err
	}
	if format != "hlo_with_config" {
		return fault.New(fault.Device, "plan: the compiler gives the compiled program as %s, not as hlo_with_config", format)
	}
	module, err := hlo.Parse(code)
	if err != nil {
		return err
	}
	if s.code == nil {
		s.code = code
	}
	s.modules, s.loops = append(s.modules, module), s.loops+len(module.UnknownLoops())
	for _, cost := range module.Costs() {
		cost.Runs, cost.Cycles = cost.Runs*int64(p.Runs), cost.Cycles*int64(p.Runs)
		s.costs = append(s.costs, cost)
	}
	return nil
}

func (s *compiledStep) cycles() int64 { return hlo.Cycles(s.costs) }

// seconds is the time of a step by its cycles.
func (s *compiledStep) seconds(t *PlanTopology) float64 { return float64(s.cycles()) / t.Clock }

// writeHLO writes the compiled program, if a file is named.
func (s *compiledStep) writeHLO(path string) error {
	if path == "" {
		return nil
	}
	return fault.Wrap(fault.Storage, os.WriteFile(path, s.code, 0o644), "plan: --hlo")
}
