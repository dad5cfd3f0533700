package trainer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/model"
	"elektron/model/hf"
	"elektron/model/tf1"
	"elektron/trainer/checkpoint"
	"elektron/trainer/optimizer"
	"elektron/trainer/track"
)

// importing is one import: a model in Hugging Face's layout, or of the official TensorFlow code, becomes a run
// that pretrain goes on from.
type importing struct {
	source     string // the discriminator's folder, or a TensorFlow checkpoint
	generator  string // the generator's folder; may be ""
	vocabulary string // file; "" takes the folder's
	step       int64  // steps that the run is to have done
	config     *Config
	settings   *settings.Settings // over config
}

// imported is what was read, of either kind.
type imported struct {
	config  model.Config
	guessed []string             // keys of the configuration that what was read does not tell
	weights map[string][]float32 // by name, row-major
	first   map[string][]float32 // moments, nil for a fresh start
	second  map[string][]float32
	unused  []string
	differs []string
	folder  string // where a vocabulary may lie
	notes   []string
}

// run writes the run's folder: a checkpoint with the imported weights, the vocabulary and the configuration.
// Weights that were not there are drawn from run.seed. What was found, missing and left over is said on say.
func (i *importing) run(say io.Writer) error {
	in, err := i.read()
	if err != nil {
		return err
	}
	if err := i.settle(in); err != nil {
		return err
	}
	out := i.config.Run.Out
	lock, err := checkpoint.LockDir(out)
	if err != nil {
		return err
	}
	defer lock.Release()
	entries, err := checkpoint.List(checkpointFolder(out))
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fault.New(fault.Usage, "import: %s holds a run already; choose another --out", out)
	}
	vocabulary, err := i.readVocabulary(in)
	if err != nil {
		return err
	}
	if err := i.save(in, vocabulary); err != nil {
		return err
	}
	i.report(say, in)
	return nil
}

// read loads the model: a folder with model.safetensors, else a TensorFlow checkpoint if there is one.
func (i *importing) read() (*imported, error) {
	if !exists(filepath.Join(i.source, "model.safetensors")) {
		prefix, err := tf1.Find(i.source)
		if err != nil {
			return nil, err
		}
		if prefix != "" {
			return i.readTensorFlow(prefix)
		}
	}
	pair, err := hf.Import(i.source, i.generator)
	if err != nil {
		return nil, err
	}
	in := &imported{config: pair.Config, weights: pair.Weights, unused: pair.Unused, differs: pair.Differs, folder: i.source}
	switch {
	case pair.Config.Objective == model.ObjectiveMLM:
		in.notes = append(in.notes, "the folder has a masked-language-model head and no replaced-token head: model.objective is mlm")
	case i.generator == "":
		in.guessed = []string{"model.generator.encoder", "model.generator.size", "model.generator.hidden_size",
			"model.generator.layers", "model.generator.heads", "model.generator.intermediate_size"}
	case pair.Config.Sharing != model.SharingEmbeddings:
		in.notes = append(in.notes, fmt.Sprintf("by their numbers discriminator and generator share %s: model.sharing is %s",
			map[string]string{model.SharingNone: "nothing, as their embeddings differ", model.SharingAll: "everything"}[pair.Config.Sharing], pair.Config.Sharing))
	}
	return in, nil
}

func (i *importing) readTensorFlow(prefix string) (*imported, error) {
	if i.generator != "" {
		return nil, fault.New(fault.Usage, "import: %s is a TensorFlow checkpoint, which holds the generator too; leave --generator away", prefix)
	}
	c, err := tf1.Import(prefix)
	if err != nil {
		return nil, err
	}
	in := &imported{config: c.Config, guessed: c.Guessed, weights: c.Weights, unused: c.Unused, folder: filepath.Dir(prefix)}
	switch {
	case c.FirstMoments == nil:
	case c.Step == i.step:
		in.first, in.second = c.FirstMoments, c.SecondMoments
		in.notes = append(in.notes, "the optimizer goes on with the checkpoint's moments of Adam")
	default:
		in.notes = append(in.notes, fmt.Sprintf("the checkpoint's moments of Adam are left out, as they belong to its own step: take them along with --step %d", c.Step))
	}
	if c.Step != i.step {
		in.notes = append(in.notes, fmt.Sprintf("the checkpoint has %d steps behind it; the learning rate's schedule starts at %d", c.Step, i.step))
	}
	return in, nil
}

