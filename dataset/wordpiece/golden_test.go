package wordpiece

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"elektron/internal/testdata"
)

// vector is a line of data/wordpiece/*.jsonl: what HF's tokenizer makes of a text or a pair.
type vector struct {
	Source  string   `json:"source"`
	Text    string   `json:"text"`
	Pair    *string  `json:"text_pair"`
	IDs     []int32  `json:"ids"`
	TypeIDs []int32  `json:"type_ids"`
	Decoded *string  `json:"decoded"`
	Tokens  []string `json:"tokens"`
}

func TestVectorsOfHF(t *testing.T) {
	data := testdata.Data(t)
	v, err := Load(filepath.Join(data, "vocab", "vocab.txt"))
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(data, "wordpiece", "*.jsonl"))
	if len(files) == 0 {
		t.Skipf("no wordpiece/*.jsonl in %s", data)
	}
	tokenizer := New(v, v.Options())
	for _, file := range files {
		vectors := readVectors(t, file)
		for i, x := range vectors {
			checkVector(t, tokenizer, filepath.Base(file), i+1, x)
		}
		t.Logf("%s: %d vectors", filepath.Base(file), len(vectors))
	}
}

func checkVector(t *testing.T, tokenizer *Tokenizer, file string, line int, x vector) {
	ids, segmentIDs := tokenizer.EncodeSingle(x.Text, 0)
	if x.Pair != nil {
		ids, segmentIDs = tokenizer.EncodePair(x.Text, *x.Pair, 0)
	}
	if !slices.Equal(ids, x.IDs) {
		t.Errorf("%s:%d (%s): %q\n got %v\nwant %v", file, line, x.Source, x.Text, ids, x.IDs)
	}
	if x.TypeIDs != nil && !slices.Equal(segmentIDs, x.TypeIDs) {
		t.Errorf("%s:%d (%s): %q: segment ids %v, want %v", file, line, x.Source, x.Text, segmentIDs, x.TypeIDs)
	}
	if x.Decoded != nil {
		if got := tokenizer.Decode(x.IDs); got != *x.Decoded {
			t.Errorf("%s:%d (%s): Decode gives %q, want %q", file, line, x.Source, got, *x.Decoded)
		}
	}
}

func readVectors(t *testing.T, file string) []vector {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	var vectors []vector
	for lines.Scan() {
		var x vector
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			t.Fatalf("%s:%d: %v", file, len(vectors)+1, err)
		}
		vectors = append(vectors, x)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return vectors
}
