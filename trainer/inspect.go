package trainer

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/model"
	"elektron/model/hf"
	"elektron/trainer/checkpoint"
	"elektron/trainer/optimizer"
	"elektron/trainer/track"
)

// Inspection is what `inspect` tells of a checkpoint.
type Inspection struct {
	Path       string            `json:"path"`
	Warnings   []string          `json:"warnings,omitempty"` // what was passed over
	Step       int64             `json:"step"`
	Steps      []int64           `json:"steps"` // of all checkpoints that lie beside it
	ElapsedS   float64           `json:"elapsed_s"`
	Vocabulary string            `json:"vocabulary"` // SHA-256
	Parameters int64             `json:"parameters"`
	Bytes      int64             `json:"bytes"`
	NotFinite  int64             `json:"not_finite"` // numbers, over all tensors
	Config     map[string]string `json:"config"`     // by key, as YAML
	Tensors    []TensorSummary   `json:"tensors"`

	config  Config   // only its model is set where isRun is false
	isRun   bool     // no folder in Hugging Face's layout
	keys    []string // of Config, in order
	tensors []checkpoint.Tensor
}

// TensorSummary describes one tensor of a checkpoint. Its norms leave out what is not finite.
type TensorSummary struct {
	Name      string  `json:"name"`
	DType     string  `json:"dtype"`
	Shape     []int   `json:"shape"`
	Norm      float64 `json:"norm"` // L2
	RMS       float64 `json:"rms"`
	Largest   float64 `json:"largest"` // absolute value
	NotFinite int64   `json:"not_finite"`
}

// Inspect reads a checkpoint, the newest good one of a run's folder, or a folder in Hugging Face's layout, and
// summarises it. Errors are those of LoadModel.
func Inspect(path string) (*Inspection, error) {
	var i *Inspection
	var err error
	if discriminator, generator := hfFolders(path); discriminator != "" {
		i, err = inspectHF(discriminator, generator)
	} else {
		i, err = inspectCheckpoint(path)
	}
	if err != nil {
		return nil, err
	}
	for _, t := range i.tensors {
		s := summarise(t)
		i.Tensors = append(i.Tensors, s)
		i.Bytes += int64(len(t.Data))
		i.NotFinite += s.NotFinite
		if slotOf(t.Name) == optimizer.Values {
			i.Parameters += int64(len(t.Data) / 4)
		}
	}
	return i, nil
}

func inspectCheckpoint(path string) (*Inspection, error) {
	saved, warnings, err := openCheckpoint(path)
	if err != nil {
		return nil, err
	}
	i := &Inspection{Path: saved.path, Step: saved.state.Step, ElapsedS: saved.meta.ElapsedS, Vocabulary: saved.meta.Vocabulary,
		Warnings: warnings, config: saved.meta.Config, isRun: true, tensors: saved.state.Tensors}
	beside, err := checkpoint.List(checkpointFolder(runFolder(saved.path)))
	if err != nil {
		return nil, err
	}
	for _, entry := range beside {
		i.Steps = append(i.Steps, entry.Step)
	}
	return i, i.readConfig(&i.config)
}

// inspectHF reads what the folders say: a model, and nothing of how it was trained.
func inspectHF(discriminator, generator string) (*Inspection, error) {
	pair, err := hf.Import(discriminator, generator)
	if err != nil {
		return nil, err
	}
	i := &Inspection{Path: discriminator, config: Config{Model: pair.Config}}
	if vocabulary, _, err := folderVocabulary(discriminator, ""); err != nil {
		i.Warnings = append(i.Warnings, err.Error())
	} else if vocabulary != nil {
		i.Vocabulary = vocabulary.Hash()
	}
	for _, name := range pair.Unused {
		i.Warnings = append(i.Warnings, "no part of an ELECTRA model, left out: "+name)
	}
	for _, w := range pair.Config.Weights() {
		if values, ok := pair.Weights[w.Name]; ok {
			i.tensors = append(i.tensors, checkpoint.Tensor{Name: w.Name, DType: "float32", Shape: w.Shape, Data: encodeFloats(values)})
		}
	}
	return i, i.readConfig(&struct {
		Model model.Config `yaml:"model"`
	}{pair.Config})
}

// readConfig lists a configuration. One that this version could not have written is an error of kind
// fault.Data; settings panics at it.
func (i *Inspection) readConfig(config any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Data, "inspect: %s: its configuration is none that this version of elektron knows: %v", i.Path, r)
		}
	}()
	i.Config = map[string]string{}
	for _, key := range settings.New(config).Keys() {
		i.keys = append(i.keys, key.Name)
		i.Config[key.Name] = key.Value
	}
	return nil
}

func summarise(t checkpoint.Tensor) TensorSummary {
	s := TensorSummary{Name: t.Name, DType: t.DType, Shape: t.Shape}
	if t.DType != "float32" {
		return s
	}
	var squares float64
	values := decodeFloats(t.Data)
	for _, v := range values {
		x := math.Abs(float64(v))
		if math.IsNaN(x) || math.IsInf(x, 0) {
			s.NotFinite++
			continue
		}
		squares += x * x
		s.Largest = max(s.Largest, x)
	}
	s.Norm, s.RMS = math.Sqrt(squares), math.Sqrt(squares/float64(max(1, len(values))))
	return s
}

