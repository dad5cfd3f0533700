// Package model builds ELECTRA's computation: two encoders (generator and discriminator) over one
// embedding, their heads, and the pre-training task that joins them. It holds GoMLX graphs and the
// configuration of their shapes, and does no I/O.
//
// A model is a list of named parameters (Config.Weights) and pure graph-building functions that take
// them from a Context. Nothing is stored: weights come in, outputs go out, randomness is a function of
// (seed, step, site, index). Graph-building functions panic on misuse, as GoMLX's do; the trainer turns
// that into an error at one place.
package model

import (
	"fmt"
	"slices"
	"strings"

	"elektron/internal/fault"
)

// Config is the shape of an ELECTRA model and of its training objective. Sizes are in units of elements.
// Sources: ELECTRA (Clark et al., 2020), tables 6 and 7, and the official configuration.
type Config struct {
	Encoder          string    `yaml:"encoder" doc:"encoder architecture: bert, albert (layers share their weights), modern (pre-norm, rotary positions, gated feed-forward)"`
	VocabSize        int       `yaml:"vocab_size" doc:"entries of the word table; 0 takes the vocabulary's size"`
	EmbeddingSize    int       `yaml:"embedding_size" doc:"width E of the word, position and token-type tables"`
	HiddenSize       int       `yaml:"hidden_size" doc:"width H of the discriminator"`
	Layers           int       `yaml:"layers" doc:"layers of the discriminator"`
	Heads            int       `yaml:"heads" doc:"attention heads of the discriminator; must divide hidden_size"`
	IntermediateSize int       `yaml:"intermediate_size" doc:"width of the discriminator's feed-forward layer; modern: behind the gate"`
	MaxPositions     int       `yaml:"max_positions" doc:"entries of the position table: the longest sequence"`
	TokenTypes       int       `yaml:"token_types" doc:"entries of the token-type table: the segments of an example"`
	HiddenGroups     int       `yaml:"num_hidden_groups" doc:"albert: groups of layers; those of a group share their weights; must divide layers"`
	InnerGroupNum    int       `yaml:"inner_group_num" doc:"albert: layers with weights of their own that one shared layer consists of"`
	Activation       string    `yaml:"activation" doc:"of feed-forward layers and heads: gelu (erf), gelu_new (tanh); empty takes the encoder's: gelu_new for albert, else gelu"`
	LayerNormEpsilon float64   `yaml:"layer_norm_epsilon" doc:"added to the variance in LayerNorm"`
	InitializerRange float64   `yaml:"initializer_range" doc:"standard deviation of the initial weights"`
	HiddenDropout    float64   `yaml:"hidden_dropout" doc:"dropout after embeddings and sublayers"`
	AttentionDropout float64   `yaml:"attention_dropout" doc:"dropout of attention probabilities"`
	Generator        Generator `yaml:"generator"`

	Objective         string `yaml:"objective" doc:"electra (replaced-token detection), or mlm (BERT: the masked language model of the full-size encoder alone)"`
	Sharing           string `yaml:"sharing" doc:"what generator and discriminator share: embeddings, none, all (also the layers; the generator then has the discriminator's size), gdes (the generator's tables without their gradient, plus the discriminator's own residual)"`
	Sampling          string `yaml:"sampling" doc:"how replacements are drawn: multinomial (from the generator), argmax (its likeliest token), uniform (from the whole vocabulary)"`
	DisallowCorrect   bool   `yaml:"disallow_correct" doc:"never draw the original token"`
	CorrectIsReplaced bool   `yaml:"correct_is_replaced" doc:"count every masked token as replaced, also where the guess is right"`

	GeneratorWeight     float64 `yaml:"generator_weight" doc:"weight of the masked-language-model loss in the total"`
	DiscriminatorWeight float64 `yaml:"discriminator_weight" doc:"weight of the replaced-token-detection loss in the total"`
	Temperature         float64 `yaml:"temperature" doc:"softmax temperature of the generator's sampling"`
}

// Generator is the size of the generator relative to the discriminator. A positive absolute value wins
// over the fraction.
type Generator struct {
	Encoder          string  `yaml:"encoder" doc:"encoder architecture; empty takes the discriminator's"`
	Size             float64 `yaml:"size" doc:"fraction of the discriminator's width, heads and feed-forward width"`
	HiddenSize       int     `yaml:"hidden_size" doc:"width; 0 takes size times hidden_size"`
	Layers           int     `yaml:"layers" doc:"layers; 0 takes the discriminator's"`
	Heads            int     `yaml:"heads" doc:"attention heads; 0 takes size times heads, at least 1"`
	IntermediateSize int     `yaml:"intermediate_size" doc:"feed-forward width; 0 takes size times intermediate_size"`
}

// EncoderConfig is the shape of one encoder.
type EncoderConfig struct {
	Kind                            string
	EmbeddingSize, HiddenSize       int
	Layers, Heads, IntermediateSize int
	HiddenGroups, InnerGroupNum     int // at least 1
	Activation                      string
	LayerNormEpsilon                float64
	HiddenDropout, AttentionDropout float64
}

// DiscriminatorEncoder is the discriminator's encoder.
func (c *Config) DiscriminatorEncoder() EncoderConfig {
	return EncoderConfig{
		Kind: c.Encoder, EmbeddingSize: c.EmbeddingSize, HiddenSize: c.HiddenSize,
		Layers: c.Layers, Heads: c.Heads, IntermediateSize: c.IntermediateSize,
		HiddenGroups: max(1, c.HiddenGroups), InnerGroupNum: max(1, c.InnerGroupNum), Activation: c.activation(c.Encoder),
		LayerNormEpsilon: c.LayerNormEpsilon, HiddenDropout: c.HiddenDropout, AttentionDropout: c.AttentionDropout,
	}
}

