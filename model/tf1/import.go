package tf1

import (
	"fmt"
	"slices"
	"strings"

	"elektron/internal/fault"
	"elektron/model"
)

// Checkpoint is a model of the official code as read from a tensor bundle.
type Checkpoint struct {
	Prefix string // of its files
	Step   int64  // training steps that it has behind it; 0 where it does not say
	Config model.Config

	// Guessed are the keys of the configuration that the shapes do not tell: Config has the official values.
	// Heads of 0 are those of a width that the official code has none for; somebody must say them.
	Guessed []string

	Weights map[string][]float32 // by elektron's names, row-major
	Unused  []string             // variables that the model has no place for, but for Moments

	// FirstMoments and SecondMoments are Adam's, by the weights' names. Both are nil where any is missing: the
	// official code publishes none.
	FirstMoments, SecondMoments map[string][]float32
}

// Import reads the checkpoint that Find found. Heads, or a whole generator, may be missing; a hole in an
// encoder, a variable of another shape or type, and anything malformed is an error of kind fault.Data that
// names the variable, what was expected and what was found.
func Import(prefix string) (*Checkpoint, error) {
	b, err := openBundle(prefix)
	if err != nil {
		return nil, err
	}
	defer b.close()
	c := &Checkpoint{Prefix: prefix, Guessed: []string{"model.heads", "model.generator.heads"}}
	if c.Config, err = b.configuration(); err != nil {
		return nil, err
	}
	if v, ok := b.variables[stepName]; ok {
		if c.Step, err = b.int64(v); err != nil {
			return nil, err
		}
		if c.Step < 0 {
			return nil, fault.New(fault.Data, "tf1: %s: %s is %d", indexFile(prefix), stepName, c.Step)
		}
	}
	if len(b.scope(generatorScope)) == 0 && c.Config.Sharing == model.SharingEmbeddings && c.Config.Objective == model.ObjectiveELECTRA {
		c.Guessed = append(c.Guessed, "model.generator.encoder", "model.generator.size", "model.generator.hidden_size",
			"model.generator.layers", "model.generator.intermediate_size")
	}
	return c, c.take(b)
}

// take reads the weights, and the moments if all are there.
func (c *Checkpoint) take(b *bundle) (err error) {
	present, err := b.match(c.Config.Weights())
	if err != nil {
		return err
	}
	if c.Weights, err = b.readAll(present, ""); err != nil {
		return err
	}
	if b.hasAll(present, firstMoment) && b.hasAll(present, secondMoment) {
		if c.FirstMoments, err = b.readAll(present, firstMoment); err != nil {
			return err
		}
		if c.SecondMoments, err = b.readAll(present, secondMoment); err != nil {
			return err
		}
	}
	c.Unused = b.leftovers(present, c.FirstMoments != nil)
	return nil
}

// match gives the weights that the bundle has, in the right shape. Only heads and a whole generator may be
// missing.
func (b *bundle) match(weights []model.Weight) ([]model.Weight, error) {
	var present []model.Weight
	var holes []string
	for _, w := range weights {
		name, transposed := variableName(w.Name)
		v, ok := b.variables[name]
		if !ok {
			scope, _, _ := strings.Cut(name, "/")
			if scope += "/"; scope == discriminatorScope || scope == generatorScope && len(b.scope(scope)) > 0 {
				holes = append(holes, fmt.Sprintf("%s %v", name, stored(w.Shape, transposed)))
			}
			continue
		}
		if want := stored(w.Shape, transposed); !slices.Equal(v.shape, want) {
			return nil, fault.New(fault.Data, "tf1: %s: variable %s has shape %v, expected %v", indexFile(b.prefix), name, v.shape, want)
		}
		present = append(present, w)
	}
	if len(holes) > 0 {
		return nil, fault.New(fault.Data, "tf1: %s: %d variables of an encoder are missing, among them %s", indexFile(b.prefix), len(holes), holes[0])
	}
	return present, nil
}

// stored is a weight's shape in the bundle.
func stored(shape []int, transposed bool) []int {
	if transposed {
		return []int{shape[1], shape[0]}
	}
	return shape
}

// readAll reads weights, or with a suffix what is saved below them, by elektron's names.
func (b *bundle) readAll(weights []model.Weight, suffix string) (map[string][]float32, error) {
	all := map[string][]float32{}
	for _, w := range weights {
		name, transposed := variableName(w.Name)
		v := b.variables[name+suffix]
		if want := stored(w.Shape, transposed); !slices.Equal(v.shape, want) {
			return nil, fault.New(fault.Data, "tf1: %s: variable %s has shape %v, expected %v", indexFile(b.prefix), v.name, v.shape, want)
		}
		values, err := b.float32s(v)
		if err != nil {
			return nil, err
		}
		if transposed {
			values = transpose(values, w.Shape[0], w.Shape[1])
		}
		all[w.Name] = values
	}
	return all, nil
}

// transpose turns a matrix [in, out] into one [out, in].
func transpose(values []float32, out, in int) []float32 {
	turned := make([]float32, len(values))
	for i := range in {
		for o := range out {
			turned[o*in+i] = values[i*out+o]
		}
	}
	return turned
}

// hasAll tells whether the bundle has what is saved below every weight.
func (b *bundle) hasAll(weights []model.Weight, suffix string) bool {
	return !slices.ContainsFunc(weights, func(w model.Weight) bool {
		name, _ := variableName(w.Name)
		_, ok := b.variables[name+suffix]
		return !ok
	})
}

// leftovers lists the variables that are neither weights nor, if those were read, their moments.
func (b *bundle) leftovers(weights []model.Weight, moments bool) []string {
	taken := map[string]bool{stepName: true}
	for _, w := range weights {
		name, _ := variableName(w.Name)
		taken[name], taken[name+firstMoment], taken[name+secondMoment] = true, moments, moments
	}
	var list []string
	for name := range b.variables {
		if !taken[name] {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// scope lists the variables in a scope.
func (b *bundle) scope(name string) []string {
	var list []string
	for v := range b.variables {
		if strings.HasPrefix(v, name) {
			list = append(list, v)
		}
	}
	return list
}
