package trainer

import (
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/dataset"
)

// batchTensors are a batch's arrays in the order of batchOf.
func batchTensors(b *dataset.Batch) []*tensors.Tensor {
	return []*tensors.Tensor{
		tensors.FromFlatDataAndDimensions(b.IDs, b.Size, b.SeqLen),
		tensors.FromFlatDataAndDimensions(b.SegmentIDs, b.Size, b.SeqLen),
		tensors.FromFlatDataAndDimensions(b.Lengths, b.Size),
		tensors.FromFlatDataAndDimensions(b.MaskedPositions, b.Size, b.Masked),
		tensors.FromFlatDataAndDimensions(b.MaskedInputs, b.Size, b.Masked),
		tensors.FromFlatDataAndDimensions(b.MaskedWeights, b.Size, b.Masked),
	}
}

// controlTensors are the scalars of controlsOf.
func controlTensors(c Control) []*tensors.Tensor {
	return []*tensors.Tensor{tensors.FromScalar(c.Seed), tensors.FromScalar(uint32(c.Step)),
		tensors.FromScalar(float32(c.LearningRate)), tensors.FromScalar(float32(c.DiscriminatorWeight))}
}

// totalTensors are the scalars of totalsOf, for the part of a batch that begins with row first.
func totalTensors(b *dataset.Batch, first int) []*tensors.Tensor {
	var masked, tokens float64
	for _, w := range b.MaskedWeights {
		masked += float64(w)
	}
	for _, n := range b.Lengths {
		tokens += float64(n)
	}
	return []*tensors.Tensor{tensors.FromScalar(uint32(first)), tensors.FromScalar(float32(masked)), tensors.FromScalar(float32(tokens))}
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

// stage lays the arrays of several steps one behind the other, as a program of n steps takes them. The rows of steps
// beyond the given ones repeat the last one's; they are not run.
func stage(batches []*dataset.Batch, controls []Control, n int) []*tensors.Tensor {
	at := func(i int) int { return min(i, len(batches)-1) }
	first := batches[0]
	B, S, K := first.Size, first.SeqLen, first.Masked
	return []*tensors.Tensor{
		staged(n, func(i int) []int32 { return batches[at(i)].IDs }, B, S),
		staged(n, func(i int) []int32 { return batches[at(i)].SegmentIDs }, B, S),
		staged(n, func(i int) []int32 { return batches[at(i)].Lengths }, B),
		staged(n, func(i int) []int32 { return batches[at(i)].MaskedPositions }, B, K),
		staged(n, func(i int) []int32 { return batches[at(i)].MaskedInputs }, B, K),
		staged(n, func(i int) []float32 { return batches[at(i)].MaskedWeights }, B, K),
		staged(n, func(i int) []uint32 { return []uint32{controls[at(i)].Seed} }),
		staged(n, func(i int) []uint32 { return []uint32{uint32(controls[at(i)].Step)} }),
		staged(n, func(i int) []float32 { return []float32{float32(controls[at(i)].LearningRate)} }),
		staged(n, func(i int) []float32 { return []float32{float32(controls[at(i)].DiscriminatorWeight)} }),
	}
}

// staged is an array [n, dims...] of n steps' arrays [dims...].
func staged[T int32 | uint32 | float32](n int, of func(int) []T, dims ...int) *tensors.Tensor {
	var all []T
	for i := range n {
		all = append(all, of(i)...)
	}
	return tensors.FromFlatDataAndDimensions(all, append([]int{n}, dims...)...)
}
