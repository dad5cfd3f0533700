package dataset

import (
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// mixed makes a dataset of parts of 100, 200, ... documents with the weights.
func mixed(t *testing.T, o BatchOptions, weights ...float64) *Dataset {
	t.Helper()
	var parts []part
	for i, w := range weights {
		text := randomText(100*(i+1), 8, 40)
		examples, err := buildIndex(t.Context(), text, o, 2)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part{tokens: text, examples: examples, weight: w})
	}
	d, err := newDataset(parts, testIDs, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Each block of places has the shares of the weights exactly, in no order that a part could be told by, and every
// part goes through its own examples epoch by epoch.
func TestMixtureShares(t *testing.T) {
	weights := []float64{6, 3, 1}
	d := mixed(t, options(64), weights...)
	order := d.cursor()
	counts, early := make([]int, len(weights)), make([]int, len(weights))
	seen := make([]map[int64]int, len(weights))
	for i := range seen {
		seen[i] = map[int64]int{}
	}
	for place := range int64(2 * mixtureBlock) {
		number := order.example(place)
		from, _ := d.example(number)
		i := slices.IndexFunc(d.parts, func(p part) bool { return p.first == from.first })
		counts[i]++
		seen[i][number]++
		if place < 1000 {
			early[i]++
		}
	}
	for i, w := range weights {
		if want := w / 10 * 2 * mixtureBlock; math.Abs(float64(counts[i])-want) > 2 {
			t.Errorf("part %d has %d of %d places, want %.0f", i, counts[i], 2*mixtureBlock, want)
		}
		expectShare(t, fmt.Sprintf("part %d among the first 1000", i), float64(early[i])/1000, w/10, 1000)
		n := len(d.parts[i].examples)
		low, high := counts[i]/n, counts[i]/n+1
		for number, times := range seen[i] {
			// Places come in another order within a block, so the last epoch that a block begins is open.
			if times < low-1 || times > high+1 {
				t.Errorf("example %d of part %d came %d times in %d draws of %d examples", number, i, times, counts[i], n)
				break
			}
		}
		if len(seen[i]) != n {
			t.Errorf("part %d: %d of %d examples came", i, len(seen[i]), n)
		}
	}
}

// The draws of a part number its examples without gaps: over whole blocks each comes as often as the others, but for one.
func TestMixtureEpochs(t *testing.T) {
	d := mixed(t, options(32), 1, 2)
	order := d.cursor()
	times := make([]int, d.Examples())
	for place := range int64(mixtureBlock) {
		times[order.example(place)]++
	}
	for i, p := range d.parts {
		of := times[p.first : p.first+int64(len(p.examples))]
		if slices.Max(of)-slices.Min(of) > 1 {
			t.Errorf("part %d: examples come %d to %d times", i, slices.Min(of), slices.Max(of))
		}
	}
}

// A mixture's batch is a pure function of (seed, step) and of which rows are asked for.
func TestMixtureIsPure(t *testing.T) {
	o := options(64)
	d, again := mixed(t, o, 3, 1), mixed(t, o, 3, 1)
	for _, step := range []int64{0, 7, 900_000} {
		want, err := d.Batch(step)
		if err != nil {
			t.Fatal(err)
		}
		got := again.newBatch()
		for row := range o.BatchSize { // one host a row, the last row first
			if err := again.FillRows(got, step, o.BatchSize-1-row, o.BatchSize-row); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("step %d: rows on their own differ from the batch", step)
		}
	}
	o.Seed++
	other := mixed(t, o, 3, 1)
	a, _ := d.Batch(3)
	b, _ := other.Batch(3)
	if slices.Equal(a.Examples, b.Examples) {
		t.Error("another seed gives the same examples")
	}
}

func TestMixtureOf(t *testing.T) {
	for _, c := range []struct {
		weights []float64
		slots   []int64 // ends
	}{
		{[]float64{1}, []int64{mixtureBlock}},
		{[]float64{0.5, 0.5}, []int64{mixtureBlock / 2, mixtureBlock}},
		{[]float64{1, 1, 1}, []int64{21846, 43691, mixtureBlock}},
		{[]float64{1e-9, 1}, []int64{1, mixtureBlock}},
		{[]float64{1e-9, 1, 1e-9}, []int64{1, mixtureBlock - 1, mixtureBlock}},
	} {
		m, err := mixtureOf(c.weights)
		if err != nil || !slices.Equal(m.ends, c.slots) {
			t.Errorf("%v: slots end at %v, error %v; want %v", c.weights, m.ends, err, c.slots)
		}
	}
	for _, bad := range [][]float64{{1, 0}, {-1, 1}, {math.NaN()}, {math.Inf(1)}, make([]float64, mixtureBlock+1)} {
		if _, err := mixtureOf(bad); fault.KindOf(err) != fault.Usage {
			t.Errorf("%.3v…: %v, want a usage error", bad[0], err)
		}
	}
}

func TestSourceOf(t *testing.T) {
	folder := t.TempDir()
	odd := filepath.Join(folder, "a=0.5")
	writeFile(t, odd, "amber")
	for path, want := range map[string]Source{
		"a":         {Folder: "a"},
		"a=0.5":     {Folder: "a", Weight: 0.5},
		"a=b=2e1":   {Folder: "a=b", Weight: 20},
		"year=x":    {Folder: "year=x"},
		odd:         {Folder: odd},
		odd + "=3":  {Folder: odd, Weight: 3},
		"d=1/*.txt": {Folder: "d=1/*.txt"},
	} {
		if got, err := sourceOf(path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, error %v; want %+v", path, got, err, want)
		}
	}
	for _, path := range []string{"a=0", "a=-1", "a=NaN", "a=Inf"} {
		if _, err := sourceOf(path); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v, want a usage error", path, err)
		}
	}
}

// Shards and text are mixed by weight; shards without weights are one corpus.
func TestPrepareMixture(t *testing.T) {
	_, first, err := buildTest(t, writeTexts(t, 2, 30, 6), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := filepath.Join(t.TempDir(), "other.txt")
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "amber of the sea shore %d\nold word for gold and light\n\n", i)
	}
	writeFile(t, lines, text.String())
	cache := t.TempDir()
	o := Options{Data: []string{first + "=3", lines + "=1"}, CacheDir: cache, BatchOptions: BatchOptions{SeqLen: 32, BatchSize: 400, MaskProb: 0.15}}
	p, _, err := prepare(t, o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Train.Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	of := 0
	for _, number := range b.Examples {
		if from, _ := p.Train.example(number); from == &p.Train.parts[0] {
			of++
		}
	}
	expectShare(t, "rows of the first part", float64(of)/400, 0.75, 400)

	_, second, err := buildTest(t, lines, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, _, err := prepare(t, Options{Data: []string{first, second}})
	if err != nil {
		t.Fatal(err)
	}
	order, seen := one.Train.cursor(), map[int64]bool{}
	for place := range one.Train.Examples() {
		seen[order.example(place)] = true
	}
	if int64(len(seen)) != one.Train.Examples() || one.Train.Examples() != one.Train.parts[1].first+int64(len(one.Train.parts[1].examples)) {
		t.Errorf("%d of %d examples in an epoch of two folders", len(seen), one.Train.Examples())
	}
	printed, _, err := data(t, "inspect", "--seq-len", "32", first+"=2", second+"=1")
	if err != nil || !strings.Contains(printed, first) || !strings.Contains(printed, second) {
		t.Errorf("error %v, inspect of a mixture says\n%s", err, printed)
	}

	_, cased, err := buildTest(t, lines, func(o *BuildOptions) { o.Cased = true })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		data []string
		want fault.Kind
		says string
	}{
		{[]string{first + "=1", second}, fault.Usage, "all paths or to none"},
		{[]string{first + "=1", cased + "=1"}, fault.Data, "normalisations"},
		{[]string{lines + "=1", lines + "=2"}, fault.Usage, "--vocab"},
		{[]string{first + "=x"}, fault.Usage, "no such file"},
	} {
		if _, _, err := prepare(t, Options{Data: c.data, CacheDir: cache}); fault.KindOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: error %v of kind %v, want kind %v that says %q", c.data, err, fault.KindOf(err), c.want, c.says)
		}
	}
}
