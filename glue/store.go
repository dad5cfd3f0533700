package glue

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"elektron/internal/fault"
)

// record is a finished run as it lies in the output folder: not run again, and enough to write predictions from.
type record struct {
	Run      Run                     `json:"run"`
	Settings map[string]string       `json:"settings"` // all that its result depends on
	Outputs  map[string]savedOutputs `json:"outputs"`  // of dev and test splits
}

// savedOutputs are a model's outputs for a split.
type savedOutputs struct {
	Examples string `json:"examples"` // hash of the split's examples
	Values   []byte `json:"values"`   // float32, little-endian, row by row
}

func saveOutputs(held *heldOut, rows [][]float32) savedOutputs {
	o := savedOutputs{Examples: held.hash}
	for _, row := range rows {
		for _, x := range row {
			o.Values = binary.LittleEndian.AppendUint32(o.Values, math.Float32bits(x))
		}
	}
	return o
}

// of gives the outputs for a split; nil if these are not of its examples.
func (o savedOutputs) of(held *heldOut) [][]float32 {
	rows := make([][]float32, held.encoded.Len())
	total := 0
	for i := range rows {
		rows[i] = make([]float32, held.width(i))
		total += len(rows[i])
	}
	if o.Examples != held.hash || len(o.Values) != 4*total {
		return nil
	}
	values := o.Values
	for _, row := range rows {
		for k := range row {
			row[k], values = math.Float32frombits(binary.LittleEndian.Uint32(values)), values[4:]
		}
	}
	return rows
}

// complete says whether the record has outputs for all splits of the task; a run that failed needs none.
func (r *record) complete(data *prepared) bool {
	return r.Run.Failure != "" || !slices.ContainsFunc(slices.Concat(data.dev, data.test), func(h *heldOut) bool { return r.Outputs[h.key()].of(h) == nil })
}

// store is where finished runs lie: OUT/runs/TASK/….json.
type store struct{ out string }

// path names the run's file; runs of a sweep have their point in it.
func (s store) path(task string, p point, swept bool) string {
	name := fmt.Sprintf("seed-%d.json", p.seed)
	if swept {
		name = fmt.Sprintf("lr-%s-epochs-%s-%s", strconv.FormatFloat(p.lr, 'g', -1, 64), strconv.FormatFloat(p.epochs, 'g', -1, 64), name)
	}
	return join(join(join(s.out, "runs"), task), name)
}

// load reads a finished run; nil if there is none. One with other settings is an error of kind fault.Usage that names
// them, one that cannot be understood of kind fault.Data.
func (s store) load(ctx context.Context, path string, settings map[string]string) (*record, error) {
	text, err := readAll(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fault.New(fault.Data, "glue: %s: not a finished run: %v; remove it to run it again", path, err)
	}
	var differ []string
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if there := r.Settings[key]; there != settings[key] {
			differ = append(differ, fmt.Sprintf("%s is %s there and %s here", key, shown(there), shown(settings[key])))
		}
	}
	if len(differ) > 0 {
		return nil, fault.New(fault.Usage, "glue: %s is of another configuration: %s; give the same values, or another --out", path, strings.Join(differ, "; "))
	}
	return &r, nil
}

// shown cuts a hash to what tells it apart.
func shown(value string) string {
	if len(value) == 64 {
		return value[:12]
	}
	if value == "" {
		return `""`
	}
	return value
}

func (s store) save(ctx context.Context, path string, r *record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "glue: %s", path)
	}
	return writeFile(ctx, path, append(text, '\n'))
}
