package trainer

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"

	"elektron/internal/fault"
	"elektron/model/hf"
	"elektron/trainer/track"
)

// Export writes a model as two folders in Hugging Face's layout, out/discriminator and out/generator, each
// with its configuration, weights, tokenizer and model card, and reads them back to make sure that not a bit
// differs. What transformers will not do is said on say.
func Export(m *Model, out string, say io.Writer) error {
	disc, gen := filepath.Join(out, "discriminator"), filepath.Join(out, "generator")
	pad := 0
	if m.Vocabulary != nil {
		pad = int(m.Vocabulary.PadID())
	}
	if err := hf.WriteDiscriminator(disc, &m.Config, m.Weights, pad); err != nil {
		return err
	}
	if err := hf.WriteGenerator(gen, &m.Config, m.Weights, pad); err != nil {
		return err
	}
	if err := m.verifyExport(disc, gen); err != nil {
		return err
	}
	for _, folder := range []string{disc, gen} {
		if m.Vocabulary != nil {
			if err := m.Vocabulary.SaveHF(folder, m.Text, m.Config.MaxPositions); err != nil {
				return err
			}
		}
		card := filepath.Join(folder, "README.md")
		if err := renameio.WriteFile(card, []byte(m.card(filepath.Base(folder))), 0o644); err != nil {
			return fault.Wrap(fault.Storage, err, "trainer: writing %s", card)
		}
	}
	fmt.Fprintf(say, "wrote %s and %s: %s parameters, read back and found equal\n", track.Printable(disc), track.Printable(gen), millions(m.Config.ParameterCount()))
	for _, note := range m.exportNotes() {
		fmt.Fprintln(say, "note: "+note)
	}
	return nil
}

// verifyExport reads the folders again and compares every bit.
func (m *Model) verifyExport(disc, gen string) error {
	_, weights, err := hf.Read(disc, gen)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "trainer: reading the export again")
	}
	for name, values := range weights {
		same := slices.EqualFunc(values, m.Weights[name], func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
		if !same {
			return fault.New(fault.Storage, "trainer: %s differs from what was written to %s and %s; check the disk and export again", name, disc, gen)
		}
	}
	return nil
}

// exportNotes say where transformers computes something else, or needs more.
func (m *Model) exportNotes() []string {
	var notes []string
	e := m.Config.DiscriminatorEncoder()
	if m.Vocabulary == nil {
		notes = append(notes, "no vocabulary lies beside the model, so no tokenizer was written; export again with --vocab")
	}
	if e.Kind == "albert" {
		notes = append(notes, "transformers has no replaced-token head on ALBERT: AlbertModel loads the discriminator's encoder and leaves discriminator_predictions.* over")
	}
	if e.Kind == "bert" && e.Activation != "gelu" {
		notes = append(notes, "transformers' ElectraForMaskedLM has gelu in its head whatever hidden_act says; the generator was trained with "+e.Activation)
	}
	return notes
}

// ExportCommand is `elektron export`.
func ExportCommand() *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write a model for Hugging Face's transformers",
		ArgsUsage: "RUN|CHECKPOINT OUT",
		Description: `Writes OUT/discriminator and OUT/generator: config.json, model.safetensors, vocab.txt, tokenizer.json,
tokenizer_config.json and a model card. Example:
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
	e, task, class := m.Config.DiscriminatorEncoder(), "tells for every token whether it was replaced", "ElectraForPreTraining"
	if side == "generator" {
		e, task, class = m.Config.GeneratorEncoder(), "guesses masked tokens", "ElectraForMaskedLM"
	}
	if e.Kind == "albert" {
		class = map[string]string{"discriminator": "AlbertModel", "generator": "AlbertForMaskedLM"}[side]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "---\nlibrary_name: transformers\ntags:\n- electra\n- %s\n", side)
	if side == "generator" {
		fmt.Fprintf(&b, "pipeline_tag: fill-mask\n")
	}
	fmt.Fprintf(&b, "---\n\n# ELECTRA %s\n\nThe %s of an ELECTRA model (Clark et al., 2020), pre-trained with elektron: it %s.\n\n", side, side, task)
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
	if m.run == nil {
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
