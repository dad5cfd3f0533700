package trainer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
	"elektron/model"
	"elektron/model/hf"
	"elektron/trainer/checkpoint"
	"elektron/trainer/track"
)

// Model is a trained model with its vocabulary, read for use and not for going on.
type Model struct {
	Path       string // the checkpoint or folder that was read
	Step       int64
	SeqLen     int // tokens of the longest examples that it was trained on; 0 where nobody says
	Config     model.Config
	Weights    map[string][]float32  // by name, row-major
	Vocabulary *wordpiece.Vocabulary // nil where none lies beside the model
	Text       wordpiece.Options     // how text is normalised before it is matched
	Warnings   []string              // newer checkpoints that are damaged and were passed over

	run *Config // how it was trained; nil for a folder in Hugging Face's layout
}

// LoadModel reads the newest good checkpoint of a run's folder, a checkpoint, or a folder in Hugging Face's
// layout: a discriminator's or one that holds discriminator/ and generator/. vocabulary names a vocabulary
// file to use instead of the one beside the model; "" takes that. Errors have kind fault.Data where a file
// is damaged or does not belong to the others, fault.Storage where there is none.
func LoadModel(path, vocabulary string) (*Model, error) {
	var m *Model
	var err error
	if pair, generator := hfFolders(path); pair != "" {
		m, err = loadHF(pair, generator, vocabulary)
	} else {
		m, err = loadCheckpoint(path, vocabulary)
	}
	if err != nil {
		return nil, err
	}
	if v := m.Vocabulary; v != nil && v.Size() > m.Config.VocabSize {
		return nil, fault.New(fault.Data, "trainer: %s: its vocabulary has %d entries and the model %d; it belongs to another model", m.Path, v.Size(), m.Config.VocabSize)
	}
	return m, nil
}

// hfFolders finds the discriminator's and the generator's folder, "" where there is none.
func hfFolders(path string) (discriminator, generator string) {
	for _, candidate := range []string{path, filepath.Join(path, "discriminator"), filepath.Join(path, "generator")} {
		if !exists(filepath.Join(candidate, "config.json")) {
			continue
		}
		if pair := filepath.Join(filepath.Dir(candidate), "generator"); candidate != path && candidate != pair && exists(pair) {
			return candidate, pair
		}
		return candidate, ""
	}
	return "", ""
}

func loadHF(discriminator, generator, vocabulary string) (*Model, error) {
	pair, err := hf.Import(discriminator, generator)
	if err != nil {
		return nil, err
	}
	m := &Model{Path: discriminator, Config: pair.Config, Weights: pair.Weights}
	m.Vocabulary, m.Text, err = folderVocabulary(discriminator, vocabulary)
	return m, err
}

func loadCheckpoint(path, vocabulary string) (*Model, error) {
	saved, warnings, err := openCheckpoint(path)
	if err != nil {
		return nil, err
	}
	m := &Model{Path: saved.path, Step: saved.state.Step, Config: saved.meta.Config.Model, run: &saved.meta.Config, Warnings: warnings}
	m.SeqLen = m.run.longest(m.Step)
	if err := m.Config.Validate(); err != nil {
		return nil, fault.New(fault.Data, "trainer: %s: %v", saved.path, err)
	}
	if m.Weights, err = weightsOnly(saved.state.Tensors, &m.Config); err != nil {
		return nil, fault.Wrap(fault.Data, err, "trainer: %s", saved.path)
	}
	if vocabulary == "" {
		vocabulary = vocabularyFile(runFolder(saved.path))
		if !exists(vocabulary) {
			return m, nil
		}
	}
	if m.Vocabulary, err = wordpiece.Load(vocabulary); err != nil {
		return nil, err
	}
	if want := saved.meta.Vocabulary; want != "" && m.Vocabulary.Hash() != want {
		return nil, fault.New(fault.Data, "trainer: %s is not the vocabulary that %s was trained with (SHA-256 %.12s, expected %.12s); name that one with --vocab",
			vocabulary, saved.path, m.Vocabulary.Hash(), want)
	}
	m.Text = m.Vocabulary.Options()
	m.Text.Cased = m.Text.Cased || m.run.Data.Cased
	return m, nil
}

// openCheckpoint reads a checkpoint's folder, or the newest good one of a run's folder, with a warning for
// each newer one.
func openCheckpoint(path string) (saved *savedRun, warnings []string, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, nil, fault.Wrap(fault.Storage, err, "trainer: no run and no checkpoint")
	}
	for _, folder := range []string{checkpointFolder(path), path} {
		state, newest, warnings, err := checkpoint.Restore(folder)
		if err == nil {
			saved, err := parseSaved(state, newest)
			return saved, warnings, err
		}
		if !errors.Is(err, checkpoint.ErrNone) {
			return nil, nil, err
		}
	}
	if !exists(filepath.Join(path, "manifest.json")) {
		return nil, nil, fault.New(fault.Data, "trainer: %s holds no checkpoint and no model in Hugging Face's layout", path)
	}
	state, err := checkpoint.Load(path)
	if err != nil {
		return nil, nil, err
	}
	saved, err = parseSaved(state, path)
	return saved, nil, err
}

// longest is the length of the longest examples in a run's first steps, in tokens.
func (c *Config) longest(steps int64) int {
	if c.Phase2.Steps > 0 && steps > c.Run.Steps-c.Phase2.Steps {
		return max(c.Data.SeqLen, c.Phase2.SeqLen)
	}
	return c.Data.SeqLen
}

// runFolder is where the run of a checkpoint lies: RUN/checkpoints/step-00000001.
func runFolder(checkpoint string) string { return filepath.Dir(filepath.Dir(checkpoint)) }

// weightsOnly decodes a model's weights out of a checkpoint's tensors.
func weightsOnly(list []checkpoint.Tensor, c *model.Config) (map[string][]float32, error) {
	byName := map[string]checkpoint.Tensor{}
	for _, t := range list {
		byName[t.Name] = t
	}
	weights := map[string][]float32{}
	for _, w := range c.Weights() {
		t, ok := byName[w.Name]
		if !ok || !slices.Equal(t.Shape, w.Shape) || t.DType != "float32" {
			return nil, fault.New(fault.Data, "tensor %s: expected float32%v, found %s%v; it belongs to another model", w.Name, w.Shape, t.DType, t.Shape)
		}
		weights[w.Name] = decodeFloats(t.Data)
	}
	return weights, nil
}

// folderVocabulary reads the vocabulary that is named, or else the folder's tokenizer.json or vocab.txt, and
// how its text is normalised. A folder without one gives nil.
func folderVocabulary(folder, named string) (*wordpiece.Vocabulary, wordpiece.Options, error) {
	candidates := []string{filepath.Join(folder, "tokenizer.json"), filepath.Join(folder, "vocab.txt")}
	if named != "" {
		candidates = []string{named}
	}
	for _, path := range candidates {
		if named == "" && !exists(path) {
			continue
		}
		v, err := wordpiece.Load(path)
		if err != nil {
			return nil, wordpiece.Options{}, err
		}
		text := v.Options()
		cased, err := statedCased(folder)
		text.Cased = text.Cased || cased
		return v, text, err
	}
	return nil, wordpiece.Options{}, nil
}

// loadForCommand is LoadModel for a command with --vocab; warnings go to the terminal.
func loadForCommand(c *cli.Context, path string) (*Model, error) {
	m, err := LoadModel(path, c.String("vocab"))
	if err != nil {
		return nil, err
	}
	for _, warning := range m.Warnings {
		fmt.Fprintln(c.App.ErrWriter, "warning: "+track.Printable(warning))
	}
	return m, nil
}
