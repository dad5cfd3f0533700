package hf

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"elektron/internal/blob"
	"elektron/internal/fault"
	"elektron/model"
	"elektron/model/hf/safetensors"
)

// Export writes a model as folders in out, made if need be: "discriminator" and "generator", or where the
// model was trained with model.ObjectiveMLM only the latter. Each gets its config.json and model.safetensors
// with every weight that it uses, shared ones too. They are read again and compared bit by bit. weights are by
// elektron's names, row-major; padID is the vocabulary's. Export returns the folders. An encoder that
// transformers does not have is an error of kind fault.Usage, and nothing is written.
func Export(out string, c *model.Config, weights map[string][]float32, padID int) (folders []string, err error) {
	sides := []side{discriminator, generator}
	if c.Objective == model.ObjectiveMLM {
		sides = []side{generator}
	}
	configs := make([]folderConfig, len(sides))
	for i, s := range sides {
		if configs[i], err = newFolderConfig(c, s, padID); err != nil {
			return nil, err
		}
	}
	for i, s := range sides {
		folder := filepath.Join(out, strings.TrimSuffix(string(s), "."))
		tensors, err := sideTensors(c, s, configs[i].ModelType, weights)
		if err != nil {
			return nil, err
		}
		if err := write(folder, &configs[i], tensors); err != nil {
			return nil, err
		}
		if err := verify(folder, tensors); err != nil {
			return nil, err
		}
		folders = append(folders, folder)
	}
	return folders, nil
}

func write(folder string, config *folderConfig, tensors []safetensors.Tensor) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fault.Wrap(fault.Storage, err, "hf")
	}
	file := &safetensors.File{Metadata: map[string]string{"format": "pt"}, Tensors: tensors} // transformers asks for it
	if err := safetensors.Write(filepath.Join(folder, weightsName), file); err != nil {
		return err
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Internal, err, "hf")
	}
	path := filepath.Join(folder, configName)
	return fault.Wrap(fault.Storage, blob.WriteFile(path, append(text, '\n')), "hf: writing %s", path)
}

// verify reads a folder and compares it with what it ought to hold.
func verify(folder string, want []safetensors.Tensor) error {
	if _, err := readConfig(folder); err != nil {
		return fault.Wrap(fault.Storage, err, "hf: reading the export again")
	}
	path := filepath.Join(folder, weightsName)
	got, err := safetensors.Read(path)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "hf: reading the export again")
	}
	same := slices.EqualFunc(got.Tensors, want, func(a, b safetensors.Tensor) bool {
		return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && string(a.Data) == string(b.Data)
	})
	if !same {
		return fault.New(fault.Storage, "hf: %s is not what was written; check the disk and export again", path)
	}
	return nil
}

// sideTensors are the tensors of one side's folder, by name: its own weights, and those that it borrows from
// the other. A table with a residual is written as their sum, which is what the model looks up.
func sideTensors(c *model.Config, s side, modelType string, weights map[string][]float32) ([]safetensors.Tensor, error) {
	list := c.Weights()
	own := map[string]bool{} // names behind the side
	for _, w := range list {
		if of, name := split(w.Name); of == s {
			own[name] = true
		}
	}
	var tensors []safetensors.Tensor
	for _, w := range list {
		of, name := split(w.Name)
		if strings.HasSuffix(name, residualSuffix) || of != s && (own[name] || !borrows(c, s, name)) {
			continue
		}
		values := weights[w.Name]
		if len(values) != w.Size() {
			return nil, fault.New(fault.Data, "hf: weight %s has %d numbers; expected %v", w.Name, len(values), w.Shape)
		}
		if residual := strings.TrimSuffix(name, tableSuffix) + residualSuffix; own[residual] {
			values = sum(values, weights[string(s)+residual])
		}
		if len(values) != w.Size() {
			return nil, fault.New(fault.Data, "hf: weight %s and its residual are not of one size", w.Name)
		}
		tensors = append(tensors, safetensors.FromFloat32s(tensorNames(modelType, name)[0], w.Shape, values))
	}
	slices.SortFunc(tensors, func(a, b safetensors.Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return tensors, nil
}

// borrows tells whether a side uses the other's weight of a name: the embeddings, unless it has its own, and
// the generator also the layers where it runs the main encoder.
func borrows(c *model.Config, s side, name string) bool {
	main := c.Sharing == model.SharingAll || c.Objective == model.ObjectiveMLM
	return strings.HasPrefix(name, embeddings) || s == generator && main && strings.HasPrefix(name, encoderPrefix)
}

// sum adds two arrays; it is nil where they differ in length.
func sum(a, b []float32) []float32 {
	if len(a) != len(b) {
		return nil
	}
	total := make([]float32, len(a))
	for i := range a {
		total[i] = a[i] + b[i]
	}
	return total
}
