package trainer

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"elektron/internal/blob"
	"elektron/internal/fault"
	"elektron/model"
	"elektron/model/hf"
	"elektron/trainer/track"
)

// Export writes a model as folders in Hugging Face's layout, out/discriminator and out/generator (the latter
// alone for a masked language model), each with its configuration, weights, tokenizer and model card. Weights
// are read back to make sure that not a bit differs. What transformers will not do is said on say. An encoder
// that transformers does not have is an error of kind fault.Usage.
func Export(m *Model, out string, say io.Writer) error {
	pad := 0
	if m.Vocabulary != nil {
		pad = int(m.Vocabulary.PadID())
	}
	folders, err := hf.Export(out, &m.Config, m.Weights, pad)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if m.Vocabulary != nil {
			if err := m.Vocabulary.SaveHF(folder, m.Text, m.Config.MaxPositions); err != nil {
				return err
			}
		}
		card := filepath.Join(folder, "README.md")
		if err := blob.WriteFile(card, []byte(m.card(filepath.Base(folder)))); err != nil {
			return fault.Wrap(fault.Storage, err, "trainer: writing %s", card)
		}
	}
	fmt.Fprintf(say, "wrote %s: %s parameters, read back and found equal\n", track.Printable(strings.Join(folders, " and ")), millions(m.Config.ParameterCount()))
	for _, note := range m.exportNotes() {
		fmt.Fprintln(say, "note: "+note)
	}
	return nil
}

// exportNotes say where transformers computes something else, or needs more.
func (m *Model) exportNotes() []string {
	var notes []string
	disc, gen := m.Config.DiscriminatorEncoder(), m.Config.GeneratorEncoder()
	if m.Vocabulary == nil {
		notes = append(notes, "no vocabulary lies beside the model, so no tokenizer was written; export again with --vocab")
	}
	if disc.Kind == "albert" && m.Config.Objective != model.ObjectiveMLM {
		notes = append(notes, "transformers has no replaced-token head on ALBERT: AlbertModel loads the discriminator's encoder and leaves discriminator_predictions.* over")
	}
	if gen.Kind == "bert" && gen.Activation != "gelu" {
		notes = append(notes, "transformers' ElectraForMaskedLM has gelu in its head whatever hidden_act says; the generator was trained with "+gen.Activation)
	}
	if m.Config.Sharing == model.SharingGDES {
		notes = append(notes, "the discriminator's tables are written as the sum of the generator's and its residual; imported again, the two share nothing")
	}
	return notes
}

// ExportCommand is `elektron export`.
func ExportCommand() *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write a model for Hugging Face's transformers",
		ArgsUsage: "RUN|CHECKPOINT OUT",
		Description: `Writes OUT/discriminator and OUT/generator (a masked language model: the latter alone): config.json,
model.safetensors, vocab.txt, tokenizer.json, tokenizer_config.json and a model card. Example:
   elektron export run exported
   python -c 'import transformers; transformers.ElectraForPreTraining.from_pretrained("exported/discriminator")'`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Value: "hf", Usage: "layout: hf"},
			&cli.StringFlag{Name: "vocab", Usage: "vocabulary file (default: the run's own)"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return fault.New(fault.Usage, "export: %d arguments; want two, a run or checkpoint and an output folder", c.NArg())
			}
			if format := c.String("format"); format != "hf" {
				return fault.New(fault.Usage, "export: --format is %q; known: hf", format)
			}
			m, err := loadForCommand(c, c.Args().Get(0))
			if err != nil {
				return err
			}
			return Export(m, c.Args().Get(1), c.App.Writer)
		},
	}
}

// statedCased reads whether a folder's tokenizer_config.json keeps upper case.
func statedCased(folder string) (bool, error) {
	path := filepath.Join(folder, "tokenizer_config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return false, nil // it is not needed
	}
	var config struct {
		Lower *bool `json:"do_lower_case"`
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return false, fault.New(fault.Data, "trainer: %s: %w", path, err)
	}
	return config.Lower != nil && !*config.Lower, nil
}

// card is the README.md of one folder, "discriminator" or "generator".
func (m *Model) card(side string) string {
	e, title, task := m.Config.DiscriminatorEncoder(), "ELECTRA "+side, "The discriminator of an ELECTRA model (Clark et al., 2020): it tells for every token whether it was replaced."
	if side == "generator" {
		e, task = m.Config.GeneratorEncoder(), "The generator of an ELECTRA model (Clark et al., 2020): it guesses masked tokens."
	}
	if m.Config.Objective == model.ObjectiveMLM {
		title, task = "Masked language model", "A masked language model (Devlin et al., 2019) in the layout of an ELECTRA generator."
	}
	class := hf.Architecture(e.Kind, side)
	var b strings.Builder
	fmt.Fprintf(&b, "---\nlibrary_name: transformers\ntags:\n- electra\n- %s\n", side)
	if side == "generator" {
		fmt.Fprintf(&b, "pipeline_tag: fill-mask\n")
	}
	origin := "Pre-trained with elektron."
	if m.Step == 0 {
		origin = "Written by elektron, which has not trained it."
	}
	fmt.Fprintf(&b, "---\n\n# %s\n\n%s %s\n\n", title, task, origin)
	fmt.Fprintf(&b, "| | |\n|---|---|\n| encoder | %s, %d layers, hidden size %d, %d heads, feed-forward %d, embedding %d |\n",
		e.Kind, e.Layers, e.HiddenSize, e.Heads, e.IntermediateSize, e.EmbeddingSize)
	fmt.Fprintf(&b, "| vocabulary | %d entries, %s |\n| longest input | %d tokens |\n| steps | %d |\n",
		m.Config.VocabSize, map[bool]string{true: "cased", false: "uncased"}[m.Text.Cased], m.Config.MaxPositions, m.Step)
	m.cardTraining(&b)
	fmt.Fprintf(&b, "\n```python\nfrom transformers import AutoTokenizer, %s\ntokenizer = AutoTokenizer.from_pretrained(\"%s\")\nmodel = %s.from_pretrained(\"%s\")\n```\n",
		class, side, class, side)
	for _, note := range m.exportNotes() {
		fmt.Fprintf(&b, "\nNote: %s.\n", note)
	}
	return b.String()
}

// cardTraining adds how the model was trained and how good it was on held-out text, where that is known.
func (m *Model) cardTraining(b *strings.Builder) {
	if m.run == nil || m.Step == 0 {
		return
	}
	d, o := m.run.Data, m.run.Optim
	fmt.Fprintf(b, "| training | batches of %d x %d tokens, %s, peak learning rate %g, %g of the tokens masked |\n", d.BatchSize, d.SeqLen, o.Name, o.LR, d.MaskProb)
	history, err := track.ReadMetrics(filepath.Join(runFolder(m.Path), "metrics.jsonl"))
	if err != nil {
		return // a checkpoint that was moved away from its run has no metrics
	}
	history = slices.DeleteFunc(history, func(l track.Metrics) bool { return l.Step > m.Step })
	if _, last := validations(history); last != nil {
		fmt.Fprintf(b, "| held-out text | masked-token loss %.3f nats, replaced-token loss %.4f, AUC %.3f |\n", last.MLMLoss, last.RTDLoss, last.RTDAUC)
	}
}
