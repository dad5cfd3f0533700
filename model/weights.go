package model

// Initializer says how a parameter's first value is drawn.
type Initializer int

// The initialisers of the official code: a normal cut at two deviations, and, where TF's
// dense layer was left at its default, Glorot's uniform.
const (
	InitZeros Initializer = iota
	InitOnes
	InitTruncatedNormal
	InitGlorotUniform
)

// Weight is one trained array. Names are those of Hugging Face's ELECTRA, behind "generator." or
// "discriminator."; matrices lie as there, [out, in].
type Weight struct {
	Name  string
	Shape []int
	Init  Initializer
}

// Size is the number of elements.
func (w Weight) Size() int {
	n := 1
	for _, d := range w.Shape {
		n *= d
	}
	return n
}

// Weights lists every distinct weight, in the order in which the trainer keeps them. Shared ones appear
// once.
func (c *Config) Weights() []Weight {
	gen, disc := c.generator(), c.discriminator()
	list := embeddingWeights(c, []tower{disc, gen})
	list = append(list, encoders[disc.Kind].weights(disc.layers, disc.EncoderConfig)...)
	if gen.layers != disc.layers {
		list = append(list, encoders[gen.Kind].weights(gen.layers, gen.EncoderConfig)...)
	}
	if c.Objective != ObjectiveMLM {
		list = append(list, discriminatorHeadWeights(disc.EncoderConfig)...)
	}
	return append(list, generatorHeadWeights(c, gen.EncoderConfig)...)
}

func linearWeights(name string, out, in int, init Initializer) []Weight {
	return []Weight{{name + ".weight", []int{out, in}, init}, {name + ".bias", []int{out}, InitZeros}}
}

func layerNormWeights(name string, width int) []Weight {
	return []Weight{{name + ".weight", []int{width}, InitOnes}, {name + ".bias", []int{width}, InitZeros}}
}
