package trainer

import (
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"strconv"

	"elektron/internal/fault"
)

// fitAttempts bounds the programs that are compiled to find a batch that fits.
const fitAttempts = 4

// temporaries is how libtpu 0.0.51 says how much a program would need besides its arguments.
var temporaries = regexp.MustCompile(`required for HLO temporaries \(([0-9.]+)([KMGT]?)\)`)

// neededBytes are the temporaries of a program that does not fit, where need be read out of the compiler's complaint; 0
// where they are not in it.
func neededBytes(complaint error) float64 {
	if known, ok := errors.AsType[tooMuch](complaint); ok {
		return float64(known.temporaries)
	}
	match := temporaries.FindStringSubmatch(complaint.Error())
	if match == nil {
		return 0
	}
	n, _ := strconv.ParseFloat(match[1], 64)
	units := map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
	return n * units[match[2]]
}

// findFit looks for the largest batch of a phase that fits, of those with a power of two rows a device: it is estimated
// from the temporaries of the program that does not fit, and then compiled.
func (p *Plan) findFit(t *topologyCompiler, phase *phase, complaint error) error {
	p.Fits = new(false)
	planned := &p.Phases[phase.number-1].Memory
	state := planned.Weights + planned.Moments
	shape := phase.shape()
	rows := shape.B / phase.parts / t.devices()
	for range fitAttempts {
		needed := neededBytes(complaint)
		if phase.number == 1 && p.HBM.Temporaries == nil && needed > 0 {
			p.HBM.Temporaries, p.HBM.Peak = new(int64(needed)), new(int64(needed)+state)
		}
		if rows = fittingRows(rows, needed, float64(t.limit-state)); rows == 0 {
			return nil
		}
		shape.B = rows * t.devices()
		_, err := t.compile(shape, 1)
		if err == nil {
			p.Topology.FittingBatch, p.Topology.FittingPhase = shape.B, phase.number
			return nil
		}
		if fault.KindOf(err) != fault.OutOfMemory {
			return err
		}
		complaint = err
	}
	return nil
}

// fittingRows is the largest power of two of rows a device, fewer than rows, whose temporaries should fit into the
// room beside the state: they grow with the rows. Where they are not known, half the rows.
func fittingRows(rows int, temporaries, room float64) int {
	fewer := rows / 2
	if temporaries > 0 {
		fewer = min(rows-1, int(room/temporaries*float64(rows)))
	}
	if fewer < 1 || room <= 0 {
		return 0
	}
	return 1 << (bits.Len(uint(fewer)) - 1)
}

// advice says what to do about a plan that does not fit.
func (p *Plan) advice() string {
	t := p.Topology
	if t.FittingBatch == 0 {
		return "no batch that was tried fits; try --remat, --dtype bf16, or a larger topology"
	}
	batch := p.Phases[t.FittingPhase-1].BatchSize
	text := fmt.Sprintf("in phase %d a batch of %d fits: --batch-size %d", t.FittingPhase, t.FittingBatch, t.FittingBatch)
	if batch%t.FittingBatch == 0 {
		text += fmt.Sprintf(", or the same batch in parts: --accumulate %d", batch/t.FittingBatch)
	}
	return text + "; or try --remat"
}
