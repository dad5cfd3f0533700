package trainer

import (
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/dataset"
)

// batchTensors are a batch's arrays in the order of batchOf.
func batchTensors(b *dataset.Batch) []any {
	return []any{
		tensors.FromFlatDataAndDimensions(b.IDs, b.Size, b.SeqLen),
		tensors.FromFlatDataAndDimensions(b.SegmentIDs, b.Size, b.SeqLen),
		tensors.FromFlatDataAndDimensions(b.Lengths, b.Size),
		tensors.FromFlatDataAndDimensions(b.MaskedPositions, b.Size, b.Masked),
		tensors.FromFlatDataAndDimensions(b.MaskedInputs, b.Size, b.Masked),
		tensors.FromFlatDataAndDimensions(b.MaskedWeights, b.Size, b.Masked),
	}
}

// controlTensors are the scalars of controlsOf.
func controlTensors(c Control) []any {
	return []any{tensors.FromScalar(c.Seed), tensors.FromScalar(uint32(c.Step)),
		tensors.FromScalar(float32(c.LearningRate)), tensors.FromScalar(float32(c.DiscriminatorWeight))}
}

// totalTensors are the scalars of totalsOf, for the part of a batch that begins with row first.
func totalTensors(b *dataset.Batch, first int) []any {
	var masked, tokens float64
	for _, w := range b.MaskedWeights {
		masked += float64(w)
	}
	for _, n := range b.Lengths {
		tokens += float64(n)
	}
	return []any{tensors.FromScalar(uint32(first)), tensors.FromScalar(float32(masked)), tensors.FromScalar(float32(tokens))}
}

// rows is the part of a batch with n rows from first on; it shares its arrays.
func rows(b *dataset.Batch, first, n int) *dataset.Batch {
	if n == b.Size {
		return b
	}
	part := *b
	S, K := b.SeqLen, b.Masked
	part.Size = n
	part.IDs, part.SegmentIDs = b.IDs[first*S:(first+n)*S], b.SegmentIDs[first*S:(first+n)*S]
	part.Lengths = b.Lengths[first : first+n]
	part.MaskedPositions, part.MaskedInputs = b.MaskedPositions[first*K:(first+n)*K], b.MaskedInputs[first*K:(first+n)*K]
	part.MaskedWeights = b.MaskedWeights[first*K : (first+n)*K]
	return &part
}
