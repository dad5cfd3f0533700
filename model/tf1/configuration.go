package tf1

import (
	"fmt"

	"elektron/internal/fault"
	"elektron/model"
)

// headSize is the width of an attention head in the official models.
const headSize = 64

// configuration works the model's configuration out from the shapes of its variables: a checkpoint of
// TensorFlow 1 has no file that says it. What shapes do not tell are the official values.
func (b *bundle) configuration() (model.Config, error) {
	c, _ := model.Preset("small") // activation, epsilon, dropout and initial weights are those of every size
	s := shapes{bundle: b}
	c.VocabSize, c.EmbeddingSize = s.matrix(discriminatorScope + "embeddings/word_embeddings")
	c.MaxPositions, _ = s.matrix(discriminatorScope + "embeddings/position_embeddings")
	c.TokenTypes, _ = s.matrix(discriminatorScope + "embeddings/token_type_embeddings")
	c.HiddenSize, c.IntermediateSize, c.Layers = s.encoder(discriminatorScope)
	c.Heads = heads(c.HiddenSize)
	switch {
	case s.has(generatorScope + "encoder/layer_0/attention/self/query/kernel"):
		g := &c.Generator
		g.HiddenSize, g.IntermediateSize, g.Layers = s.encoder(generatorScope)
		g.Size, g.Heads = float64(g.HiddenSize)/float64(max(1, c.HiddenSize)), heads(g.HiddenSize)
		if untied := generatorScope + "embeddings/word_embeddings"; s.has(untied) {
			c.Sharing = model.SharingNone
			if _, width := s.matrix(untied); s.err == nil && width != c.EmbeddingSize {
				s.err = fmt.Errorf("the generator's embeddings have width %d and the discriminator's %d; elektron's have one width", width, c.EmbeddingSize)
			}
		}
	case !s.has(generatorHead + "dense/kernel"): // no generator: elektron's default one
	case s.has(discriminatorHead + "dense/kernel"):
		c.Sharing = model.SharingAll
	default:
		c.Objective = model.ObjectiveMLM
	}
	if s.err != nil {
		return c, fault.New(fault.Data, "tf1: %s: %w", indexFile(b.prefix), s.err)
	}
	return c, nil
}

// heads is what the official code makes of a width; 0 where it makes none of it.
func heads(hidden int) int {
	if hidden%headSize != 0 {
		return 0
	}
	return hidden / headSize
}

// shapes reads sizes off variables and keeps the first error.
type shapes struct {
	*bundle
	err error
}

func (s *shapes) has(name string) bool {
	_, ok := s.variables[name]
	return ok
}

// matrix is the shape of a variable that must have two axes.
func (s *shapes) matrix(name string) (rows, columns int) {
	v, ok := s.variables[name]
	switch {
	case s.err != nil:
	case !ok:
		s.err = fmt.Errorf("it has no variable %s: this is no checkpoint of google-research/electra", name)
	case len(v.shape) != 2 || v.dtype != float32Type || v.size == 0:
		s.err = fmt.Errorf("variable %s is %s of shape %v, expected a matrix of %s", name, v.dtype, v.shape, float32Type)
	default:
		return v.shape[0], v.shape[1]
	}
	return 0, 0
}

// encoder is the size of the encoder in a scope.
func (s *shapes) encoder(scope string) (hidden, intermediate, layers int) {
	layer := func(i int, rest string) string { return fmt.Sprintf("%sencoder/layer_%d/%s", scope, i, rest) }
	hidden, _ = s.matrix(layer(0, "attention/self/query/kernel"))
	_, intermediate = s.matrix(layer(0, "intermediate/dense/kernel"))
	for s.has(layer(layers, "attention/self/query/kernel")) {
		layers++
	}
	return hidden, intermediate, layers
}
