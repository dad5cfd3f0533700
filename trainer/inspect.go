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
	"elektron/trainer/checkpoint"
	"elektron/trainer/track"
)

// Inspection is what `inspect` tells of a checkpoint.
type Inspection struct {
	Path       string            `json:"path"`
	Step       int64             `json:"step"`
	Steps      []int64           `json:"steps"` // of all checkpoints that lie beside it
	ElapsedS   float64           `json:"elapsed_s"`
	Vocabulary string            `json:"vocabulary"` // SHA-256
	Parameters int64             `json:"parameters"`
	Bytes      int64             `json:"bytes"`
	NotFinite  int64             `json:"not_finite"` // numbers, over all tensors
	Config     map[string]string `json:"config"`     // by key, as YAML
	Tensors    []TensorSummary   `json:"tensors"`

	config Config
	keys   []string // of Config, in order
	state  *checkpoint.State
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

// Inspect reads a checkpoint, or the newest good one of a run's folder, and summarises it. Errors are those
// of LoadModel.
func Inspect(path string) (*Inspection, error) {
	saved, _, err := openCheckpoint(path)
	if err != nil {
		return nil, err
	}
	i := &Inspection{Path: saved.path, Step: saved.state.Step, ElapsedS: saved.meta.ElapsedS, Vocabulary: saved.meta.Vocabulary,
		Config: map[string]string{}, config: saved.meta.Config, state: saved.state}
	beside, err := checkpoint.List(checkpointFolder(runFolder(saved.path)))
	if err != nil {
		return nil, err
	}
	for _, entry := range beside {
		i.Steps = append(i.Steps, entry.Step)
	}
	if err := i.readConfig(); err != nil {
		return nil, err
	}
	for _, t := range saved.state.Tensors {
		s := summarise(t)
		i.Tensors = append(i.Tensors, s)
		i.Bytes += int64(len(t.Data))
		i.NotFinite += s.NotFinite
		if slotOf(t.Name) == weightSlot {
			i.Parameters += int64(len(t.Data) / 4)
		}
	}
	return i, nil
}

// readConfig lists the configuration. One that this version could not have written is an error of kind
// fault.Data; settings panics at it.
func (i *Inspection) readConfig() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Data, "inspect: %s: its configuration is none that this version of elektron knows: %v", i.Path, r)
		}
	}()
	for _, key := range settings.New(&i.config).Keys() {
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
func slotOf(name string) int {
	for slot := slots - 1; slot > weightSlot; slot-- {
		if strings.HasSuffix(name, slotSuffix[slot]) {
			return slot
		}
	}
	return weightSlot
}

// write shows an inspection as text: facts, then one line a weight with its moments' sizes.
func (i *Inspection) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "checkpoint\t%s\n", track.Printable(i.Path))
	fmt.Fprintf(w, "step\t%d of %d\n", i.Step, i.config.Run.Steps)
	if len(i.Steps) > 1 {
		fmt.Fprintf(w, "others\t%d\n", i.Steps)
	}
	m := i.config.Model
	fmt.Fprintf(w, "model\t%s, %d layers of %d, %d heads; embedding %d; generator %d layers of %d; vocabulary %d (%.12s)\n",
		m.Encoder, m.Layers, m.HiddenSize, m.Heads, m.EmbeddingSize, m.GeneratorEncoder().Layers, m.GeneratorEncoder().HiddenSize, m.VocabSize, i.Vocabulary)
	fmt.Fprintf(w, "trained\t%s, learning rate %g, batches of %d x %d, seed %d, %.0f s\n",
		i.config.Optim.Name, i.config.Optim.LR, i.config.Data.BatchSize, i.config.Data.SeqLen, i.config.Run.Seed, i.ElapsedS)
	fmt.Fprintf(w, "size\t%s parameters, %.1f MB with moments in %d tensors\n", millions(int(i.Parameters)), float64(i.Bytes)/1e6, len(i.Tensors))
	if i.NotFinite > 0 {
		fmt.Fprintf(w, "WARNING\t%d numbers are not finite\n", i.NotFinite)
	}
	if err := w.Flush(); err != nil {
		return fault.Wrap(fault.Storage, err, "inspect")
	}
	fmt.Fprintf(w, "\nweight\tshape\tnorm\trms\tlargest\tfirst moment\tsecond moment\n")
	byName := map[string]TensorSummary{}
	for _, t := range i.Tensors {
		byName[t.Name] = t
	}
	for _, t := range i.Tensors {
		if slotOf(t.Name) == weightSlot {
			fmt.Fprintf(w, "%s\t%v\t%.4g\t%.3g\t%.3g\t%.3g\t%.3g\n", t.Name, t.Shape, t.Norm, t.RMS, t.Largest,
				byName[t.Name+slotSuffix[firstSlot]].Norm, byName[t.Name+slotSuffix[secondSlot]].Norm)
		}
	}
	return fault.Wrap(fault.Storage, w.Flush(), "inspect")
}

