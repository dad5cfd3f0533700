package glue

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
	"elektron/internal/testdata"
)

// letters is a tokenizer whose tokens are the letters a to z as words.
func letters(t testing.TB) *wordpiece.Tokenizer {
	t.Helper()
	tokens := wordpiece.SpecialTokens()
	for c := 'a'; c <= 'z'; c++ {
		tokens = append(tokens, string(c))
	}
	v, err := wordpiece.NewVocabulary(tokens)
	if err != nil {
		t.Fatal(err)
	}
	return wordpiece.New(v, wordpiece.Options{})
}

// words is a text of n tokens that differs from text to text.
func words(number, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%c ", 'a'+(number+i*i)%26)
	}
	return b.String()
}

func TestEncode(t *testing.T) {
	const pad, unknown, class, sep = 0, 1, 2, 3
	cases := []struct {
		name      string
		task      int
		example   Example
		maxLength int
		ids       []int32
		segments  []int32
		truncated int
		unknown   int
	}{
		{"single", 0, Example{A: "a b", B: "not there"}, 8, []int32{class, 5, 6, sep, pad, pad}, []int32{0, 0, 0, 0, 0, 0}, 0, 0},
		{"pair", 2, Example{A: "a b", B: "c !"}, 8, []int32{class, 5, 6, sep, 7, unknown, sep, pad}, []int32{0, 0, 0, 0, 1, 1, 1, 0}, 0, 1},
		{"longest first", 2, Example{A: "a b c d e", B: "x y"}, 8, []int32{class, 5, 6, 7, sep, 28, 29, sep}, []int32{0, 0, 0, 0, 0, 1, 1, 1}, 1, 0},
		{"just fits", 0, Example{A: "a b c"}, 5, []int32{class, 5, 6, 7, sep, pad}, []int32{0, 0, 0, 0, 0, 0}, 0, 0},
		{"too long", 0, Example{A: "a b c d"}, 5, []int32{class, 5, 6, 7, sep, pad}, []int32{0, 0, 0, 0, 0, 0}, 1, 0},
		{"empty", 2, Example{}, 8, []int32{class, sep, sep, pad}, []int32{0, 0, 1, 0}, 0, 0},
	}
	for _, c := range cases {
		e, err := Encode(t.Context(), tasks[c.task], []Example{c.example}, letters(t), c.maxLength)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		b, err := NewBatches(e, 1, []int{len(c.ids)})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for x := range b.InOrder() {
			if !slices.Equal(x.IDs, c.ids) || !slices.Equal(x.SegmentIDs, c.segments) {
				t.Errorf("%s: ids %v, segments %v, want %v, %v", c.name, x.IDs, x.SegmentIDs, c.ids, c.segments)
			}
		}
		if e.Truncated != c.truncated || e.Unknown != c.unknown {
			t.Errorf("%s: %d truncated, %d unknown", c.name, e.Truncated, e.Unknown)
		}
	}
	if _, err := Encode(t.Context(), tasks[0], nil, letters(t), 4); fault.KindOf(err) != fault.Usage {
		t.Errorf("no room: %v", err)
	}
}

