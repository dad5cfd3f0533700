// Axes: V vocabulary, E embedding.
package model

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// What generator and discriminator share.
const (
	SharingEmbeddings = "embeddings" // tables and their LayerNorm (ELECTRA, section 3.2)
	SharingNone       = "none"
	SharingAll        = "all"  // the layers too; the generator is as large as the discriminator
	SharingGDES       = "gdes" // gradient-disentangled embedding sharing (DeBERTaV3, section 3.3)
)

var sharings = []string{SharingEmbeddings, SharingNone, SharingAll, SharingGDES}

// tower is one of the task's two encoders and says under which names its weights lie; sharing is two towers
// with names in common.
type tower struct {
	EncoderConfig
	layers   string // prefix of the weights of the layers
	tables   string // prefix of the embeddings
	residual string // prefix of tables that are added to those, and of a LayerNorm of its own; "" for none
	site     string // begins the names of its sites of randomness
}

func (c *Config) discriminator() tower {
	t := tower{EncoderConfig: c.DiscriminatorEncoder(), layers: discriminatorPrefix, tables: discriminatorPrefix}
	if c.Sharing == SharingGDES {
		t.tables, t.residual = generatorPrefix, discriminatorPrefix
	}
	return t
}

func (c *Config) generator() tower {
	t := tower{EncoderConfig: c.GeneratorEncoder(), layers: generatorPrefix, tables: discriminatorPrefix}
	switch {
	case c.generatorIsMain():
		t.layers, t.site = discriminatorPrefix, generatorPrefix
	case c.Sharing == SharingNone, c.Sharing == SharingGDES:
		t.tables = generatorPrefix
	}
	return t
}

// generatorIsMain tells whether the generator runs the main encoder: where all is shared, and where there is
// nothing but a masked language model.
func (c *Config) generatorIsMain() bool {
	return c.Sharing == SharingAll || c.Objective == ObjectiveMLM
}

// lookup reads a table of the tower's embeddings; read is linear in it. With a residual, no gradient flows to
// the generator's table: E_D = sg(E_G) + E_Δ (DeBERTaV3, equation 4).
func (t tower) lookup(ctx *Context, name string, read func(table *Node) *Node) *Node {
	values := read(ctx.weight(t.tables + name + tableSuffix))
	if t.residual == "" {
		return values
	}
	return Add(StopGradient(values), read(ctx.weight(t.residual+name+residualSuffix)))
}

// norm is the prefix of the embeddings' LayerNorm.
func (t tower) norm() string {
	if t.residual != "" {
		return t.residual + nameEmbedNorm
	}
	return t.tables + nameEmbedNorm
}
