package trainer

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"elektron/internal/fault"
	"elektron/trainer/checkpoint"
	"elektron/trainer/optimizer"
	"elektron/trainer/track"
)

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

// Compare finds out how two checkpoints differ. With a folder in Hugging Face's layout only what that holds is
// compared: weights, and the model's configuration.
func Compare(a, b *Inspection) *Difference {
	d := &Difference{A: a.Path, B: b.Path, Steps: [2]int64{a.Step, b.Step}}
	for _, key := range a.keys {
		if _, both := b.Config[key]; both && a.Config[key] != b.Config[key] {
			d.Config = append(d.Config, ConfigDifference{key, a.Config[key], b.Config[key]})
		}
	}
	comparable := func(t checkpoint.Tensor) bool { return a.isRun && b.isRun || slotOf(t.Name) == optimizer.Values }
	find := func(list []checkpoint.Tensor, t checkpoint.Tensor) *checkpoint.Tensor {
		at := slices.IndexFunc(list, func(other checkpoint.Tensor) bool {
			return other.Name == t.Name && other.DType == t.DType && slices.Equal(other.Shape, t.Shape)
		})
		if at < 0 {
			return nil
		}
		return &list[at]
	}
	for _, t := range a.tensors {
		switch other := find(b.tensors, t); {
		case !comparable(t):
		case other == nil:
			d.Differ = append(d.Differ, TensorDifference{Name: t.Name, Only: "a"})
		case string(t.Data) == string(other.Data):
			d.Equal++
		default:
			d.Differ = append(d.Differ, subtract(t, other))
		}
	}
	for _, t := range b.tensors {
		if comparable(t) && find(a.tensors, t) == nil {
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
	for i, path := range []string{d.A, d.B} {
		fmt.Fprintf(out, "%c: %s", "ab"[i], track.Printable(path))
		if d.Steps[i] > 0 {
			fmt.Fprintf(out, ", step %d", d.Steps[i])
		}
		fmt.Fprintln(out)
	}
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
