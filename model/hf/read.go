package hf

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"elektron/internal/fault"
	"elektron/model"
	"elektron/model/hf/safetensors"
)

// Pair is a discriminator and its generator as read from their folders.
type Pair struct {
	Config  model.Config
	Weights map[string][]float32 // by elektron's names, row-major; those of Missing are not in it
	Missing []string             // weights of heads, or of the generator, that no folder holds
	Unused  []string             // tensors that the model has no place for
	Differs []string             // tensors of the generator that ought to equal the discriminator's, which was taken
}

// Import loads a discriminator's folder and its generator's ("" for none). Embeddings are taken from the
// discriminator. A head or a whole generator may be missing; a hole in an encoder, a tensor of another shape
// or type, and anything malformed is an error of kind fault.Data that names the tensor, what was expected
// and what was found. Pickles (.bin, .pt) are refused: to load one is to run the code in it.
func Import(discriminatorFolder, generatorFolder string) (*Pair, error) {
	disc, err := readFolder(discriminator, discriminatorFolder)
	if err != nil {
		return nil, err
	}
	folders := map[side]*folder{discriminator: disc}
	p := &Pair{Config: disc.config.single(), Weights: map[string][]float32{}}
	if generatorFolder != "" {
		gen, err := readFolder(generator, generatorFolder)
		if err != nil {
			return nil, err
		}
		folders[generator] = gen
		if p.Config, err = pair(&disc.config, &gen.config); err != nil {
			return nil, err
		}
	}
	if err := p.Config.Validate(); err != nil {
		return nil, fault.New(fault.Data, "hf: %s: %v", filepath.Join(discriminatorFolder, configName), err)
	}
	if err := p.pick(folders); err != nil {
		return nil, err
	}
	for _, s := range []side{discriminator, generator} {
		if f := folders[s]; f != nil {
			p.leftovers(f, disc)
		}
	}
	return p, nil
}

// Read is Import of a pair that must be complete.
func Read(discriminatorFolder, generatorFolder string) (model.Config, map[string][]float32, error) {
	p, err := Import(discriminatorFolder, generatorFolder)
	if err != nil {
		return model.Config{}, nil, err
	}
	if len(p.Missing) > 0 {
		return p.Config, nil, fault.New(fault.Data, "hf: %d tensors are missing, among them %s", len(p.Missing), p.Missing[0])
	}
	return p.Config, p.Weights, nil
}

// folder is one side's folder.
type folder struct {
	side    side
	path    string
	config  folderConfig
	tensors map[string]*safetensors.Tensor
	used    map[string]bool
}

func readFolder(s side, path string) (*folder, error) {
	if isPickle(path) {
		return nil, pickleFault(path)
	}
	config, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	weights := filepath.Join(path, weightsName)
	if _, err := os.Stat(weights); errors.Is(err, fs.ErrNotExist) {
		return nil, noWeights(path)
	}
	file, err := safetensors.Read(weights)
	if err != nil {
		return nil, err
	}
	f := &folder{side: s, path: weights, config: config, tensors: map[string]*safetensors.Tensor{}, used: map[string]bool{}}
	for i := range file.Tensors {
		f.tensors[file.Tensors[i].Name] = &file.Tensors[i]
	}
	return f, f.checkSide()
}

// checkSide refuses a folder that holds the other side of a pair.
func (f *folder) checkSide() error {
	own, other := "discriminator_predictions.dense.weight", "generator_predictions.dense.weight"
	if f.side == generator {
		own, other = other, own
	}
	if f.tensors[other] != nil && f.tensors[own] == nil {
		return fault.New(fault.Data, "hf: %s has %s and no %s: it is no %s; give the discriminator's folder first and the generator's as the generator",
			f.path, other, own, strings.TrimSuffix(string(f.side), "."))
	}
	return nil
}

