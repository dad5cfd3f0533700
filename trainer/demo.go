package trainer

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"elektron/dataset/wordpiece"
	"elektron/internal/device"
	"elektron/internal/fault"
	"elektron/model"
)

// Demo runs a trained model on single sentences: it tells which tokens look replaced, and fills masks. Its
// methods may be called at the same time; they take turns on the device.
type Demo struct {
	model     *Model
	device    *device.Device
	tokenizer *wordpiece.Tokenizer
	weights   []model.Weight // those that the model has
	values    []device.Array
	programs  map[program]device.Program
	turn      chan struct{} // holds an element while somebody computes
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
func NewDemo(ctx context.Context, m *Model, o device.Options) (*Demo, error) {
	if m.Vocabulary == nil {
		return nil, fault.New(fault.Usage, "demo: no vocabulary lies beside %s; name it with --vocab", m.Path)
	}
	opened, err := device.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	d, err := newDemo(m, opened)
	if err != nil {
		opened.Close()
		return nil, err
	}
	d.tokenizer = wordpiece.New(m.Vocabulary, m.Text)
	return d, nil
}

// Close waits for what is being computed and releases the device. Nothing may be asked afterwards.
func (d *Demo) Close() {
	d.turn <- struct{}{}
	for _, p := range d.programs {
		p.Close()
	}
	device.CloseAll(d.values)
	d.device.Close()
}

// Detect judges every token of a text, [CLS] and [SEP] included. Errors have kind fault.Usage where the text is
// empty or longer than the model's longest input, fault.Data where the model has no discriminator or its
// outputs are not finite; the context's own where it ends before the device is free.
func (d *Demo) Detect(ctx context.Context, text string) ([]Judgement, error) {
	if err := d.begin(ctx, discriminator); err != nil {
		return nil, err
	}
	defer d.end()
	ids, err := d.encode(text)
	if err != nil {
		return nil, err
	}
	logits, err := d.detect(ids, make([]int32, len(ids)))
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

// Fill guesses the tokens at every [MASK] of a text, which needs one, and returns the text's ids too. Errors are
// those of Detect.
func (d *Demo) Fill(ctx context.Context, text string) (ids []int32, list []Filling, err error) {
	if err := d.begin(ctx, generator); err != nil {
		return nil, nil, err
	}
	defer d.end()
	if ids, err = d.encode(text); err != nil {
		return nil, nil, err
	}
	var positions []int32
	for i, id := range ids {
		if id == d.model.Vocabulary.MaskID() {
			positions = append(positions, int32(i))
		}
	}
	if len(positions) == 0 {
		return nil, nil, fault.New(fault.Usage, "demo: there is no %s in the text; write it where a word is to be guessed", wordpiece.MaskToken)
	}
	logits, err := d.fill(ids, make([]int32, len(ids)), positions)
	if err != nil {
		return nil, nil, err
	}
	V := d.model.Config.VocabSize
	list = make([]Filling, len(positions))
	for k, position := range positions {
		list[k] = Filling{Position: int(position), Candidates: d.best(logits[k*V : (k+1)*V])}
	}
	return ids, list, nil
}

// begin waits for the caller's turn, which end ends. It is refused where the model lacks the side.
func (d *Demo) begin(ctx context.Context, side string) error {
	if err := d.lacks(side); err != nil {
		return err
	}
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("demo: the device was not free in time: %w", ctx.Err())
	}
}

func (d *Demo) end() { <-d.turn }

// encode reads a text as the model does: [CLS] text [SEP].
func (d *Demo) encode(text string) ([]int32, error) {
	ids, _ := d.tokenizer.EncodeSingle(text, 0)
	limit := d.model.Config.MaxPositions
	switch {
	case len(ids) == 2:
		return nil, fault.New(fault.Usage, "demo: the text is empty; give at least one word")
	case len(ids) > limit:
		return nil, fault.New(fault.Usage, "demo: the text has %d tokens and the model reads at most %d, [CLS] and [SEP] among them; shorten it", len(ids), limit)
	}
	return ids, nil
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
