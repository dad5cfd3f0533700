// Package hf speaks Hugging Face's folder layout: config.json and model.safetensors of ELECTRA and ALBERT,
// a folder each for discriminator and generator.
package hf

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"elektron/internal/fault"
	"elektron/model"
)

const (
	configName  = "config.json"
	weightsName = "model.safetensors"
	maxConfig   = 1 << 20 // bytes; anything larger is no config.json
	maxLayers   = 1000    // no model is deeper; bounds what a forged config.json can ask for
)

// folderConfig is the part of config.json that shapes the model, and what transformers wants to see
// beside it.
type folderConfig struct {
	Architectures         []string `json:"architectures"`
	ModelType             string   `json:"model_type"`
	VocabSize             int      `json:"vocab_size"`
	EmbeddingSize         int      `json:"embedding_size"`
	HiddenSize            int      `json:"hidden_size"`
	NumHiddenLayers       int      `json:"num_hidden_layers"`
	NumHiddenGroups       int      `json:"num_hidden_groups,omitempty"` // ALBERT
	InnerGroupNum         int      `json:"inner_group_num,omitempty"`   // ALBERT
	NumAttentionHeads     int      `json:"num_attention_heads"`
	IntermediateSize      int      `json:"intermediate_size"`
	HiddenAct             string   `json:"hidden_act"`
	HiddenDropout         decimal  `json:"hidden_dropout_prob"`
	AttentionDropout      decimal  `json:"attention_probs_dropout_prob"`
	MaxPositionEmbeddings int      `json:"max_position_embeddings"`
	PositionEmbeddingType string   `json:"position_embedding_type"`
	TypeVocabSize         int      `json:"type_vocab_size"`
	InitializerRange      decimal  `json:"initializer_range"`
	LayerNormEps          decimal  `json:"layer_norm_eps"`
	PadTokenID            int      `json:"pad_token_id"`
	TieWordEmbeddings     bool     `json:"tie_word_embeddings"`
}

// decimal is a number that is written with a point even where it is whole: transformers checks the types.
type decimal float64

func (d decimal) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(d), 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return []byte(text), nil
}

// encoders maps model_type to the encoder's name here.
var encoders = map[string]string{"electra": "bert", "albert": "albert"}

// activations maps hidden_act to the activation's name here.
var activations = map[string]string{"gelu": "gelu", "gelu_new": "gelu_new", "gelu_pytorch_tanh": "gelu_new"}

// defaultActivations are the values of hidden_act where config.json does not have it.
var defaultActivations = map[string]string{"electra": "gelu", "albert": "gelu_new"}

// readConfig reads a folder's config.json. Values that it leaves out are those of transformers.
func readConfig(folder string) (folderConfig, error) {
	c := folderConfig{NumHiddenGroups: 1, InnerGroupNum: 1, MaxPositionEmbeddings: 512, PositionEmbeddingType: "absolute",
		TypeVocabSize: 2, InitializerRange: 0.02, LayerNormEps: 1e-12}
	path := filepath.Join(folder, configName)
	file, err := os.Open(path)
	if err != nil {
		return c, fault.Wrap(fault.Storage, err, "hf: %s is no model folder", folder)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return c, fault.Wrap(fault.Storage, err, "hf")
	}
	if len(text) > maxConfig {
		return c, fault.New(fault.Data, "hf: %s: larger than %d bytes, so no configuration of a model", path, maxConfig)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fault.New(fault.Data, "hf: %s: %w", path, err)
	}
	if c.HiddenAct == "" {
		c.HiddenAct = defaultActivations[c.ModelType]
	}
	return c, fault.Wrap(fault.Data, c.check(), "hf: %s", path)
}

// check refuses what elektron's encoders are not.
func (c *folderConfig) check() error {
	switch {
	case encoders[c.ModelType] == "":
		return fmt.Errorf("model_type is %.80q; elektron reads electra and albert", c.ModelType)
	case activations[c.HiddenAct] == "":
		return fmt.Errorf("hidden_act is %.80q; known: gelu, gelu_new", c.HiddenAct)
	case c.PositionEmbeddingType != "absolute":
		return fmt.Errorf("position_embedding_type is %.80q; only absolute positions are known", c.PositionEmbeddingType)
	case c.notPositive() != "":
		return fmt.Errorf("%s; it must be positive", c.notPositive())
	case c.NumHiddenLayers > maxLayers || c.NumHiddenGroups > maxLayers || c.InnerGroupNum > maxLayers:
		return fmt.Errorf("num_hidden_layers is %d, num_hidden_groups %d, inner_group_num %d; no model has more than %d", c.NumHiddenLayers, c.NumHiddenGroups, c.InnerGroupNum, maxLayers)
	}
	return nil
}

// notPositive says which size is not positive, the first one.
func (c *folderConfig) notPositive() string {
	for _, size := range []struct {
		key   string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"embedding_size", c.EmbeddingSize}, {"hidden_size", c.HiddenSize}, {"num_hidden_layers", c.NumHiddenLayers},
		{"num_hidden_groups", c.NumHiddenGroups}, {"inner_group_num", c.InnerGroupNum}, {"num_attention_heads", c.NumAttentionHeads},
		{"intermediate_size", c.IntermediateSize}, {"max_position_embeddings", c.MaxPositionEmbeddings}, {"type_vocab_size", c.TypeVocabSize},
	} {
		if size.value <= 0 {
			return fmt.Sprintf("%s is %d", size.key, size.value)
		}
	}
	return ""
}

