package dataset

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"elektron/dataset/tfrecord"
	"elektron/internal/fault"
)

// rows gives every example of an epoch as the text of its ids and segments.
func rows(t *testing.T, d *Dataset) map[string]int {
	t.Helper()
	found := map[string]int{}
	b := d.newBatch()
	for i := range d.Examples() {
		b.Examples[0] = i
		if err := d.fillText(b, 0); err != nil {
			t.Fatal(err)
		}
		found[reflectString(b.IDs[:b.Lengths[0]], b.SegmentIDs[:b.Lengths[0]])]++
	}
	return found
}

func reflectString(parts ...[]int32) string {
	var b strings.Builder
	for _, part := range parts {
		for _, v := range part {
			b.WriteString(string(rune(v)) + ",")
		}
	}
	return b.String()
}

// What is exported and built again gives the same examples, segment by segment, at that sequence length or a larger
// one, and at a smaller one the same tokens.
func TestExportAndBuildAgain(t *testing.T) {
	_, shards, err := buildTest(t, writeTexts(t, 3, 40, 6), func(o *BuildOptions) { o.ValidShare = 0.2 })
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	out, again := filepath.Join(folder, "records"), filepath.Join(folder, "again")
	for _, arguments := range [][]string{
		{"export", "--seq-len", "64", "--files", "3", "--out", out, shards},
		{"build", "--data", filepath.Join(out, recordsFolder), "--vocab", filepath.Join(out, vocabularyFile), "--out", again},
	} {
		if _, _, err := data(t, arguments...); err != nil {
			t.Fatalf("%v: %v", arguments, err)
		}
	}
	open := func(folder string, seqLen int) *Prepared {
		t.Helper()
		p, _, err := prepare(t, Options{Data: []string{folder}, BatchOptions: BatchOptions{SeqLen: seqLen, BatchSize: 1, Seed: 42, MaskProb: 0.15}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	want := rows(t, open(shards, 64).Train)
	for _, seqLen := range []int{64, 128} {
		p := open(again, seqLen)
		got := rows(t, p.Train)
		for row, n := range rows(t, p.Valid) {
			got[row] += n
		}
		for row := range got { // repeated examples were dropped
			want[row] = min(want[row], got[row])
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("at %d tokens: %d different examples, %d were exported", seqLen, len(got), len(want))
		}
	}
	if short, all := open(again, 16), open(again, 64); short.Train.Tokens() != all.Train.Tokens() || short.Train.Examples() <= all.Train.Examples() {
		t.Errorf("at 16 tokens %d examples of %d tokens, at 64 %d of %d", short.Train.Examples(), short.Train.Tokens(), all.Train.Examples(), all.Train.Tokens())
	}
	printed, _, err := data(t, "inspect", "--seq-len", "128", "--examples", "1", again)
	if err != nil || !strings.Contains(printed, "short: it was read as a finished example") && !strings.Contains(printed, "short, one segment: it was read") {
		t.Errorf("error %v, inspect says\n%s", err, printed)
	}
}

func TestBadRecords(t *testing.T) {
	v := testVocabulary(t)
	folder := t.TempDir()
	vocab := filepath.Join(folder, "v.txt")
	if err := v.Save(vocab); err != nil {
		t.Fatal(err)
	}
	cls, sep := v.ClassID(), v.SepID()
	file := func(name string, examples ...tfrecord.Example) string {
		var b []byte
		for _, e := range examples {
			b = tfrecord.Append(b, e.AppendData(nil, 16, 0))
		}
		path := filepath.Join(t.TempDir(), name)
		writeFile(t, path, string(b))
		return path
	}
	good := tfrecord.Example{IDs: []int32{cls, 7, sep}, Second: 3}
	cut := file("cut.tfrecord", good)
	writeFile(t, cut, "half")
	text := file("text.txt")
	writeFile(t, text, "amber of the sea\n")
	cases := []struct {
		name, file, vocab string
		want              fault.Kind
		says              string
	}{
		{"no [CLS]", file("a.tfrecord", good, tfrecord.Example{IDs: []int32{7, 7, sep}, Second: 3}), vocab, fault.Data, "record 2: does not begin with [CLS]"},
		{"no [SEP]", file("a.tfrecord", tfrecord.Example{IDs: []int32{cls, 7, 7}, Second: 3}), vocab, fault.Data, "segment 1 does not end"},
		{"no last [SEP]", file("a.tfrecord-0-of-9", tfrecord.Example{IDs: []int32{cls, 7, sep, 7}, Second: 3}), vocab, fault.Data, "segment 2 does not end"},
		{"empty segment", file("a.tfrecord", tfrecord.Example{IDs: []int32{cls, sep}, Second: 2}), vocab, fault.Data, "segment 1"},
		{"id too large", file("a.tfrecord", tfrecord.Example{IDs: []int32{cls, 30000, sep}, Second: 3}), vocab, fault.Data, "30000"},
		{"nothing", file("a.tfrecord", tfrecord.Example{}), vocab, fault.Data, "[CLS]"},
		{"cut file", cut, vocab, fault.Data, "cut.tfrecord: record 1 at byte 0"},
		{"no vocabulary", file("a.tfrecord", good), "", fault.Usage, "--vocab"},
	}
	for _, c := range cases {
		out := filepath.Join(t.TempDir(), "x")
		_, _, err := data(t, "build", "--data", c.file, "--vocab", c.vocab, "--out", out)
		if err == nil || fault.KindOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v of kind %v, want kind %v that says %q", c.name, err, fault.KindOf(err), c.want, c.says)
		}
	}
	if _, _, err := data(t, "build", "--data", text, "--data", cases[0].file, "--vocab", vocab, "--out", filepath.Join(folder, "x")); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "one corpus") {
		t.Errorf("text and examples: %v", err)
	}
	if _, _, err := data(t, "export", "--files", "1000000", "--out", filepath.Join(folder, "y"), folder); err == nil {
		t.Error("a folder without shards is exported")
	}
}
