package trainer

// Schedule is the learning rate over a run: linear warm-up times linear decay to zero, both from step 0 on,
// as the official ELECTRA computes it (its first step has rate zero and its peak is a little below Peak).
type Schedule struct {
	Peak   float64
	Warmup int64 // steps until the warm-up's factor is 1; 0 for none
	Total  int64 // steps until the decay's factor is 0
}

// At is the rate of the step after t finished ones.
func (s Schedule) At(t int64) float64 {
	rate := s.Peak * max(0, 1-float64(t)/float64(s.Total))
	if t < s.Warmup {
		rate *= float64(t) / float64(s.Warmup)
	}
	return rate
}
