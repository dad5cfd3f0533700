package hf

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"elektron/internal/fault"
	"elektron/model"
	"elektron/model/hf/safetensors"
)

// WriteDiscriminator writes config.json and model.safetensors of the discriminator into a folder, made if
// need be. weights are by elektron's names, row-major; padID is the vocabulary's.
func WriteDiscriminator(folder string, c *model.Config, weights map[string][]float32, padID int) error {
	return write(folder, discriminator, c, weights, padID)
}

// WriteGenerator writes the generator, with a copy of the embeddings that it shares with the discriminator.
func WriteGenerator(folder string, c *model.Config, weights map[string][]float32, padID int) error {
	return write(folder, generator, c, weights, padID)
}

func write(folder string, s side, c *model.Config, weights map[string][]float32, padID int) error {
	config, err := newFolderConfig(c, s, padID)
	if err != nil {
		return err
	}
	file := &safetensors.File{Metadata: map[string]string{"format": "pt"}} // transformers asks for it
	for _, w := range sideWeights(c, s) {
		values := weights[w.Name]
		if len(values) != w.Size() {
			return fault.New(fault.Data, "hf: weight %s has %d numbers; expected %v", w.Name, len(values), w.Shape)
		}
		name := tensorNames(config.ModelType, strings.TrimPrefix(w.Name, string(sideOf(w.Name))))[0]
		file.Tensors = append(file.Tensors, safetensors.FromFloat32s(name, w.Shape, values))
	}
	slices.SortFunc(file.Tensors, func(a, b safetensors.Tensor) int { return cmp.Compare(a.Name, b.Name) })
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fault.Wrap(fault.Storage, err, "hf")
	}
	if err := safetensors.Write(filepath.Join(folder, weightsName), file); err != nil {
		return err
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Internal, err, "hf")
	}
	path := filepath.Join(folder, configName)
	return fault.Wrap(fault.Storage, renameio.WriteFile(path, append(text, '\n'), 0o644), "hf: writing %s", path)
}

// sideWeights are the weights of one side's folder: its own, and what it shares.
func sideWeights(c *model.Config, s side) []model.Weight {
	var list []model.Weight
	own := map[string]bool{}
	for _, w := range c.Weights() {
		if sideOf(w.Name) == s {
			list = append(list, w)
			own[strings.TrimPrefix(w.Name, string(s))] = true
		}
	}
	for _, w := range c.Weights() {
		name := strings.TrimPrefix(w.Name, string(discriminator))
		if sideOf(w.Name) != s && strings.HasPrefix(name, embeddings) && !own[name] {
			list = append(list, w)
		}
	}
	return list
}
