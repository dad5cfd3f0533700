package hf

import (
	"bytes"
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

// Pair is a discriminator and its generator as read from their folders. Where the generator was a folder of
// its own, Config.Sharing says what the two have in common.
type Pair struct {
	Config  model.Config
	Weights map[string][]float32 // by elektron's names, row-major; those of Missing are not in it
	Missing []string             // weights of heads, or of the generator, that no folder holds
	Unused  []string             // tensors that the model has no place for
	Differs []string             // tensors that ought to be copies of others, which were taken
}

// Import loads a discriminator's folder and its generator's ("" for none). A lone folder that holds a
// generator's head and no discriminator's is a model of model.ObjectiveMLM. A head or a whole generator may be
// missing; a hole in an encoder, a tensor of another shape or type, and anything malformed is an error of
// kind fault.Data that names the tensor, what was expected and what was found. Pickles (.bin, .pt) are refused:
// to load one is to run the code in it.
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
		if p.Config, err = join(disc, gen); err != nil {
			return nil, err
		}
	} else if disc.holds(generatorHead) && !disc.holds(discriminatorHead) {
		disc.side, folders[generator] = generator, disc
		p.Config.Objective = model.ObjectiveMLM
	}
	if err := p.Config.Validate(); err != nil {
		return nil, fault.New(fault.Data, "hf: %s: %v", filepath.Join(discriminatorFolder, configName), err)
	}
	if err := p.pick(folders); err != nil {
		return nil, err
	}
	p.leftovers(disc, disc)
	if gen := folders[generator]; gen != nil && gen != disc {
		p.leftovers(gen, disc)
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

// join makes one configuration of a pair's two, and of what their weights have in common.
func join(disc, gen *folder) (model.Config, error) {
	for _, f := range []*folder{disc, gen} {
		if err := f.checkSide(); err != nil {
			return model.Config{}, err
		}
	}
	c, err := pair(&disc.config, &gen.config)
	if err == nil {
		c.Sharing = sharing(disc, gen, &c)
	}
	return c, err
}

// sharing tells what two folders have in common: everything, the embeddings, or nothing. What the generator's
// folder leaves out is the discriminator's.
func sharing(disc, gen *folder, c *model.Config) string {
	embeddingsToo, layersToo := true, c.DiscriminatorEncoder() == c.GeneratorEncoder()
	for _, w := range c.Weights() {
		s, name := split(w.Name)
		a, b := disc.lookup(name), gen.lookup(name)
		same := a != nil && (b == nil || sameNumbers(a, b))
		switch {
		case s != discriminator || !strings.HasPrefix(name, encoderPrefix):
		case strings.HasPrefix(name, embeddings):
			embeddingsToo = embeddingsToo && (same || a == nil)
		default:
			layersToo = layersToo && same && b != nil
		}
	}
	switch {
	case !embeddingsToo:
		return model.SharingNone
	case layersToo:
		return model.SharingAll
	}
	return model.SharingEmbeddings
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
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, fault.New(fault.Usage, "hf: %s is a file; name the folder with %s and %s", path, configName, weightsName)
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
	return f, nil
}

// checkSide refuses a folder that holds the other side of a pair.
func (f *folder) checkSide() error {
	own, other := discriminatorHead, generatorHead
	if f.side == generator {
		own, other = other, own
	}
	if f.holds(other) && !f.holds(own) {
		return fault.New(fault.Data, "hf: %s has %s and no %s: it is no %s; give the discriminator's folder first and the generator's as the generator",
			f.path, tensorNames(f.config.ModelType, other)[0], own, strings.TrimSuffix(string(f.side), "."))
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

// lookup finds a weight by its name behind the side.
func (f *folder) lookup(name string) *safetensors.Tensor {
	for _, candidate := range tensorNames(f.config.ModelType, name) {
		if t := f.tensors[candidate]; t != nil {
			return t
		}
	}
	return nil
}

func (f *folder) holds(name string) bool { return f.lookup(name) != nil }

// pick takes the model's weights from the folders.
func (p *Pair) pick(folders map[side]*folder) error {
	var holes []string
	var holed *folder
	for _, w := range p.Config.Weights() {
		s, name := split(w.Name)
		f := folders[s]
		if f == nil {
			p.Missing = append(p.Missing, w.Name)
			continue
		}
		t := f.lookup(name)
		if t == nil {
			if strings.HasPrefix(name, encoderPrefix) {
				holes, holed = append(holes, fmt.Sprintf("%s %v", tensorNames(f.config.ModelType, name)[0], w.Shape)), f
			}
			p.Missing = append(p.Missing, w.Name)
			continue
		}
		f.used[t.Name] = true
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
		return fault.New(fault.Data, "hf: %s: %d tensors of the encoder that %s describes are missing: %s", holed.path, len(holes), configName, clipList(holes, 5))
	}
	return nil
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
		of, original := p.copyOf(name, f, disc)
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

// copyOf names the tensor that a folder's tensor of this name, which was not taken, ought to be a copy of.
func (p *Pair) copyOf(name string, f, disc *folder) (string, *safetensors.Tensor) {
	switch name {
	case "generator_lm_head.weight", "predictions.decoder.weight":
		if table := f.lookup(embeddings + "word_embeddings.weight"); table != nil {
			return "the word table", table
		}
		return "the word table", disc.lookup(embeddings + "word_embeddings.weight")
	case "predictions.decoder.bias":
		return "predictions.bias", f.lookup("generator_lm_head.bias")
	}
	bare := encoderPrefix + strings.TrimPrefix(name, f.config.ModelType+".")
	if f != disc && borrows(&p.Config, f.side, bare) {
		return "the discriminator's", disc.lookup(bare)
	}
	return "", nil
}

// sameNumbers tells whether two tensors hold the same numbers, of whatever types.
func sameNumbers(a, b *safetensors.Tensor) bool {
	if !slices.Equal(a.Shape, b.Shape) {
		return false
	}
	if a.DType == b.DType {
		return bytes.Equal(a.Data, b.Data)
	}
	x, errX := a.Float32s()
	y, errY := b.Float32s()
	return errX == nil && errY == nil && slices.EqualFunc(x, y, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}