// settle puts the imported model into the configuration, over whatever the other layers say; only what was
// guessed gives way to them.
func (i *importing) settle(in *imported) error {
	read := struct {
		Model model.Config `yaml:"model"`
	}{in.config}
	known, guessed := map[string]any{}, map[string]any{}
	for _, key := range settings.New(&read).Keys() {
		values := known
		if slices.Contains(in.guessed, key.Name) {
			values = guessed
		}
		values[key.Name] = strings.Trim(key.Value, `"`)
	}
	if limit := in.config.MaxPositions; i.config.Data.SeqLen > limit {
		known["data.seq_len"] = fmt.Sprint(limit)
	}
	origin := "import " + i.source
	if err := i.settings.Apply(settings.Preset, origin, guessed); err != nil {
		return err
	}
	if err := i.settings.Apply(settings.Flag, origin, known); err != nil {
		return err
	}
	if m := &i.config.Model; m.Heads == 0 || m.Generator.Heads == 0 && in.config.Generator.HiddenSize > 0 {
		return fault.New(fault.Usage, "import: a TensorFlow checkpoint does not tell the number of attention heads, and hidden sizes of %d and %d are not of the official code's 64 a head: set model.heads and model.generator.heads",
			in.config.HiddenSize, m.GeneratorEncoder().HiddenSize)
	}
	if i.step < 0 || i.step > 0 && i.step >= i.config.Run.Steps {
		return fault.New(fault.Usage, "import: --step is %d and run.steps %d; it must lie between 0 and that: set run.steps to what the run is to reach in all", i.step, i.config.Run.Steps)
	}
	return i.config.Validate()
}

// readVocabulary finds the vocabulary, nil with a note where there is none that elektron knows.
func (i *importing) readVocabulary(in *imported) (*wordpiece.Vocabulary, error) {
	note := func(format string, args ...any) { in.notes = append(in.notes, fmt.Sprintf(format, args...)) }
	v, text, err := folderVocabulary(in.folder, i.vocabulary)
	switch {
	case err != nil && i.vocabulary == "" && fault.KindOf(err) == fault.Data:
		note("the folder's tokenizer was left out (%v); name a vocabulary with --vocab, here or in pretrain", err)
		return nil, nil
	case err != nil:
		return nil, err
	case v == nil:
		note("the folder holds no vocabulary; name the model's own with --vocab, here or in pretrain")
		return nil, nil
	case v.Size() > in.config.VocabSize:
		return nil, fault.New(fault.Data, "import: the vocabulary has %d entries and the model %d; it belongs to another model", v.Size(), in.config.VocabSize)
	}
	i.config.Data.Cased = text.Cased
	if text.Accents != wordpiece.AccentsAsCase {
		note("the tokenizer treats accents otherwise than its case does; elektron will strip them where it lowercases")
	}
	return v, nil
}

// save writes the run's files, the checkpoint last: a folder with one is complete.
func (i *importing) save(in *imported, vocabulary *wordpiece.Vocabulary) error {
	meta := checkpointMeta{Config: *i.config, Imported: true}
	if vocabulary != nil {
		meta.Vocabulary = vocabulary.Hash()
		if err := vocabulary.Save(vocabularyFile(i.config.Run.Out)); err != nil {
			return err
		}
	}
	if err := writeSettings(i.config.Run.Out, i.settings); err != nil {
		return err
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "import")
	}
	state := &checkpoint.State{Step: i.step, Meta: text, Tensors: in.tensors(i.config)}
	_, err = checkpoint.Save(context.Background(), checkpointFolder(i.config.Run.Out), state)
	return err
}

