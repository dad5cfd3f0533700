package trainer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/model"
	"elektron/model/hf"
	"elektron/trainer/checkpoint"
	"elektron/trainer/track"
)

// importing is one import: folders in Hugging Face's layout become a run that pretrain goes on from.
type importing struct {
	discriminator, generator string // folders; the generator's may be ""
	vocabulary               string // file; "" takes the folder's
	step                     int64  // steps that the run is to have done
	config                   *Config
	settings                 *settings.Settings // over config
}

// run writes the run's folder: a checkpoint with the imported weights and moments of zero, the vocabulary and
// the configuration. Weights that no folder holds are drawn from run.seed. What was found, missing and left
// over is said on say.
func (i *importing) run(say io.Writer) error {
	pair, err := hf.Import(i.discriminator, i.generator)
	if err != nil {
		return err
	}
	if err := i.settle(pair); err != nil {
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
	vocabulary, note, err := i.readVocabulary(pair)
	if err != nil {
		return err
	}
	if err := i.save(pair, vocabulary); err != nil {
		return err
	}
	i.report(say, pair, note)
	return nil
}

// settle puts the imported model into the configuration, over whatever the other layers say.
func (i *importing) settle(pair *hf.Pair) error {
	imported := struct {
		Model model.Config `yaml:"model"`
	}{pair.Config}
	values := map[string]any{}
	for _, key := range settings.New(&imported).Keys() {
		values[key.Name] = strings.Trim(key.Value, `"`)
	}
	if limit := pair.Config.MaxPositions; i.config.Data.SeqLen > limit {
		values["data.seq_len"] = fmt.Sprint(limit)
	}
	if err := i.settings.Apply(settings.Flag, "import "+i.discriminator, values); err != nil {
		return err
	}
	if i.step < 0 || i.step > 0 && i.step >= i.config.Run.Steps {
		return fault.New(fault.Usage, "import: --step is %d and run.steps %d; it must lie between 0 and that: set run.steps to what the run is to reach in all", i.step, i.config.Run.Steps)
	}
	return i.config.Validate()
}

// readVocabulary finds the vocabulary, nil with a note where there is none that elektron knows.
func (i *importing) readVocabulary(pair *hf.Pair) (v *wordpiece.Vocabulary, note string, err error) {
	v, text, err := folderVocabulary(i.discriminator, i.vocabulary)
	switch {
	case err != nil && i.vocabulary == "" && fault.KindOf(err) == fault.Data:
		return nil, fmt.Sprintf("the folder's tokenizer was left out (%v); name a vocabulary with --vocab, here or in pretrain", err), nil
	case err != nil:
		return nil, "", err
	case v == nil:
		return nil, "the folder holds no vocabulary; name the model's own with --vocab, here or in pretrain", nil
	case v.Size() > pair.Config.VocabSize:
		return nil, "", fault.New(fault.Data, "import: the vocabulary has %d entries and the model %d; it belongs to another model", v.Size(), pair.Config.VocabSize)
	}
	i.config.Data.Cased = text.Cased
	if text.Accents != wordpiece.AccentsAsCase {
		note = "the tokenizer treats accents otherwise than its case does; elektron will strip them where it lowercases"
	}
	return v, note, nil
}

// save writes the run's files, the checkpoint last: a folder with one is complete.
func (i *importing) save(pair *hf.Pair, vocabulary *wordpiece.Vocabulary) error {
	meta := checkpointMeta{Config: *i.config}
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
	state := &checkpoint.State{Step: i.step, Meta: text, Tensors: importedTensors(i.config, pair.Weights)}
	_, err = checkpoint.Save(context.Background(), checkpointFolder(i.config.Run.Out), state)
	return err
}

// importedTensors is the state of a step that has these weights and moments of zero.
func importedTensors(c *Config, weights map[string][]float32) []checkpoint.Tensor {
	var list []checkpoint.Tensor
	for slot := range slots {
		for _, w := range c.Model.Weights() {
			values := make([]float32, w.Size())
			if slot == weightSlot {
				var ok bool
				if values, ok = weights[w.Name]; !ok {
					values = w.Initialize(uint32(c.Run.Seed), c.Model.InitializerRange)
				}
			}
			list = append(list, checkpoint.Tensor{Name: w.Name + slotSuffix[slot], DType: "float32", Shape: w.Shape, Data: encodeFloats(values)})
		}
	}
	return list
}

func (i *importing) report(w io.Writer, pair *hf.Pair, note string) {
	say := func(format string, args ...any) { fmt.Fprintln(w, track.Printable(fmt.Sprintf(format, args...))) }
	say("imported %d tensors, %s parameters, as step %d of %s", len(pair.Weights), millions(pair.Config.ParameterCount()), i.step, i.config.Run.Out)
	for _, list := range []struct {
		what  string
		names []string
	}{
		{"missing, drawn anew", pair.Missing},
		{"unused", pair.Unused},
		{"unequal to what it should be a copy of", pair.Differs},
	} {
		for _, name := range list.names {
			say("  %s: %s", list.what, name)
		}
	}
	if note != "" {
		say("note: %s", note)
	}
	say("next: elektron --config %s/config.yaml --data FOLDER goes on from here", i.config.Run.Out)
}

// ImportCommand is `elektron import`.
func ImportCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "make a run from a model in Hugging Face's layout, to pre-train it further",
		ArgsUsage: "DISCRIMINATOR",
		Description: `Reads config.json, model.safetensors and the vocabulary of ELECTRA (or ALBERT) folders. Optimizer state
starts fresh. Pickles (.bin, .pt) are refused: to load one is to run the code in it. Example:
   elektron import electra-small-discriminator --generator electra-small-generator --out run --set data.batch_size=64
   elektron --config run/config.yaml --data corpus/`,
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
				return fault.New(fault.Usage, "import: %d arguments; want one, the discriminator's folder", c.NArg())
			}
			if !c.IsSet("preset") && !c.IsSet("config") {
				if err := c.Set("preset", "small"); err != nil {
					return fault.Wrap(fault.Internal, err, "import")
				}
			}
			config, s, err := configure(c)
			if err != nil {
				return err
			}
			i := importing{discriminator: c.Args().First(), generator: c.String("generator"), vocabulary: c.String("vocab"),
				step: c.Int64("step"), config: config, settings: s}
			return i.run(c.App.Writer)
		},
	}
}
