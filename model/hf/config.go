// Package hf speaks Hugging Face's folder layout: config.json and model.safetensors of ELECTRA.
package hf

import (
	"encoding/json"
	"os"
	"path/filepath"

	"elektron/internal/fault"
	"elektron/model"
)

// folderConfig is the part of an ELECTRA config.json that shapes the model.
type folderConfig struct {
	ModelType             string  `json:"model_type"`
	VocabSize             int     `json:"vocab_size"`
	EmbeddingSize         int     `json:"embedding_size"`
	HiddenSize            int     `json:"hidden_size"`
	NumHiddenLayers       int     `json:"num_hidden_layers"`
	NumAttentionHeads     int     `json:"num_attention_heads"`
	IntermediateSize      int     `json:"intermediate_size"`
	HiddenAct             string  `json:"hidden_act"`
	HiddenDropout         float64 `json:"hidden_dropout_prob"`
	AttentionDropout      float64 `json:"attention_probs_dropout_prob"`
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	TypeVocabSize         int     `json:"type_vocab_size"`
	LayerNormEps          float64 `json:"layer_norm_eps"`
}

func readConfig(folder string) (folderConfig, error) {
	c := folderConfig{HiddenAct: "gelu", LayerNormEps: 1e-12, MaxPositionEmbeddings: 512, TypeVocabSize: 2}
	path := filepath.Join(folder, "config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fault.Wrap(fault.Storage, err, "hf: no model folder")
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fault.New(fault.Data, "hf: %s: %w", path, err)
	}
	if c.ModelType != "electra" {
		return c, fault.New(fault.Data, "hf: %s: model_type is %q; expected electra", path, c.ModelType)
	}
	return c, nil
}

// pairConfig joins the configurations of a discriminator and its generator.
func pairConfig(disc, gen folderConfig) (model.Config, error) {
	c, _ := model.Preset("small")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize = disc.VocabSize, disc.EmbeddingSize, disc.HiddenSize
	c.Layers, c.Heads, c.IntermediateSize = disc.NumHiddenLayers, disc.NumAttentionHeads, disc.IntermediateSize
	c.MaxPositions, c.TokenTypes, c.LayerNormEpsilon = disc.MaxPositionEmbeddings, disc.TypeVocabSize, disc.LayerNormEps
	c.Activation, c.HiddenDropout, c.AttentionDropout = disc.HiddenAct, disc.HiddenDropout, disc.AttentionDropout
	c.Generator = model.Generator{Size: float64(gen.HiddenSize) / float64(disc.HiddenSize), HiddenSize: gen.HiddenSize,
		Layers: gen.NumHiddenLayers, Heads: gen.NumAttentionHeads, IntermediateSize: gen.IntermediateSize}
	if gen.VocabSize != disc.VocabSize || gen.EmbeddingSize != disc.EmbeddingSize {
		return c, fault.New(fault.Data, "hf: generator and discriminator do not belong together: vocabulary %d and %d, embedding %d and %d",
			gen.VocabSize, disc.VocabSize, gen.EmbeddingSize, disc.EmbeddingSize)
	}
	return c, c.Validate()
}