// single is the configuration of a discriminator whose generator is not known: the generator has a quarter
// of its width.
func (c *folderConfig) single() model.Config {
	m, _ := model.Preset("small")
	m.Encoder, m.VocabSize, m.EmbeddingSize, m.HiddenSize = encoders[c.ModelType], c.VocabSize, c.EmbeddingSize, c.HiddenSize
	m.Layers, m.Heads, m.IntermediateSize = c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize
	m.HiddenGroups, m.InnerGroupNum, m.Activation = c.NumHiddenGroups, c.InnerGroupNum, activations[c.HiddenAct]
	m.MaxPositions, m.TokenTypes, m.LayerNormEpsilon = c.MaxPositionEmbeddings, c.TypeVocabSize, float64(c.LayerNormEps)
	m.HiddenDropout, m.AttentionDropout, m.InitializerRange = float64(c.HiddenDropout), float64(c.AttentionDropout), float64(c.InitializerRange)
	m.Generator = model.Generator{Size: 0.25}
	return m
}

// pair joins the configurations of a discriminator and its generator, which share all but the generator's
// size and encoder. What they share of their weights is not said in them.
func pair(disc, gen *folderConfig) (model.Config, error) {
	c := disc.single()
	c.Generator = model.Generator{Size: float64(gen.HiddenSize) / float64(max(1, disc.HiddenSize)), HiddenSize: gen.HiddenSize,
		Layers: gen.NumHiddenLayers, Heads: gen.NumAttentionHeads, IntermediateSize: gen.IntermediateSize}
	shared := []sharedKey{
		{"vocab_size", disc.VocabSize, gen.VocabSize}, {"embedding_size", disc.EmbeddingSize, gen.EmbeddingSize},
		{"max_position_embeddings", disc.MaxPositionEmbeddings, gen.MaxPositionEmbeddings},
		{"type_vocab_size", disc.TypeVocabSize, gen.TypeVocabSize}, {"layer_norm_eps", disc.LayerNormEps, gen.LayerNormEps},
	}
	if disc.ModelType == gen.ModelType {
		shared = append(shared, sharedKey{"num_hidden_groups", disc.NumHiddenGroups, gen.NumHiddenGroups}, sharedKey{"inner_group_num", disc.InnerGroupNum, gen.InnerGroupNum})
	} else {
		c.Generator.Encoder = encoders[gen.ModelType]
		c.HiddenGroups, c.InnerGroupNum = max(disc.NumHiddenGroups, gen.NumHiddenGroups), max(disc.InnerGroupNum, gen.InnerGroupNum) // those of the one on ALBERT
	}
	if disc.hasDefaultActivation() && gen.hasDefaultActivation() {
		c.Activation = "" // of each its encoder's
	} else {
		shared = append(shared, sharedKey{"hidden_act", activations[disc.HiddenAct], activations[gen.HiddenAct]})
	}
	var differ []string
	for _, key := range shared {
		if key.disc != key.gen {
			differ = append(differ, fmt.Sprintf("%s is %v and %v", key.name, key.disc, key.gen))
		}
	}
	if len(differ) > 0 {
		return c, fault.New(fault.Data, "hf: discriminator and generator do not belong together: %s", strings.Join(differ, "; "))
	}
	return c, nil
}

// sharedKey is a key that both config.json must have in common.
type sharedKey struct {
	name      string
	disc, gen any
}

func (c *folderConfig) hasDefaultActivation() bool {
	return activations[c.HiddenAct] == activations[defaultActivations[c.ModelType]]
}

// architectures are transformers' classes for a folder, by model_type. It has none for a discriminator on
// ALBERT: there the encoder loads and the head is left over.
var architectures = map[string]map[side]string{
	"electra": {discriminator: "ElectraForPreTraining", generator: "ElectraForMaskedLM"},
	"albert":  {discriminator: "AlbertModel", generator: "AlbertForMaskedLM"},
}

// Architecture is transformers' class for the folder "discriminator" or "generator" with an encoder of
// elektron, "" where it has none.
func Architecture(encoder, folder string) string {
	return architectures[modelType(encoder)][side(folder+".")]
}

// modelType is transformers' name of an encoder, "" where it has none.
func modelType(encoder string) string {
	for name, known := range encoders {
		if known == encoder {
			return name
		}
	}
	return ""
}

// newFolderConfig is one side's config.json. An encoder that transformers does not have is an error of kind
// fault.Usage.
func newFolderConfig(c *model.Config, s side, padID int) (folderConfig, error) {
	e := c.DiscriminatorEncoder()
	if s == generator {
		e = c.GeneratorEncoder()
	}
	f := folderConfig{VocabSize: c.VocabSize, EmbeddingSize: e.EmbeddingSize, HiddenSize: e.HiddenSize, NumHiddenLayers: e.Layers,
		NumAttentionHeads: e.Heads, IntermediateSize: e.IntermediateSize, HiddenAct: e.Activation, HiddenDropout: decimal(e.HiddenDropout),
		AttentionDropout: decimal(e.AttentionDropout), MaxPositionEmbeddings: c.MaxPositions, PositionEmbeddingType: "absolute",
		TypeVocabSize: c.TokenTypes, InitializerRange: decimal(c.InitializerRange), LayerNormEps: decimal(e.LayerNormEpsilon),
		PadTokenID: padID, TieWordEmbeddings: true}
	f.ModelType = modelType(e.Kind)
	f.Architectures = []string{architectures[f.ModelType][s]}
	if f.ModelType == "" {
		return f, fault.New(fault.Usage, "hf: transformers has no %s encoder, so nothing could load it; only bert and albert can be exported", e.Kind)
	}
	if f.ModelType == "albert" {
		f.NumHiddenGroups, f.InnerGroupNum = e.HiddenGroups, e.InnerGroupNum
	}
	return f, nil
}
