package trainer

import "math"

// Schedule is the learning rate over a phase of a run: linear warm-up and polynomial decay to zero. As the
// official ELECTRA computes it, both act from step 0 on: the first step has rate zero and the peak is a little
// below Peak. With AfterWarmup the decay waits for the warm-up's end, as in NVIDIA's LAMB recipe: the peak is
// Peak.
type Schedule struct {
	Peak        float64
	Warmup      int64   // steps until the warm-up's factor is 1; 0 for none
	Total       int64   // steps until the decay's factor is 0
	Power       float64 // of the decay; 0 stands for 1, linear
	AfterWarmup bool
}

// Shapes of a schedule, as optim.schedule names them.
const (
	scheduleProduct = "product"
	scheduleThen    = "warmup_then_decay"
)

// At is the rate of the step after t finished ones.
func (s Schedule) At(t int64) float64 {
	if t >= s.Total {
		return 0
	}
	rate, begin := s.Peak, int64(0)
	if s.AfterWarmup {
		begin = s.Warmup
	}
	if t > begin {
		rate *= s.decay(float64(t-begin) / float64(s.Total-begin))
	}
	if t < s.Warmup {
		rate *= float64(t) / float64(s.Warmup)
	}
	return rate
}

// decay is the decay's factor after a share of its steps.
func (s Schedule) decay(done float64) float64 {
	if s.Power == 0 {
		return 1 - done
	}
	return math.Pow(1-done, s.Power)
}