func isPickle(path string) bool {
	return slices.Contains([]string{".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}, strings.ToLower(filepath.Ext(path)))
}

func pickleFault(path string) error {
	return fault.New(fault.Data, "hf: %s is a Python pickle, and loading a pickle runs whatever code is in it, so elektron never does; "+
		"where you trust it, let transformers convert it: from_pretrained(FOLDER).save_pretrained(OTHER, safe_serialization=True)", path)
}

// noWeights says why a folder without model.safetensors cannot be read.
func noWeights(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "hf")
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case isPickle(name):
			return pickleFault(filepath.Join(path, name))
		case name == weightsName+".index.json":
			return fault.New(fault.Data, "hf: %s: the weights are split over several files; save them as one (transformers: save_pretrained(OTHER, max_shard_size=\"50GB\"))", path)
		}
	}
	return fault.New(fault.Data, "hf: %s holds no %s", path, weightsName)
}

// find looks a weight up by its name behind the side, and marks it as used.
func (f *folder) find(name string) *safetensors.Tensor {
	for _, candidate := range tensorNames(f.config.ModelType, name) {
		if t := f.tensors[candidate]; t != nil {
			f.used[candidate] = true
			return t
		}
	}
	return nil
}

// pick takes the model's weights from the folders.
func (p *Pair) pick(folders map[side]*folder) error {
	var holes []string
	for _, w := range p.Config.Weights() {
		s := sideOf(w.Name)
		name := strings.TrimPrefix(w.Name, string(s))
		f := folders[s]
		if f == nil {
			p.Missing = append(p.Missing, w.Name)
			continue
		}
		t := f.find(name)
		if t == nil {
			if strings.HasPrefix(name, "electra.") {
				holes = append(holes, fmt.Sprintf("%s %v", tensorNames(f.config.ModelType, name)[0], w.Shape))
			}
			p.Missing = append(p.Missing, w.Name)
			continue
		}
		if !slices.Equal(t.Shape, w.Shape) {
			return fault.New(fault.Data, "hf: %s: tensor %s has shape %v; %s asks for %v", f.path, t.Name, t.Shape, configName, w.Shape)
		}
		values, err := t.Float32s()
		if err != nil {
			return fault.Wrap(fault.Data, err, "hf: %s", f.path)
		}
		p.Weights[w.Name] = values
	}
	if len(holes) > 0 {
		return fault.New(fault.Data, "hf: %d tensors of the encoder that %s describes are missing: %s", len(holes), configName, clipList(holes, 5))
	}
	return nil
}

func sideOf(name string) side {
	if strings.HasPrefix(name, string(generator)) {
		return generator
	}
	return discriminator
}

// clipList joins a list, the first n of it.
func clipList(list []string, n int) string {
	if len(list) > n {
		return strings.Join(list[:n], ", ") + ", …"
	}
	return strings.Join(list, ", ")
}

// leftovers lists the tensors of a folder that were not taken. Copies of what was taken (the generator's
// embeddings, its decoder) are none, unless their numbers differ.
func (p *Pair) leftovers(f, disc *folder) {
	for name, t := range f.tensors {
		if f.used[name] {
			continue
		}
		of, original := f.copyOf(name, disc)
		switch {
		case original == nil:
			p.Unused = append(p.Unused, string(f.side)+name)
		case !sameNumbers(t, original):
			p.Differs = append(p.Differs, string(f.side)+name+" (taken: "+of+")")
		}
	}
	slices.Sort(p.Unused)
	slices.Sort(p.Differs)
}

// copyOf names the tensor that the tensor of this name is a copy of in a model whose embeddings are shared.
func (f *folder) copyOf(name string, disc *folder) (string, *safetensors.Tensor) {
	switch name {
	case "generator_lm_head.weight", "predictions.decoder.weight":
		return "the word table", disc.find(embeddings + "word_embeddings.weight")
	case "predictions.decoder.bias":
		return "predictions.bias", f.find("generator_lm_head.bias")
	}
	bare := strings.TrimPrefix(name, f.config.ModelType+".")
	if f.side == generator && strings.HasPrefix(bare, "embeddings.") {
		return "the discriminator's", disc.find("electra." + bare)
	}
	return "", nil
}

func sameNumbers(a, b *safetensors.Tensor) bool {
	x, errX := a.Float32s()
	y, errY := b.Float32s()
	return errX == nil && errY == nil && slices.Equal(a.Shape, b.Shape) &&
		slices.EqualFunc(x, y, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}