// TestEncodeInParallel: one core and many encode alike.
func TestEncodeInParallel(t *testing.T) {
	var examples []Example
	for i := range 3*encodeChunk + 7 {
		examples = append(examples, Example{A: words(i, i%40), B: words(i+1, i%23)})
	}
	encode := func(cores int) *Encoded {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		e, err := Encode(t.Context(), tasks[2], examples, letters(t), 32)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	one, many := encode(1), encode(8)
	if !slices.Equal(one.ids, many.ids) || !slices.Equal(one.starts, many.starts) || !slices.Equal(one.second, many.second) || one.Truncated != many.Truncated || one.Len() != len(examples) {
		t.Errorf("%d and %d ids, %d and %d truncated", one.Tokens(), many.Tokens(), one.Truncated, many.Truncated)
	}
}

// lengthsOf makes a split of examples with these numbers of tokens.
func lengthsOf(t testing.TB, task *Task, lengths ...int) *Encoded {
	t.Helper()
	var examples []Example
	for i, n := range lengths {
		e := Example{A: words(i, n-2), Label: i % max(1, len(task.Labels)), Score: float64(i % 6), Index: i}
		if task.Pair() {
			e.A, e.B = words(i, 1), words(i, n-4)
		}
		examples = append(examples, e)
	}
	e, err := Encode(t.Context(), task, examples, letters(t), 512)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestBatches(t *testing.T) {
	mixed := []int{}
	for i := range 203 {
		mixed = append(mixed, 5+(i*37)%120)
	}
	cases := []struct {
		name    string
		task    int
		lengths []int // of the examples
		shapes  []int
		size    int
	}{
		{"mixed", 2, mixed, []int{16, 64, 128}, 8},
		{"regression", 3, mixed, []int{32, 128}, 16},
		{"one shape", 0, mixed, []int{128}, 10},
		{"a batch for each", 0, mixed[:7], []int{16, 128}, 1},
		{"fewer than a batch", 0, []int{5, 6, 90}, []int{16, 96, 128}, 8},
		{"all short", 0, []int{5, 6, 7}, []int{16, 128}, 2},
		{"a bucket without examples", 0, []int{5, 6, 7, 100}, []int{16, 64, 128}, 2},
		{"none", 0, nil, []int{16}, 4},
	}
	for _, c := range cases {
		e := lengthsOf(t, tasks[c.task], c.lengths...)
		b, err := NewBatches(e, c.size, c.shapes)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		checkBatches(t, c.name+", in order", b, slices.Collect(b.InOrder()))
		first := slices.Collect(b.Epoch(1, 0))
		checkBatches(t, c.name+", epoch 0", b, first)
		checkBatches(t, c.name+", epoch 1", b, slices.Collect(b.Epoch(1, 1)))
		again, err := NewBatches(e, c.size, c.shapes)
		if err != nil || order(again.Epoch(1, 0)) != order(slices.Values(first)) {
			t.Errorf("%s: another order with the same seed", c.name)
		}
		if len(c.lengths) > 100 && (order(b.Epoch(2, 0)) == order(slices.Values(first)) || order(b.Epoch(1, 1)) == order(slices.Values(first))) {
			t.Errorf("%s: the order does not depend on seed and epoch", c.name)
		}
	}
	long := lengthsOf(t, tasks[0], 5, 17)
	for _, c := range []struct {
		size    int
		lengths []int
	}{{1, []int{16}}, {0, []int{32}}, {1, nil}, {1, []int{32, 16}}} {
		if _, err := NewBatches(long, c.size, c.lengths); fault.KindOf(err) != fault.Internal || err == nil {
			t.Errorf("batches of %d in %v: %v", c.size, c.lengths, err)
		}
	}
}

// order is the order of the examples in some batches.
func order(batches func(func(*Batch) bool)) string {
	var b strings.Builder
	for x := range batches {
		fmt.Fprintln(&b, x.SeqLen, x.Examples)
	}
	return b.String()
}

// checkBatches: each example once, in rows of its own text; static shapes; one incomplete batch at most.
func checkBatches(t *testing.T, name string, b *Batches, batches []*Batch) {
	t.Helper()
	if len(batches) != b.Steps() {
		t.Errorf("%s: %d batches, want %d", name, len(batches), b.Steps())
	}
	seen := make([]int, b.data.Len())
	incomplete := 0
	for _, x := range batches {
		if x.Size != b.size || !slices.Contains(b.lengths, x.SeqLen) || len(x.IDs) != x.Size*x.SeqLen || len(x.SegmentIDs) != len(x.IDs) ||
			len(x.Lengths) != x.Size || len(x.Weights) != x.Size || len(x.Examples) != x.Size || len(x.Labels)+len(x.Scores) != x.Size {
			t.Errorf("%s: a batch of the shape [%d, %d]", name, x.Size, x.SeqLen)
			return
		}
		if x.Rows < x.Size {
			incomplete++
		}
		for row := range x.Size {
			checkRow(t, name, b, x, row)
			if x.Examples[row] >= 0 {
				seen[x.Examples[row]]++
			}
		}
	}
	if incomplete > 1 || slices.ContainsFunc(seen, func(n int) bool { return n != 1 }) {
		t.Errorf("%s: %d incomplete batches; examples seen %v times", name, incomplete, seen)
	}
}

func checkRow(t *testing.T, name string, b *Batches, x *Batch, row int) {
	t.Helper()
	ids := x.IDs[row*x.SeqLen : (row+1)*x.SeqLen]
	n := int(x.Lengths[row])
	for _, id := range ids[n:] {
		if id != b.data.special.pad {
			t.Errorf("%s: %v is not padding", name, ids[n:])
		}
	}
	example := x.Examples[row]
	if (example >= 0) != (row < x.Rows) || (x.Weights[row] == 1) != (example >= 0) || x.Weights[row] != 0 && x.Weights[row] != 1 {
		t.Errorf("%s: row %d of %d: example %d of weight %v", name, row, x.Rows, example, x.Weights[row])
	}
	if example < 0 {
		if n != 2 || ids[0] != b.data.special.class || ids[1] != b.data.special.sep {
			t.Errorf("%s: a row for no example holds %v", name, ids)
		}
		return
	}
	want, _ := b.data.row(example)
	if !slices.Equal(ids[:n], want) {
		t.Errorf("%s: example %d: ids %v, want %v", name, example, ids[:n], want)
	}
	if e := b.data.examples[example]; x.Labels != nil && int(x.Labels[row]) != e.Label || x.Scores != nil && x.Scores[row] != float32(e.Score/5) {
		t.Errorf("%s: example %d has another label", name, example)
	}
}

func TestChooseLengths(t *testing.T) {
	many := func(counts map[int]int) []int {
		var lengths []int
		for length, n := range counts {
			lengths = append(lengths, slices.Repeat([]int{length}, n)...)
		}
		return lengths
	}
	cases := []struct {
		name      string
		lengths   []int
		maxLength int
		most      int
		want      []int
	}{
		{"all short", []int{5, 9, 16}, 128, 3, []int{16}},
		{"short and long", many(map[int]int{10: 50, 120: 50}), 128, 3, []int{16, 128}},
		{"three kinds", many(map[int]int{10: 50, 60: 50, 120: 50}), 128, 3, []int{16, 64, 128}},
		{"of three kinds two", many(map[int]int{10: 90, 60: 50, 120: 50}), 128, 2, []int{16, 128}},
		{"one shape only", many(map[int]int{10: 90, 120: 1}), 128, 1, []int{128}},
		{"a few long ones", many(map[int]int{10: 90, 120: 1}), 128, 3, []int{16, 128}},
		{"hardly worth a shape", many(map[int]int{120: 90, 90: 1}), 128, 3, []int{128}},
		{"up to the limit", many(map[int]int{10: 90, 100: 9}), 100, 3, []int{16, 100}},
		{"beyond the limit's step", many(map[int]int{300: 9}), 512, 3, []int{320}},
		{"none", nil, 128, 3, []int{16}},
	}
	for _, c := range cases {
		if got := ChooseLengths(c.maxLength, c.most, lengthsOf(t, tasks[0], c.lengths...)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// BenchmarkEncode measures reading and encoding, and what the lengths save, on the real files.
func BenchmarkEncode(b *testing.B) {
	data := testdata.Data(b)
	v, err := wordpiece.Load(filepath.Join(data, "vocab", "vocab.txt"))
	if err != nil {
		b.Fatal(err)
	}
	tokenizer := wordpiece.New(v, v.Options())
	for _, task := range tasks[:6] {
		b.Run(task.Name, func(b *testing.B) {
			read, err := readSplit(b.Context(), filepath.Join(data, "glue"), task, "train")
			if err != nil {
				b.Skip(err)
			}
			var e *Encoded
			for b.Loop() {
				if e, err = Encode(b.Context(), task, read.List, tokenizer, 128); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(e.Tokens()*b.N)/b.Elapsed().Seconds(), "tokens/s")
			b.ReportMetric(float64(e.Tokens())/float64(e.Len()), "tokens/example")
			lengths := ChooseLengths(128, DefaultShapes, e)
			batches, err := NewBatches(e, 32, lengths)
			if err != nil {
				b.Fatal(err)
			}
			padded := 0
			for x := range batches.Epoch(1, 0) {
				padded += len(x.IDs)
			}
			b.ReportMetric(float64(padded)/float64(e.Len()), "padded/example")
			b.ReportMetric(float64(128*e.Len())/float64(padded), "times-less-than-128")
			b.Logf("%s: %d examples in lengths %v, %d truncated", task.Name, e.Len(), lengths, e.Truncated)
		})
	}
}
