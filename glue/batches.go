package glue

import (
	"iter"
	"math/rand/v2"
	"slices"

	"elektron/internal/fault"
)

// Batch is what one step takes: B rows of S tokens, one after the other in flat slices. S is one of a few lengths,
// B is always the same. Rows that stand for no example come last: [CLS] [SEP] with weight 0.
type Batch struct {
	Size, SeqLen int // B, S
	Rows         int // examples; the other rows have weight 0

	IDs        []int32   // [B*S] [CLS] A [SEP] or [CLS] A [SEP] B [SEP], then padding
	SegmentIDs []int32   // [B*S] 1 for B [SEP], else 0
	Lengths    []int32   // [B] tokens that are not padding
	Labels     []int32   // [B] classes; nil for other tasks
	Scores     []float32 // [B] targets from 0 to 1 (Task.Target); nil but for regression
	Starts     []int32   // [B] place of the answer's first token; 0 for none; nil but for SQuAD
	Ends       []int32   // [B] place of its last token
	Weights    []float32 // [B] 1 for examples, else 0
	Examples   []int     // [B] numbers of the examples; -1 for none
}

// Batches makes batches of a split in which examples of about the same length are together, so that short ones do
// not pay for the padding of long ones.
type Batches struct {
	data    *Encoded
	size    int
	lengths []int
	buckets [][]int // examples by the shortest length that they fit
}

// NewBatches sorts a split into buckets of the lengths (ascending, see ChooseLengths) for batches of a size.
func NewBatches(data *Encoded, size int, lengths []int) (*Batches, error) {
	if size < 1 || len(lengths) == 0 || !slices.IsSorted(lengths) {
		return nil, fault.New(fault.Internal, "glue: batches of %d examples in lengths %v", size, lengths)
	}
	b := &Batches{data: data, size: size, lengths: lengths, buckets: make([][]int, len(lengths))}
	for i := range data.Len() {
		bucket := b.bucket(data.Length(i))
		if bucket == len(lengths) {
			return nil, fault.New(fault.Internal, "glue: example %d has %d tokens, the longest batch %d", i, data.Length(i), lengths[bucket-1])
		}
		b.buckets[bucket] = append(b.buckets[bucket], i)
	}
	return b, nil
}

// bucket is the place of the shortest length that takes so many tokens.
func (b *Batches) bucket(tokens int) int {
	place, _ := slices.BinarySearch(b.lengths, tokens)
	return place
}

// Steps is the number of batches of an epoch: as many as without buckets.
func (b *Batches) Steps() int { return (b.data.Len() + b.size - 1) / b.size }

// Epoch gives the batches of an epoch (from 0): each example once, in an order that is a function of seed and epoch.
func (b *Batches) Epoch(seed, epoch int64) iter.Seq[*Batch] {
	random := rand.New(rand.NewPCG(uint64(seed), uint64(epoch)))
	buckets := make([][]int, len(b.buckets))
	for i, bucket := range b.buckets {
		buckets[i] = slices.Clone(bucket)
		shuffle(random, buckets[i])
	}
	plan := b.plan(buckets)
	shuffle(random, plan)
	return b.batches(plan)
}

// InOrder gives each example once, in an order that is always the same, for evaluation.
func (b *Batches) InOrder() iter.Seq[*Batch] { return b.batches(b.plan(b.buckets)) }

func shuffle[T any](random *rand.Rand, list []T) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// planned are the examples of a batch and the bucket whose length it has.
type planned struct {
	bucket   int
	examples []int
}

// plan cuts the buckets into batches. What is left of a bucket goes to the next longer one, so that only the last
// batch of all may be incomplete.
func (b *Batches) plan(buckets [][]int) []planned {
	var plan []planned
	var left []int
	for i, bucket := range buckets {
		bucket = append(left, bucket...)
		full := len(bucket) / b.size * b.size
		for start := 0; start < full; start += b.size {
			plan = append(plan, planned{i, bucket[start : start+b.size]})
		}
		left = slices.Clone(bucket[full:])
	}
	if len(left) > 0 {
		longest := 0
		for _, example := range left {
			longest = max(longest, b.data.Length(example))
		}
		plan = append(plan, planned{b.bucket(longest), left})
	}
	return plan
}

func (b *Batches) batches(plan []planned) iter.Seq[*Batch] {
	return func(yield func(*Batch) bool) {
		for _, p := range plan {
			if !yield(b.batch(p)) {
				return
			}
		}
	}
}

// batch writes out a planned batch.
func (b *Batches) batch(p planned) *Batch {
	s := b.lengths[p.bucket]
	x := &Batch{
		Size: b.size, SeqLen: s, Rows: len(p.examples),
		IDs: make([]int32, b.size*s), SegmentIDs: make([]int32, b.size*s), Lengths: make([]int32, b.size),
		Weights: make([]float32, b.size), Examples: make([]int, b.size),
	}
	switch {
	case b.data.task.Spans != 0:
		x.Starts, x.Ends = make([]int32, b.size), make([]int32, b.size)
	case b.data.task.Regression():
		x.Scores = make([]float32, b.size)
	default:
		x.Labels = make([]int32, b.size)
	}
	for row := range b.size {
		ids, second := []int32{b.data.special.class, b.data.special.sep}, 2
		x.Examples[row] = -1
		if row < len(p.examples) {
			example := p.examples[row]
			ids, second = b.data.row(example)
			x.Examples[row], x.Weights[row] = example, 1
			x.setTarget(row, b.data, example)
		}
		x.setText(row, ids, second, b.data.special.pad)
	}
	return x
}

func (x *Batch) setTarget(row int, data *Encoded, example int) {
	switch {
	case x.Scores != nil:
		x.Scores[row] = float32(data.task.Target(data.examples[example].Score))
	case x.Labels != nil:
		x.Labels[row] = int32(data.examples[example].Label)
	case data.spans != nil:
		x.Starts[row], x.Ends[row] = data.spans[example][0], data.spans[example][1]
	}
}

func (x *Batch) setText(row int, ids []int32, second int, pad int32) {
	to, segments := x.IDs[row*x.SeqLen:(row+1)*x.SeqLen], x.SegmentIDs[row*x.SeqLen:(row+1)*x.SeqLen]
	n := copy(to, ids)
	for i := n; i < len(to); i++ {
		to[i] = pad
	}
	for i := second; i < n; i++ {
		segments[i] = 1
	}
	x.Lengths[row] = int32(n)
}
