// Axes: B batch, S sequence, K positions to fill, V vocabulary.
package trainer

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/model"
)

// Demo runs a trained model on single sentences: it tells which tokens look replaced, and fills masks.
type Demo struct {
	model     *Model
	device    *platform.Device
	tokenizer *wordpiece.Tokenizer
	weights   []model.Weight // those that the model has
	values    []*tensors.Tensor
}

// Judgement is what the discriminator says of one token.
type Judgement struct {
	Token       string  `json:"token"`
	ID          int32   `json:"id"`
	Special     bool    `json:"special,omitempty"` // [CLS], [SEP], …: never replaced in training
	Logit       float64 `json:"logit"`
	Probability float64 `json:"probability"` // of being a replacement
}

// Filling is what the generator would put for one [MASK].
type Filling struct {
	Position   int         `json:"position"` // in the sequence, [CLS] being 0
	Candidates []Candidate `json:"candidates"`
}

// Candidate is one token of a Filling, the most likely first.
type Candidate struct {
	Token       string  `json:"token"`
	ID          int32   `json:"id"`
	Logit       float64 `json:"logit"`
	Probability float64 `json:"probability"`
}

// candidates is how many of them a Filling has.
const candidates = 5

// NewDemo opens a device for a model. Without a vocabulary there is nothing to read text with: an error of
// kind fault.Usage.
func NewDemo(ctx context.Context, m *Model, o platform.Options) (*Demo, error) {
	if m.Vocabulary == nil {
		return nil, fault.New(fault.Usage, "demo: no vocabulary lies beside %s; name it with --vocab", m.Path)
	}
	device, err := platform.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	d := &Demo{model: m, device: device, tokenizer: wordpiece.New(m.Vocabulary, m.Text)}
	d.upload()
	return d, nil
}

// upload makes tensors of the weights that the model has.
func (d *Demo) upload() {
	for _, w := range d.model.Config.Weights() {
		if values, ok := d.model.Weights[w.Name]; ok {
			d.weights = append(d.weights, w)
			d.values = append(d.values, tensors.FromFlatDataAndDimensions(values, w.Shape...))
		}
	}
}

// Close releases the device.
func (d *Demo) Close() { d.device.Close() }

// Detect judges every token of a text, [CLS] and [SEP] included. Text beyond the longest input is left out.
func (d *Demo) Detect(text string) ([]Judgement, error) {
	ids, segments := d.tokenizer.EncodeSingle(text, d.model.Config.MaxPositions)
	logits, err := d.detect(ids, segments)
	if err != nil {
		return nil, err
	}
	list := make([]Judgement, len(ids))
	for i, id := range ids {
		z := float64(logits[i])
		list[i] = Judgement{Token: d.model.Vocabulary.Token(id), ID: id, Special: d.model.Vocabulary.IsSpecial(id),
			Logit: z, Probability: 1 / (1 + math.Exp(-z))}
	}
	return list, nil
}

// Fill guesses the tokens at every [MASK] of a text, which needs one.
func (d *Demo) Fill(text string) ([]Filling, error) {
	ids, segments := d.tokenizer.EncodeSingle(text, d.model.Config.MaxPositions)
	var positions []int32
	for i, id := range ids {
		if id == d.model.Vocabulary.MaskID() {
			positions = append(positions, int32(i))
		}
	}
	if len(positions) == 0 {
		return nil, fault.New(fault.Usage, "demo: --fill: there is no %s among the first %d tokens of %q", wordpiece.MaskToken, d.model.Config.MaxPositions, text)
	}
	logits, err := d.fill(ids, segments, positions)
	if err != nil {
		return nil, err
	}
	V := d.model.Config.VocabSize
	list := make([]Filling, len(positions))
	for k, position := range positions {
		list[k] = Filling{Position: int(position), Candidates: d.best(logits[k*V : (k+1)*V])}
	}
	return list, nil
}

// detect gives the discriminator's logits [S].
func (d *Demo) detect(ids, segments []int32) ([]float32, error) {
	return d.exec("discriminator", ids, segments, []int32{0}, func(ctx *model.Context, text model.Text, _ *graph.Node) *graph.Node {
		return d.model.Config.Detect(ctx, text)
	})
}

// fill gives the generator's logits [K·V].
func (d *Demo) fill(ids, segments, positions []int32) ([]float32, error) {
	return d.exec("generator", ids, segments, positions, func(ctx *model.Context, text model.Text, positions *graph.Node) *graph.Node {
		return d.model.Config.Fill(ctx, text, positions)
	})
}

// exec runs one side's graph on one sequence: build gets ids and segments [1,S] and positions [1,K].
func (d *Demo) exec(side string, ids, segments, positions []int32, build func(*model.Context, model.Text, *graph.Node) *graph.Node) (values []float32, err error) {
	S, n := len(ids), len(d.weights)
	for _, w := range d.model.Config.Weights() {
		if _, ok := d.model.Weights[w.Name]; !ok && strings.HasPrefix(w.Name, side) {
			return nil, fault.New(fault.Data, "demo: %s has no %s, so there is no %s to ask", d.model.Path, w.Name, side)
		}
	}
	err = fault.Catch("demo: "+side, func() error {
		exec, err := graph.NewExec(d.device.Backend, func(in []*graph.Node) *graph.Node {
			byName := map[string]*graph.Node{}
			for i, w := range d.weights {
				byName[w.Name] = in[i]
			}
			in = in[n:]
			return build(model.NewContext(byName, dtypes.Float32, nil), model.Text{IDs: in[0], SegmentIDs: in[1], Lengths: in[2]}, in[3])
		})
		if err != nil {
			return err
		}
		defer exec.Finalize()
		args := make([]any, 0, n+4)
		for _, t := range d.values {
			args = append(args, t)
		}
		args = append(args, tensors.FromFlatDataAndDimensions(ids, 1, S), tensors.FromFlatDataAndDimensions(segments, 1, S),
			tensors.FromFlatDataAndDimensions([]int32{int32(S)}, 1), tensors.FromFlatDataAndDimensions(positions, 1, len(positions)))
		out, err := exec.Exec(args...)
		if err != nil {
			return err
		}
		values, err = take(out[0])
		return err
	})
	for _, z := range values {
		if err == nil && (math.IsNaN(float64(z)) || math.IsInf(float64(z), 0)) {
			err = fault.New(fault.Data, "demo: the outputs of %s are not finite; `inspect` shows which of its weights are not", d.model.Path)
		}
	}
	return values, err
}

// best are the most likely tokens under logits [V]. Ids beyond the vocabulary, with which a table may be
// padded, are left out.
func (d *Demo) best(logits []float32) []Candidate {
	top := math.Inf(-1)
	for _, z := range logits {
		top = max(top, float64(z))
	}
	sum := 0.0
	order := make([]int32, min(len(logits), d.model.Vocabulary.Size()))
	for i, z := range logits {
		sum += math.Exp(float64(z) - top)
		if i < len(order) {
			order[i] = int32(i)
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
	list := make([]Candidate, min(candidates, len(order)))
	for i := range list {
		id := order[i]
		z := float64(logits[id])
		list[i] = Candidate{Token: d.model.Vocabulary.Token(id), ID: id, Logit: z, Probability: math.Exp(z-top) / sum}
	}
	return list
}