// slotOf tells a weight from its moments by the name's suffix.
func slotOf(name string) optimizer.Slot {
	for slot := optimizer.Slots - 1; slot > optimizer.Values; slot-- {
		if strings.HasSuffix(name, slotSuffix[slot]) {
			return slot
		}
	}
	return optimizer.Values
}

// write shows an inspection as text: facts, then one line a weight with its moments' sizes.
func (i *Inspection) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	i.writeFacts(w)
	if err := w.Flush(); err != nil {
		return fault.Wrap(fault.Storage, err, "inspect")
	}
	fmt.Fprintf(w, "\nweight\tshape\tnorm\trms\tlargest")
	if i.isRun {
		fmt.Fprintf(w, "\tfirst moment\tsecond moment")
	}
	byName := map[string]TensorSummary{}
	for _, t := range i.Tensors {
		byName[t.Name] = t
	}
	for _, t := range i.Tensors {
		if slotOf(t.Name) != optimizer.Values {
			continue
		}
		fmt.Fprintf(w, "\n%s\t%v\t%.4g\t%.3g\t%.3g", t.Name, t.Shape, t.Norm, t.RMS, t.Largest)
		if i.isRun {
			fmt.Fprintf(w, "\t%.3g\t%.3g", byName[t.Name+slotSuffix[optimizer.FirstMoments]].Norm, byName[t.Name+slotSuffix[optimizer.SecondMoments]].Norm)
		}
	}
	fmt.Fprintln(w)
	return fault.Wrap(fault.Storage, w.Flush(), "inspect")
}

func (i *Inspection) writeFacts(w io.Writer) {
	c := &i.config
	m, g := &c.Model, c.Model.GeneratorEncoder()
	small := "no generator"
	if slices.ContainsFunc(i.Tensors, func(t TensorSummary) bool { return strings.HasPrefix(t.Name, generator) }) {
		small = fmt.Sprintf("generator %d layers of %d", g.Layers, g.HiddenSize)
	}
	if m.Objective == model.ObjectiveMLM {
		small = "no discriminator"
	}
	if i.isRun {
		fmt.Fprintf(w, "checkpoint\t%s\nstep\t%d of %d\n", track.Printable(i.Path), i.Step, c.Run.Steps)
	} else {
		fmt.Fprintf(w, "folder\t%s\n", track.Printable(i.Path))
	}
	if len(i.Steps) > 1 {
		fmt.Fprintf(w, "beside it\t%d\n", i.Steps)
	}
	hash := i.Vocabulary
	if hash == "" {
		hash = "no file"
	}
	fmt.Fprintf(w, "model\t%s, %d layers of %d, %d heads; embedding %d; %s; vocabulary %d (%.12s)\n",
		m.Encoder, m.Layers, m.HiddenSize, m.Heads, m.EmbeddingSize, small, m.VocabSize, hash)
	moments := ""
	if i.isRun {
		moments = " with moments"
		fmt.Fprintf(w, "trained\t%s, learning rate %g, batches of %d x %d, seed %d, %.0f s\n",
			c.Optim.Name, c.Optim.LR, c.Data.BatchSize, c.Data.SeqLen, c.Run.Seed, i.ElapsedS)
	}
	fmt.Fprintf(w, "size\t%s parameters, %.1f MB%s in %d tensors\n", millions(int(i.Parameters)), float64(i.Bytes)/1e6, moments, len(i.Tensors))
	if i.NotFinite > 0 {
		fmt.Fprintf(w, "WARNING\t%d numbers are not finite\n", i.NotFinite)
	}
}

// InspectCommand is `elektron inspect`.
func InspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what a checkpoint holds, or how two differ",
		ArgsUsage: "RUN|CHECKPOINT|FOLDER",
		Description: `Reads a run's newest good checkpoint, any checkpoint, or a model in Hugging Face's layout. Examples:
   elektron inspect run
   elektron inspect --diff run/checkpoints/step-00001000 run`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "diff", Usage: "compare this run, checkpoint or folder with the other one"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return fault.New(fault.Usage, "inspect: %d arguments; want one, a run, a checkpoint or a folder in Hugging Face's layout (compare two with --diff)", c.NArg())
			}
			inspection, err := inspectForCommand(c, c.Args().First())
			if err != nil {
				return err
			}
			var shown interface{ write(io.Writer) error } = inspection
			if c.IsSet("diff") {
				base, err := inspectForCommand(c, c.String("diff"))
				if err != nil {
					return err
				}
				shown = Compare(base, inspection)
			}
			if c.Bool("json") {
				return fault.Wrap(fault.Storage, json.NewEncoder(c.App.Writer).Encode(shown), "inspect")
			}
			return shown.write(c.App.Writer)
		},
	}
}

// inspectForCommand is Inspect; warnings go to the terminal.
func inspectForCommand(c *cli.Context, path string) (*Inspection, error) {
	i, err := Inspect(path)
	if err != nil {
		return nil, err
	}
	for _, warning := range i.Warnings {
		fmt.Fprintln(c.App.ErrWriter, "warning: "+track.Printable(warning))
	}
	return i, nil
}
