package dataset

import (
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestLengths(t *testing.T) {
	var l Lengths
	for _, n := range []int{1, 2, 3, 4, 7, 8, 1 << 20} {
		l.add(n)
	}
	want := make(Lengths, 21)
	want[0], want[1], want[2], want[3], want[20] = 1, 2, 2, 1, 1
	if !slices.Equal(l, want) {
		t.Errorf("%v, want %v", l, want)
	}
	for n, want := range map[int]string{1: "1", 512: "512", 1 << 12: "4K", 1 << 20: "1M"} {
		if got := shortNumber(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

// A build explains itself: the report's numbers are those of the shards, and the chart can be looked at.
func TestReport(t *testing.T) {
	m, folder, err := buildTest(t, writeTexts(t, 2, 30, 6), nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(folder, reportFile))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Tokens            int64   `json:"tokens"`
		TokensPerDocument float64 `json:"tokens_per_document"`
		DocumentLengths   Lengths `json:"document_lengths"`
		SentenceLengths   Lengths `json:"sentence_lengths"`
		Train, Valid      Split
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	sum := func(l Lengths) (n int64) {
		for _, v := range l {
			n += v
		}
		return n
	}
	documents, sentences := m.Train.Documents+m.Valid.Documents, m.Train.Sentences+m.Valid.Sentences
	if r.Tokens != m.Train.Tokens+m.Valid.Tokens || r.Train != m.Train || r.Valid != m.Valid || sum(r.DocumentLengths) != documents || sum(r.SentenceLengths) != sentences ||
		r.TokensPerDocument != float64(r.Tokens)/float64(documents) {
		t.Errorf("report %+v does not agree with %+v and %+v", r, m.Train, m.Valid)
	}
	f, err := os.Open(filepath.Join(folder, lengthsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	image, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if size := image.Bounds().Size(); size.X != 960 || size.Y != 384 {
		t.Errorf("the chart has %v pixels, want 960 x 384", size)
	}
	colours := map[uint32]bool{}
	for x := range 960 {
		red, _, blue, _ := image.At(x, 300).RGBA()
		colours[red<<16|blue] = true
	}
	if len(colours) < 2 {
		t.Error("the chart is blank")
	}
}
