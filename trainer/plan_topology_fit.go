package trainer

import (
	"fmt"
	"math/bits"
	"regexp"
	"strconv"

	"elektron/internal/fault"
)

// fitAttempts bounds the programs that are compiled to find a batch that fits.
const fitAttempts = 4

// usedMemory is how the TPU's compiler says how much a program would need.
var usedMemory = regexp.MustCompile(`Used ([0-9.]+)([KMGT]?) of ([0-9.]+)([KMGT]?) hbm`)

// neededBytes reads the need of a program that does not fit out of the compiler's complaint, 0 where it is not in it.
func neededBytes(complaint string) float64 {
	match := usedMemory.FindStringSubmatch(complaint)
	if match == nil {
		return 0
	}
	n, _ := strconv.ParseFloat(match[1], 64)
	units := map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
	return n * units[match[2]]
}

// findFit looks for the largest batch of a phase that fits, of those with a power of two rows a device: it is estimated
// from what the program that does not fit would need, and then compiled.
func (p *Plan) findFit(t *topologyCompiler, phase *phase, complaint error) error {
	p.Fits = new(false)
	planned := &p.Phases[phase.number-1].Memory
	fixed := float64(planned.Weights + planned.Moments + planned.Gradients)
	shape := phase.shape()
	rows := shape.B / phase.parts / t.devices()
	for range fitAttempts {
		needed := neededBytes(complaint.Error())
		if phase.number == 1 && p.HBM.Peak == nil && needed > 0 {
			p.HBM.Peak = new(int64(needed))
		}
		if rows = fittingRows(rows, needed, fixed, float64(t.limit)); rows == 0 {
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

// fittingRows is the largest power of two of rows a device, fewer than rows, for which memory should do: what a program
// needs beyond the fixed part grows with the rows. Where the need is not known, half the rows.
func fittingRows(rows int, needed, fixed, limit float64) int {
	fewer := rows - 1
	if needed > fixed {
		fewer = min(fewer, int((limit-fixed)/(needed-fixed)*float64(rows)))
	} else {
		fewer = rows / 2
	}
	if fewer < 1 {
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
