package dataset

import (
	"reflect"
	"slices"
	"testing"

	"elektron/internal/fault"
)

func TestBatchLayout(t *testing.T) {
	text := &memory{}
	text.add(3, 4)
	d, err := newDataset([]part{{tokens: text, examples: []example{packExample(0, 3, 4), packExample(1, 5, 0)}}}, testIDs, nil, BatchOptions{SeqLen: 12, BatchSize: 2, Seed: 1, MaskProb: 0.15})
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	pad, cls, sep := testIDs.pad, testIDs.cls, testIDs.sep
	want := map[int64][2][]int32{
		0: {{cls, 5, 6, 7, sep, 8, 9, 10, 11, sep, pad, pad}, {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0}},
		1: {{cls, 6, 7, 8, 9, 10, sep, pad, pad, pad, pad, pad}, make([]int32, 12)},
	}
	if !slices.Contains(b.Examples, 0) || !slices.Contains(b.Examples, 1) {
		t.Fatalf("examples %v, want 0 and 1", b.Examples)
	}
	for row, number := range b.Examples {
		ids, segments := b.IDs[row*12:(row+1)*12], b.SegmentIDs[row*12:(row+1)*12]
		if !slices.Equal(ids, want[number][0]) || !slices.Equal(segments, want[number][1]) {
			t.Errorf("example %d: ids %v, segments %v, want %v", number, ids, segments, want[number])
		}
		if length := map[int64]int32{0: 10, 1: 7}[number]; b.Lengths[row] != length {
			t.Errorf("example %d: length %d, want %d", number, b.Lengths[row], length)
		}
	}
}

// A batch depends on (seed, step) only: not on earlier calls, on what the batch held before, or on how
// its rows are split between hosts and devices.
func TestBatchIsPure(t *testing.T) {
	text := randomText(200, 10, 40)
	o := options(64)
	o.BatchSize = 24
	d, again := testDataset(t, text, o), testDataset(t, text, o)
	dirty, err := again.Batch(999)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int64{0, 1, 17, 900_000, 1 << 40} {
		want, err := d.Batch(step)
		if err != nil {
			t.Fatal(err)
		}
		for _, devices := range []int{1, 2, 4, 8} {
			rows := o.BatchSize / devices
			for device := devices - 1; device >= 0; device-- {
				if err := again.FillRows(dirty, step, device*rows, (device+1)*rows); err != nil {
					t.Fatal(err)
				}
			}
			if !reflect.DeepEqual(dirty, want) {
				t.Errorf("step %d on %d devices: another batch", step, devices)
			}
		}
	}
}

// Each epoch holds every example once, in another order and with other masks; other seeds differ too.
func TestEpochs(t *testing.T) {
	text := randomText(60, 10, 40)
	o := options(64)
	o.BatchSize = 7 // does not divide the epoch: batches straddle
	d := testDataset(t, text, o)
	n := d.Examples()
	var order []int64
	masks := map[int64][]int32{}
	sameMasks := 0
	for step := int64(0); step*7 < 3*n; step++ {
		b, err := d.Batch(step)
		if err != nil {
			t.Fatal(err)
		}
		for row, number := range b.Examples {
			positions := b.MaskedPositions[row*b.Masked : (row+1)*b.Masked]
			if earlier, ok := masks[number]; ok && b.Lengths[row] == 64 && slices.Equal(earlier, positions) {
				sameMasks++
			}
			masks[number] = positions
			order = append(order, number)
		}
	}
	epochs := [][]int64{order[:n], order[n : 2*n], order[2*n : 3*n]}
	for i, epoch := range epochs {
		for _, other := range epochs[:i] {
			if slices.Equal(epoch, other) {
				t.Errorf("epoch %d repeats the order of an earlier one", i)
			}
		}
		sorted := slices.Sorted(slices.Values(epoch))
		if int64(len(slices.Compact(sorted))) != n {
			t.Errorf("epoch %d does not hold every example once", i)
		}
	}
	if sameMasks > 0 {
		t.Errorf("%d full rows have the masks of an earlier epoch", sameMasks)
	}
	if got := d.Epoch(n); got != 7 {
		t.Errorf("step %d is in epoch %d, want 7", n, got)
	}
}

func TestSeedsDiffer(t *testing.T) {
	text := randomText(60, 10, 40)
	o := options(64)
	one := testDataset(t, text, o)
	o.Seed++
	b1, err1 := one.Batch(3)
	b2, err2 := testDataset(t, text, o).Batch(3)
	if err1 != nil || err2 != nil || slices.Equal(b1.Examples, b2.Examples) || slices.Equal(b1.MaskedPositions, b2.MaskedPositions) {
		t.Errorf("seeds 42 and 43 give the same examples or masks (errors %v, %v)", err1, err2)
	}
}

func TestValidationBatches(t *testing.T) {
	cases := []struct {
		examples, batch, limit, want int
	}{
		{10, 4, 100, 2}, {10, 4, 1, 1}, {10, 4, 0, 0}, {1, 4, 100, 1}, {3, 8, 2, 1}, {8, 4, 100, 2},
	}
	for _, c := range cases {
		text := &memory{}
		var examples []example
		for i := range c.examples {
			text.add(9)
			examples = append(examples, packExample(i*9, 9, 0))
		}
		o := options(16)
		o.BatchSize = c.batch
		d, err := newDataset([]part{{tokens: text, examples: examples}}, testIDs, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		collect := func() (all []*Batch) {
			for b, err := range d.ValidationBatches(c.limit) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, b)
			}
			return all
		}
		first := collect()
		if len(first) != c.want || !reflect.DeepEqual(first, collect()) {
			t.Errorf("%+v: %d batches, or others at the second call", c, len(first))
		}
	}
}

func TestBadBatchOptions(t *testing.T) {
	cases := map[string]func(*BatchOptions){
		"sequence length 7":   func(o *BatchOptions) { o.SeqLen = 7 },
		"sequence length 513": func(o *BatchOptions) { o.SeqLen = 513 },
		"batch size 0":        func(o *BatchOptions) { o.BatchSize = 0 },
		"batch size -1":       func(o *BatchOptions) { o.BatchSize = -1 },
		"mask probability 0":  func(o *BatchOptions) { o.MaskProb = 0 },
		"mask probability 1":  func(o *BatchOptions) { o.MaskProb = 1 },
	}
	for name, change := range cases {
		o := options(64)
		change(&o)
		if err := o.validate(); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v, want a usage error", name, err)
		}
	}
	if err := options(64).validate(); err != nil {
		t.Error(err)
	}
}

func TestNoExamples(t *testing.T) {
	if _, err := newDataset([]part{{tokens: &memory{}}}, testIDs, nil, options(64)); fault.KindOf(err) != fault.Data {
		t.Errorf("no text: %v, want a data error", err)
	}
}

func BenchmarkBatch(b *testing.B) {
	for name, wholeWord := range map[string]bool{"tokens": false, "words": true} {
		b.Run(name, func(b *testing.B) {
			o := BatchOptions{SeqLen: 128, BatchSize: 256, Seed: 42, MaskProb: 0.15, WholeWord: wholeWord}
			d := testDataset(b, randomText(2000, 20, 60), o)
			d.continuation = everyThird(len(d.parts[0].tokens.(*memory).tokens) + firstTextID)
			b.ReportAllocs()
			start := cpuSeconds(b)
			for step := int64(0); b.Loop(); step++ {
				if _, err := d.Batch(step); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpuSeconds(b)-start)/float64(b.N)*1e6, "cpu-µs/batch")
		})
	}
}
