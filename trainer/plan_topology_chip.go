package trainer

import (
	"elektron/internal/fault"
	"elektron/internal/pjrt"
)

// chip is what is published of a kind of TPU, by device: of v2, v3 and v4 a device is one of a chip's two cores.
type chip struct {
	peak float64 // FLOPs a second in bfloat16
	side int     // rows of a matrix unit, and columns
	mxus int     // matrix units of a device
}

// clock is the frequency at which the matrix units reach the peak: each multiplies and adds side × side numbers a
// cycle.
func (c chip) clock() float64 { return c.peak / float64(2*c.mxus*c.side*c.side) }

// chips are the kinds as the compiler calls them. Peaks and matrix units are those of Google's pages on Cloud TPU's
// system architecture, one page a version; the clocks that follow are 0.70, 0.94, 1.05, 1.50, 1.75 and 1.75 GHz.
var chips = map[string]chip{
	"TPU v2":      {peak: 23e12, side: 128, mxus: 1},
	"TPU v3":      {peak: 61.5e12, side: 128, mxus: 2},
	"TPU v4":      {peak: 137.5e12, side: 128, mxus: 4},
	"TPU v5 lite": {peak: 197e12, side: 128, mxus: 4},
	"TPU v5":      {peak: 459e12, side: 128, mxus: 8},
	"TPU v6 lite": {peak: 918e12, side: 256, mxus: 4},
}

// knownTopologies are names that libtpu 0.0.51 takes.
const knownTopologies = "v2:2x2, v3:2x2, v4:2x2x1, v4:2x2x4, v5e:1x1, v5e:2x2, v5e:2x4, v5e:4x4, v5p:2x2x1, v6e:2x2, v6e:4x4"

func chipOf(t *pjrt.Topology) (chip, error) {
	if len(t.Devices) == 0 {
		return chip{}, fault.New(fault.Device, "plan: topology %s has no devices", t.Name)
	}
	c, known := chips[t.Devices[0].Kind]
	if !known {
		return chip{}, fault.New(fault.Usage, "plan: --topology %s has devices of kind %s, whose clock is not known here; use one of %s", t.Name, t.Devices[0].Kind, knownTopologies)
	}
	return c, nil
}
