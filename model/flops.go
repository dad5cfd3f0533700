package model

import "strings"

// Operations an element, for what is no product, as the official flops_computation.py counts them.
const (
	dropoutFLOPs    = 4
	normFLOPs       = 5
	softmaxFLOPs    = 5
	activationFLOPs = 8
)

// FLOPs counts the useful floating-point operations of one training step on one example of S tokens with
// masked slots in use. It is the official code's count, by which published speeds are compared, without what
// an implementation need not do: words are looked up (the official count multiplies one-hots; it does so with
// positions and token types here too, 0.6 % at S=512), and the vocabulary is decoded at the masked slots
// only. A gradient costs twice its forward pass.
func (c *Config) FLOPs(S, masked int) float64 {
	s, n := float64(S), float64(masked)
	gen, disc := c.GeneratorEncoder(), c.DiscriminatorEncoder()
	forward := c.embeddingFLOPs(s, gen) + gen.flops(s) + n*c.vocabularyFLOPs(gen)
	if c.Objective != ObjectiveMLM {
		forward += c.embeddingFLOPs(s, disc) + disc.flops(s) + s*disc.detectionFLOPs()
	}
	return 3 * forward
}

// embeddingFLOPs are those of one encoder's input: positions, token types, sums, LayerNorm and dropout.
func (c *Config) embeddingFLOPs(s float64, e EncoderConfig) float64 {
	each := 2.0*2 + 1 + normFLOPs + dropoutFLOPs
	if e.traits().positions {
		each += 2*s + 1
	}
	return s * float64(c.EmbeddingSize) * each
}

// vocabularyFLOPs are those of the generator's head at one masked slot.
func (c *Config) vocabularyFLOPs(gen EncoderConfig) float64 {
	e, h, v := float64(c.EmbeddingSize), float64(gen.HiddenSize), float64(c.VocabSize)
	return 2*e*(h+v) + e*(1+activationFLOPs+normFLOPs) + v*(softmaxFLOPs+2)
}

// detectionFLOPs are those of the discriminator's head at one token; the loss of a token takes six.
func (e EncoderConfig) detectionFLOPs() float64 {
	h := float64(e.HiddenSize)
	return 2*h*(h+1) + h*(1+activationFLOPs) + 6
}

// flops of one encoder's layers, and of the projection before them, over s tokens.
func (e EncoderConfig) flops(s float64) float64 {
	total := float64(e.Layers*e.InnerGroupNum) * s * e.layerFLOPs(s)
	if e.EmbeddingSize != e.HiddenSize || e.traits().alwaysProjects {
		total += s * float64(e.HiddenSize) * float64(2*e.EmbeddingSize+1)
	}
	return total
}

// layerFLOPs are those of one layer at one token. What is no product is counted as in BERT: others differ there
// by less than a thousandth of the whole (modern: rotations and gates in place of biases).
func (e EncoderConfig) layerFLOPs(s float64) float64 {
	h, f := float64(e.HiddenSize), float64(e.IntermediateSize)
	feedForward := 2 * h * f * float64(e.traits().forwardMatrices)
	products := 8*h*h + 4*s*h + feedForward // query, key, value and output; scores and their means
	scores := float64(e.Heads) * s * (1 + softmaxFLOPs + dropoutFLOPs)
	sublayers := 2 * h * (1 + dropoutFLOPs + 1 + normFLOPs) // bias, dropout, sum, LayerNorm
	return products + scores + sublayers + 3*h + f*(1+activationFLOPs)
}

// Parameters are numbers of trained weights. Discriminator counts the embeddings, which the generator shares.
type Parameters struct {
	Embeddings    int `json:"embeddings"`
	Discriminator int `json:"discriminator"` // embeddings, projection and layers
	Generator     int `json:"generator"`     // projection and layers, and what embeddings it has of its own
	Heads         int `json:"heads"`         // of both
	Total         int `json:"total"`         // discriminator, generator and heads
}

// Parameters counts the weights by part; shared ones count once.
func (c *Config) Parameters() Parameters {
	var p Parameters
	for _, w := range c.Weights() {
		switch {
		case strings.HasPrefix(w.Name, discriminatorPrefix):
			p.Discriminator += w.Size()
			if strings.HasPrefix(w.Name, discriminatorPrefix+"embeddings.") {
				p.Embeddings += w.Size()
			}
		case strings.HasPrefix(w.Name, generatorPrefix):
			p.Generator += w.Size()
		default:
			p.Heads += w.Size()
		}
		p.Total += w.Size()
	}
	return p
}

// ParameterCount is the number of distinct trained numbers.
func (c *Config) ParameterCount() int { return c.Parameters().Total }