// Difference is what two checkpoints do not have in common.
type Difference struct {
	A      string             `json:"a"`
	B      string             `json:"b"`
	Steps  [2]int64           `json:"steps"`
	Config []ConfigDifference `json:"config"`
	Equal  int                `json:"equal"` // tensors that are the same in every bit
	Differ []TensorDifference `json:"differ"`
}

// ConfigDifference is a configuration key with two values, as YAML.
type ConfigDifference struct {
	Key string `json:"key"`
	A   string `json:"a"`
	B   string `json:"b"`
}

// TensorDifference compares a tensor of one checkpoint with that of the same name in another.
type TensorDifference struct {
	Name     string  `json:"name"`
	Only     string  `json:"only,omitempty"`     // "a" or "b", where the other has no tensor of this name, type and shape
	Largest  float64 `json:"largest,omitempty"`  // of the absolute differences
	Relative float64 `json:"relative,omitempty"` // norm of the difference as a share of a's norm
}

// Compare finds out how two checkpoints differ.
func Compare(a, b *Inspection) *Difference {
	d := &Difference{A: a.Path, B: b.Path, Steps: [2]int64{a.Step, b.Step}}
	for _, key := range a.keys {
		if a.Config[key] != b.Config[key] {
			d.Config = append(d.Config, ConfigDifference{key, a.Config[key], b.Config[key]})
		}
	}
	find := func(list []checkpoint.Tensor, t checkpoint.Tensor) *checkpoint.Tensor {
		at := slices.IndexFunc(list, func(other checkpoint.Tensor) bool {
			return other.Name == t.Name && other.DType == t.DType && slices.Equal(other.Shape, t.Shape)
		})
		if at < 0 {
			return nil
		}
		return &list[at]
	}
	for _, t := range a.state.Tensors {
		switch other := find(b.state.Tensors, t); {
		case other == nil:
			d.Differ = append(d.Differ, TensorDifference{Name: t.Name, Only: "a"})
		case string(t.Data) == string(other.Data):
			d.Equal++
		default:
			d.Differ = append(d.Differ, subtract(t, other))
		}
	}
	for _, t := range b.state.Tensors {
		if find(a.state.Tensors, t) == nil {
			d.Differ = append(d.Differ, TensorDifference{Name: t.Name, Only: "b"})
		}
	}
	return d
}

func subtract(a checkpoint.Tensor, b *checkpoint.Tensor) TensorDifference {
	d := TensorDifference{Name: a.Name}
	if a.DType != "float32" {
		return d
	}
	x, y := decodeFloats(a.Data), decodeFloats(b.Data)
	var squares, norm float64
	for i := range x {
		difference := math.Abs(float64(x[i]) - float64(y[i]))
		if math.IsNaN(difference) || math.IsInf(difference, 0) {
			difference = math.MaxFloat32 // JSON has no infinity
		}
		d.Largest = max(d.Largest, difference)
		squares += difference * difference
		norm += float64(x[i]) * float64(x[i])
	}
	if d.Relative = math.Sqrt(squares / norm); math.IsNaN(d.Relative) || math.IsInf(d.Relative, 0) {
		d.Relative = math.MaxFloat32
	}
	return d
}

func (d *Difference) write(out io.Writer) error {
	fmt.Fprintf(out, "a: %s, step %d\nb: %s, step %d\n", track.Printable(d.A), d.Steps[0], track.Printable(d.B), d.Steps[1])
	for _, change := range d.Config {
		fmt.Fprintf(out, "config: %s is %s in a and %s in b\n", change.Key, track.Printable(change.A), track.Printable(change.B))
	}
	fmt.Fprintf(out, "%d tensors are equal in every bit, %d are not\n", d.Equal, len(d.Differ))
	if len(d.Differ) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\ntensor\tlargest difference\trelative\n")
	for _, t := range d.Differ {
		if t.Only != "" {
			fmt.Fprintf(w, "%s\tonly in %s with its type and shape\n", t.Name, t.Only)
			continue
		}
		fmt.Fprintf(w, "%s\t%.3g\t%.3g\n", t.Name, t.Largest, t.Relative)
	}
	return fault.Wrap(fault.Storage, w.Flush(), "inspect")
}

// InspectCommand is `elektron inspect`.
func InspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what a checkpoint holds, or how two differ",
		ArgsUsage: "RUN|CHECKPOINT",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "diff", Usage: "another run or checkpoint to compare with"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return fault.New(fault.Usage, "inspect: %d arguments; want one, a run's folder or a checkpoint (compare two with --diff)", c.NArg())
			}
			first, err := Inspect(c.Args().First())
			if err != nil {
				return err
			}
			var shown interface{ write(io.Writer) error } = first
			if c.IsSet("diff") {
				second, err := Inspect(c.String("diff"))
				if err != nil {
					return err
				}
				shown = Compare(first, second)
			}
			if c.Bool("json") {
				return fault.Wrap(fault.Storage, json.NewEncoder(c.App.Writer).Encode(shown), "inspect")
			}
			return shown.write(c.App.Writer)
		},
	}
}
