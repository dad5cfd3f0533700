package hf

import (
	"path/filepath"
	"slices"

	"elektron/internal/fault"
	"elektron/model"
	"elektron/model/hf/safetensors"
)

// Read loads a discriminator folder and its generator's: the configuration and the weights by elektron's
// names, row-major. Embeddings are taken from the discriminator. Errors have kind fault.Data and name the
// tensor, what was expected and what was found.
func Read(discriminator, generator string) (model.Config, map[string][]float32, error) {
	disc, err := readConfig(discriminator)
	if err != nil {
		return model.Config{}, nil, err
	}
	gen, err := readConfig(generator)
	if err != nil {
		return model.Config{}, nil, err
	}
	config, err := pairConfig(disc, gen)
	if err != nil {
		return config, nil, err
	}
	found := map[string]safetensors.Tensor{}
	for side, folder := range map[string]string{"discriminator.": discriminator, "generator.": generator} {
		file, err := safetensors.Read(filepath.Join(folder, "model.safetensors"))
		if err != nil {
			return config, nil, err
		}
		for _, t := range file.Tensors {
			found[side+t.Name] = t
		}
	}
	weights, err := pick(config.Weights(), found)
	return config, weights, err
}

func pick(wanted []model.Weight, found map[string]safetensors.Tensor) (map[string][]float32, error) {
	weights := map[string][]float32{}
	for _, w := range wanted {
		t, ok := found[w.Name]
		if !ok {
			return nil, fault.New(fault.Data, "hf: tensor %s is missing; expected %v float32 numbers", w.Name, w.Shape)
		}
		if !slices.Equal(t.Shape, w.Shape) {
			return nil, fault.New(fault.Data, "hf: tensor %s has shape %v; expected %v", w.Name, t.Shape, w.Shape)
		}
		values, err := t.Float32s()
		if err != nil {
			return nil, err
		}
		weights[w.Name] = values
	}
	return weights, nil
}
