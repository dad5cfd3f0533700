package dataset

import (
	"iter"

	"elektron/internal/fault"
)

// Batch is what one step trains on. Rows lie one after the other in flat slices: B rows, S tokens a row,
// K masked slots a row. The original tokens at the masked positions are read from IDs.
type Batch struct {
	Size, SeqLen, Masked int // B, S, K

	IDs        []int32 // [B*S] [CLS] A [SEP] or [CLS] A [SEP] B [SEP], then padding
	SegmentIDs []int32 // [B*S] 0 for [CLS] A [SEP] and padding, 1 for B [SEP]
	Lengths    []int32 // [B] tokens that are not padding

	MaskedPositions []int32   // [B*K] positions in the row, ascending; 0 in unused slots, which come last
	MaskedInputs    []int32   // [B*K] what the generator sees there: [MASK] or the original token
	MaskedWeights   []float32 // [B*K] 1, or 0 in unused slots

	Examples []int64 // [B] number of the example in the index
}

// newBatch makes an empty batch of the dataset's shape.
func (d *Dataset) newBatch() *Batch {
	b, s, k := d.options.BatchSize, d.options.SeqLen, d.masked
	return &Batch{
		Size: b, SeqLen: s, Masked: k,
		IDs: make([]int32, b*s), SegmentIDs: make([]int32, b*s), Lengths: make([]int32, b),
		MaskedPositions: make([]int32, b*k), MaskedInputs: make([]int32, b*k), MaskedWeights: make([]float32, b*k),
		Examples: make([]int64, b),
	}
}

// Batch returns the batch of a step (from 0): a pure function of (seed, step). Every example comes once an epoch, in
// another order and with other masks each time; a batch may straddle two epochs. In a mixture, the parts have the share
// of rows that their weights say, and epochs of their own.
func (d *Dataset) Batch(step int64) (*Batch, error) {
	b := d.newBatch()
	return b, d.FillRows(b, step, 0, b.Size)
}

// FillRows writes rows [rowStart, rowEnd) of the step's global batch into the same rows of b and leaves
// the others alone, so that a host reads only the rows of its devices. b comes from Batch, of this or of
// an earlier step.
func (d *Dataset) FillRows(b *Batch, step int64, rowStart, rowEnd int) error {
	if step < 0 || rowStart < 0 || rowEnd < rowStart || rowEnd > d.options.BatchSize {
		return fault.New(fault.Internal, "dataset: no rows %d to %d of step %d in batches of %d", rowStart, rowEnd, step, d.options.BatchSize)
	}
	if b.Size != d.options.BatchSize || b.SeqLen != d.options.SeqLen || b.Masked != d.masked {
		return fault.New(fault.Internal, "dataset: batch of shape [%d, %d], %d masked does not fit this dataset", b.Size, b.SeqLen, b.Masked)
	}
	order := d.cursor()
	var scratch maskScratch
	for row := rowStart; row < rowEnd; row++ {
		b.Examples[row] = order.example(step*int64(b.Size) + int64(row))
		if err := d.fillText(b, row); err != nil {
			return err
		}
		d.fillMasks(b, step, row, &scratch)
	}
	return nil
}

// fillText writes the tokens, segments and length of a row whose example number is set.
func (d *Dataset) fillText(b *Batch, row int) error {
	from, e := d.example(b.Examples[row])
	ids := b.IDs[row*b.SeqLen : (row+1)*b.SeqLen]
	segments := b.SegmentIDs[row*b.SeqLen : (row+1)*b.SeqLen]
	length := e.length()
	a, second := e.lenA(), e.lenB()
	// Both segments are one range of tokens: it is read in one go, then B moves up by one for the [SEP].
	if _, err := from.tokens.AppendTokens(ids[1:1], e.start(), a+second); err != nil {
		return fault.Wrap(fault.Data, err, "dataset: example %d", b.Examples[row])
	}
	if second > 0 {
		copy(ids[2+a:], ids[1+a:1+a+second])
		ids[length-1] = d.special.sep
	}
	ids[0], ids[1+a] = d.special.cls, d.special.sep
	for i := length; i < len(ids); i++ {
		ids[i] = d.special.pad
	}
	clear(segments)
	for i := a + 2; i < length; i++ {
		segments[i] = 1
	}
	b.Lengths[row] = int32(length)
	return nil
}

// ValidationBatches gives the first batches of the dataset, at most limit of them: the same examples in
// the same order with the same masks each time it is called. It stops after one pass over the examples and
// leaves out the last incomplete batch; where all examples together do not fill one batch they are
// repeated to fill it.
func (d *Dataset) ValidationBatches(limit int) iter.Seq2[*Batch, error] {
	count := max(1, d.Examples()/int64(d.options.BatchSize))
	return func(yield func(*Batch, error) bool) {
		for step := range min(count, int64(limit)) {
			b, err := d.Batch(step)
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}