func (c *Config) activation(encoder string) string {
	switch e, known := encoders[encoder]; {
	case c.Activation != "":
		return c.Activation
	case known:
		return e.traits().activation
	}
	return "gelu" // Validate refuses the encoder
}

// GeneratorEncoder is the generator's encoder: the discriminator's, scaled (official run_pretraining.py:
// width, feed-forward width and heads are multiplied, the depth is not), or the discriminator's itself where
// both are one.
func (c *Config) GeneratorEncoder() EncoderConfig {
	e := c.DiscriminatorEncoder()
	if c.generatorIsMain() {
		return e
	}
	if c.Generator.Encoder != "" {
		e.Kind, e.Activation = c.Generator.Encoder, c.activation(c.Generator.Encoder)
	}
	scaled := func(absolute, base int) int {
		if absolute > 0 {
			return absolute
		}
		return max(1, int(float64(base)*c.Generator.Size+0.5))
	}
	e.HiddenSize = scaled(c.Generator.HiddenSize, c.HiddenSize)
	e.IntermediateSize = scaled(c.Generator.IntermediateSize, c.IntermediateSize)
	e.Heads = scaled(c.Generator.Heads, c.Heads)
	if c.Generator.Layers > 0 {
		e.Layers = c.Generator.Layers
	}
	return e
}

// HeadSize is the width D of one attention head.
func (e EncoderConfig) HeadSize() int { return e.HiddenSize / e.Heads }

// Validate reports everything that is wrong with the configuration, as one error of kind fault.Usage.
func (c *Config) Validate() error {
	var wrong []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	_, known := encoders[c.Encoder]
	check(known, "model.encoder is %q; known: %s", c.Encoder, strings.Join(EncoderNames(), ", "))
	_, known = encoders[c.GeneratorEncoder().Kind]
	check(known, "model.generator.encoder is %q; known: %s", c.Generator.Encoder, strings.Join(EncoderNames(), ", "))
	oneOf := func(key, value string, known ...string) {
		check(slices.Contains(known, value), "model.%s is %q; known: %s", key, value, strings.Join(known, ", "))
	}
	oneOf("objective", c.Objective, ObjectiveELECTRA, ObjectiveMLM)
	oneOf("sharing", c.Sharing, sharings...)
	oneOf("sampling", c.Sampling, samplings...)
	check(c.Objective != ObjectiveMLM || c.Sharing == SharingEmbeddings, "model.sharing is %q, but with model.objective mlm there is one encoder and nothing to share", c.Sharing)
	_, known = activations[c.activation(c.Encoder)]
	check(known, "model.activation is %q; known: %s", c.Activation, strings.Join(ActivationNames(), ", "))
	check(c.HiddenGroups >= 0 && c.InnerGroupNum >= 0, "model.num_hidden_groups is %d and model.inner_group_num %d; they must not be negative", c.HiddenGroups, c.InnerGroupNum)
	for _, f := range []struct {
		key   string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"embedding_size", c.EmbeddingSize}, {"hidden_size", c.HiddenSize}, {"layers", c.Layers},
		{"heads", c.Heads}, {"intermediate_size", c.IntermediateSize}, {"max_positions", c.MaxPositions}, {"token_types", c.TokenTypes},
	} {
		check(f.value > 0, "model.%s is %d; it must be positive", f.key, f.value)
	}
	check(c.LayerNormEpsilon > 0, "model.layer_norm_epsilon is %g; it must be positive", c.LayerNormEpsilon)
	check(c.InitializerRange > 0, "model.initializer_range is %g; it must be positive", c.InitializerRange)
	check(c.Temperature > 0, "model.temperature is %g; it must be positive", c.Temperature)
	check(c.GeneratorWeight >= 0 && c.DiscriminatorWeight >= 0, "model.generator_weight and model.discriminator_weight must not be negative")
	check(inUnit(c.HiddenDropout) && inUnit(c.AttentionDropout), "model.hidden_dropout and model.attention_dropout must be in [0, 1)")
	check(c.Generator.Size > 0 || c.Generator.HiddenSize > 0, "model.generator.size is %g; it must be positive", c.Generator.Size)
	if len(wrong) == 0 {
		c.validateHeads(check)
	}
	if len(wrong) > 0 {
		return fault.New(fault.Usage, "model: %s", strings.Join(wrong, "; "))
	}
	return nil
}

func (c *Config) validateHeads(check func(bool, string, ...any)) {
	d, g := c.DiscriminatorEncoder(), c.GeneratorEncoder()
	check(d.Layers%d.HiddenGroups == 0 && g.Layers%g.HiddenGroups == 0,
		"model.num_hidden_groups is %d and does not divide the discriminator's %d and the generator's %d layers", d.HiddenGroups, d.Layers, g.Layers)
	check(d.HiddenSize%d.Heads == 0, "model.heads is %d and does not divide model.hidden_size %d", d.Heads, d.HiddenSize)
	check(g.HiddenSize%g.Heads == 0, "the generator's %d heads do not divide its hidden size %d; set model.generator.heads", g.Heads, g.HiddenSize)
	for _, e := range []EncoderConfig{d, g} {
		check(!e.traits().evenHeadSize || e.HeadSize()%2 == 0,
			"%d heads of hidden size %d are %d wide; the %s encoder needs an even width", e.Heads, e.HiddenSize, e.HeadSize(), e.Kind)
	}
}

func inUnit(rate float64) bool { return rate >= 0 && rate < 1 }
