package model

// FLOPs counts the useful floating-point operations of one training step on one example of S tokens with
// masked slots: products only, forward plus twice that for the gradients; lookups count nothing, and the
// vocabulary is decoded at the masked slots only.
func (c *Config) FLOPs(S, masked int) float64 {
	gen, disc := c.GeneratorEncoder(), c.DiscriminatorEncoder()
	s := float64(S)
	forward := gen.flops(s) + disc.flops(s)
	hidden, hiddenGen := float64(disc.HiddenSize), float64(gen.HiddenSize)
	forward += 2 * s * hidden * (hidden + 1)
	forward += 2 * float64(masked) * float64(c.EmbeddingSize) * (hiddenGen + float64(c.VocabSize))
	return 3 * forward
}

// flops of one encoder's forward pass over s tokens.
func (e EncoderConfig) flops(s float64) float64 {
	h, f := float64(e.HiddenSize), float64(e.IntermediateSize)
	layer := 8*s*h*h + 4*s*s*h + 4*s*h*f
	total := float64(e.Layers*e.InnerGroupNum) * layer
	if e.EmbeddingSize != e.HiddenSize || e.Kind == "albert" {
		total += 2 * s * float64(e.EmbeddingSize) * h
	}
	return total
}

// ParameterCount is the number of distinct trained numbers.
func (c *Config) ParameterCount() int {
	n := 0
	for _, p := range c.Weights() {
		n += p.Size()
	}
	return n
}