// tensors is the state of a step that has these weights and moments. Weights that were not read are drawn, and
// their moments are zero.
func (in *imported) tensors(c *Config) []checkpoint.Tensor {
	var list []checkpoint.Tensor
	for slot, read := range [optimizer.Slots]map[string][]float32{optimizer.Values: in.weights, optimizer.FirstMoments: in.first, optimizer.SecondMoments: in.second} {
		for _, w := range c.Model.Weights() {
			values, ok := read[w.Name]
			switch {
			case ok:
			case slot == int(optimizer.Values):
				values = w.Initialize(uint32(c.Run.Seed), c.Model.InitializerRange)
			default:
				values = make([]float32, w.Size())
			}
			list = append(list, checkpoint.Tensor{Name: w.Name + slotSuffix[slot], DType: "float32", Shape: w.Shape, Data: encodeFloats(values)})
		}
	}
	return list
}

func (i *importing) report(w io.Writer, in *imported) {
	say := func(format string, args ...any) { fmt.Fprintln(w, track.Printable(fmt.Sprintf(format, args...))) }
	say("imported %d tensors, %s parameters, as step %d of %s", len(in.weights), millions(i.config.Model.ParameterCount()), i.step, i.config.Run.Out)
	var missing []string
	for _, weight := range i.config.Model.Weights() {
		if _, ok := in.weights[weight.Name]; !ok {
			missing = append(missing, weight.Name)
		}
	}
	for _, list := range []struct {
		what  string
		names []string
	}{
		{"missing, drawn anew", missing},
		{"unused", in.unused},
		{"unequal to what it should be a copy of", in.differs},
	} {
		for _, name := range list.names {
			say("  %s: %s", list.what, name)
		}
	}
	for _, note := range in.notes {
		say("note: %s", note)
	}
	say("next: elektron --out %s --data FOLDER goes on from here with batches of %d x %d tokens; --batch-size and --seq-len for others",
		i.config.Run.Out, i.config.Data.BatchSize, i.config.Data.SeqLen)
}

// ImportCommand is `elektron import`.
func ImportCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "make a run from a model of transformers or of Google's ELECTRA code, to pre-train it further",
		ArgsUsage: "DISCRIMINATOR|CHECKPOINT",
		Description: `Reads folders in Hugging Face's layout: config.json, model.safetensors and the vocabulary of ELECTRA or ALBERT; or
a TensorFlow checkpoint of google-research/electra: its folder, or what the names of its files begin with. The
optimizer starts fresh, but for a TensorFlow checkpoint with moments and --step its own. Pickles (.bin, .pt) are
refused: to load one is to run the code in it. Examples:
   elektron import electra-small-discriminator --generator electra-small-generator --out run --set data.batch_size=64
   elektron import electra_small/ --out run
   elektron --out run --data corpus/`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "generator", Usage: "the generator's folder (default: a fresh one of a quarter of the width)"},
			&cli.StringFlag{Name: "out", Usage: "the run's folder", Required: true},
			&cli.Int64Flag{Name: "step", Usage: "steps that count as done, for the learning rate's schedule"},
			&cli.StringFlag{Name: "vocab", Usage: "vocabulary file (default: the folder's)"},
			&cli.StringFlag{Name: "preset", Value: "small", Usage: "recipe of what the folders do not say: batch, learning rate, steps"},
			&cli.StringFlag{Name: "config", Usage: "YAML file of configuration keys"},
			&cli.StringSliceFlag{Name: "set", Usage: "set any configuration key, as run.steps=20000"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return fault.New(fault.Usage, "import: %d arguments; want one, the discriminator's folder or a TensorFlow checkpoint", c.NArg())
			}
			if !c.IsSet("preset") && !c.IsSet("config") {
				if err := c.Set("preset", "small"); err != nil {
					return fault.Wrap(fault.Internal, err, "import")
				}
			}
			config, s, err := configure(c)
			if config == nil { // what only contradicts the preset may suit the model: settle validates
				return err
			}
			i := importing{source: c.Args().First(), generator: c.String("generator"), vocabulary: c.String("vocab"),
				step: c.Int64("step"), config: config, settings: s}
			return i.run(c.App.Writer)
		},
	}
}
