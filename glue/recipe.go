package glue

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"elektron/internal/fault"
	"elektron/internal/settings"
	"elektron/model"
)

// bySize are the values that depend on the width of the model: the rates and decays of ELECTRA's table 7, and learning
// rates around them for a search.
var bySize = []struct {
	upTo   int // hidden size
	lr     float64
	decay  float64
	search []float64
}{
	{256, 3e-4, 0.8, []float64{1e-4, 2e-4, 3e-4, 5e-4}},
	{768, 1e-4, 0.8, []float64{3e-5, 5e-5, 1e-4, 1.5e-4}},
	{1 << 30, 5e-5, 0.9, []float64{3e-5, 5e-5, 1e-4}},
}

// The official code's lengths of examples, in tokens; the second one is that of SQuAD.
const (
	usualSeqLen   = 128
	windowsSeqLen = 512
)

// sizeOf is the place in bySize of a model.
func sizeOf(hidden int) int {
	place := 0
	for bySize[place].upTo < hidden {
		place++
	}
	return place
}

// resolved is the recipe for a task and a model in which no value is left open.
func (f FinetuneConfig) resolved(t *Task, m *model.Config) FinetuneConfig {
	size := bySize[sizeOf(m.HiddenSize)]
	if f.MaxSeqLen == 0 && t.Spans != 0 {
		f.MaxSeqLen = min(windowsSeqLen, m.MaxPositions)
	} else if f.MaxSeqLen == 0 {
		f.MaxSeqLen = min(usualSeqLen, m.MaxPositions)
	}
	if f.LR == 0 {
		f.LR = size.lr
	}
	if f.LayerDecay == 0 {
		f.LayerDecay = size.decay
	}
	if f.Epochs == 0 {
		f.Epochs = float64(t.Epochs)
	}
	f.DoubleUnordered = f.DoubleUnordered && t.DoubleUnordered && t.Pair()
	return f
}

// transferTasks are the tasks that finetune.init_from_task is for unless a --task-config says otherwise: small ones of
// the same sort as MNLI, which the literature starts from its model (Liu et al., "RoBERTa", 2019, section 5.1).
var transferTasks = []string{"mrpc", "stsb", "rte"}

// recipes gives each task of the benchmark, SQuAD's and own ones the finetune keys that hold for it: the general ones, changed by
// the file of --task-config (where a name's dots are underscores). The error, of kind fault.Usage or fault.Storage, names all that is wrong.
func (c *Config) recipes(own ...*Task) (map[string]FinetuneConfig, error) {
	var fields []reflect.StructField
	all := slices.DeleteFunc(slices.Concat(Tasks(), spanTasks, own), func(t *Task) bool { return t.Model != "" })
	for i, t := range all { // a section for each task, also for those that are not run now
		fields = append(fields, reflect.StructField{Name: "Task" + strconv.Itoa(i), Type: reflect.TypeFor[FinetuneConfig](),
			Tag: reflect.StructTag(fmt.Sprintf("yaml:%q", strings.ReplaceAll(t.Name, ".", "_")))})
	}
	sections := reflect.New(reflect.StructOf(fields))
	for i, t := range all {
		general := c.Finetune
		if !slices.Contains(transferTasks, t.Name) {
			general.InitFromTask = ""
		}
		sections.Elem().Field(i).Set(reflect.ValueOf(general))
	}
	s := settings.New(sections.Interface())
	if c.Run.TaskConfig != "" {
		if err := s.LoadYAML(c.Run.TaskConfig); err != nil {
			return nil, fault.Wrap(fault.Usage, err, "glue: --task-config")
		}
	}
	var problems settings.Problems
	found := map[string]FinetuneConfig{}
	for i, t := range all {
		f := sections.Elem().Field(i).Interface().(FinetuneConfig)
		f.check(&problems, t.Name+".")
		found[t.Name] = f
	}
	return found, problems.Err()
}

// point is what a run of a task has of its own.
type point struct {
	seed   int64
	lr     float64
	epochs float64
}

// grid lists the learning rates and epochs of a sweep for a model of a width. Errors are of kind fault.Usage.
func (s *SweepConfig) grid(hidden int) ([]point, error) {
	var problems settings.Problems
	numbers := func(key string, texts []string, otherwise []float64) []float64 {
		var list []float64
		for _, text := range texts {
			x, err := strconv.ParseFloat(text, 64)
			if err != nil || !(x > 0) || x > 1e9 {
				problems.Addf("%s: %q is no positive number", key, text)
			}
			list = append(list, x)
		}
		if len(list) == 0 {
			return otherwise
		}
		return list
	}
	rates := numbers("sweep.lr", s.LR, bySize[sizeOf(hidden)].search)
	var points []point
	for _, epochs := range numbers("sweep.epochs", s.Epochs, []float64{3, 10}) {
		for _, lr := range rates {
			points = append(points, point{lr: lr, epochs: epochs})
		}
	}
	return points, problems.Err()
}
