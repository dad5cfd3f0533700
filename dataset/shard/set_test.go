package shard

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"elektron/internal/fault"
)

// writeSet writes docs as shards of the given numbers of documents.
func writeSet(t testing.TB, docs [][][]int32, sizes ...int) string {
	t.Helper()
	folder := t.TempDir()
	for i, n := range sizes {
		write(t, filepath.Join(folder, fmt.Sprintf("%05d%s", i, Extension)), narrow, docs[:n])
		docs = docs[n:]
	}
	return folder
}

func TestSetNumbersThroughAllShards(t *testing.T) {
	docs := documents(100, 30522)
	folder := writeSet(t, docs, 30, 0, 69, 1, 0)
	for _, name := range []string{".hidden.shard", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	set, err := OpenSet(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if got := read(t, set); !reflect.DeepEqual(got, docs) {
		t.Error("documents read differ from those written")
	}
	if set.VocabularyHash() != narrow.VocabularyHash || set.VocabularySize() != narrow.VocabularySize || len(set.Shards()) != 5 {
		t.Errorf("vocabulary %s of %d, %d shards", set.VocabularyHash(), set.VocabularySize(), len(set.Shards()))
	}
	var all []int32
	for _, d := range docs {
		all = append(all, slices.Concat(d...)...)
	}
	for _, r := range [][2]int{{0, len(all)}, {0, 0}, {len(all), 0}, {1000, 500}, {len(all) - 7, 7}} {
		got, err := set.AppendTokens([]int32{-1}, r[0], r[1])
		if err != nil || !slices.Equal(got[1:], all[r[0]:r[0]+r[1]]) || got[0] != -1 {
			t.Errorf("tokens %d+%d: %d ids, %v", r[0], r[1], len(got), err)
		}
	}
}

func TestRangesOutsideAreErrors(t *testing.T) {
	set, err := OpenSet(writeSet(t, documents(3, 100), 2, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	most := int(^uint(0) >> 1)
	for _, s := range []source{set, set.Shards()[0]} {
		n := s.NumTokens()
		for _, r := range [][2]int{{-1, 1}, {0, -1}, {0, n + 1}, {n, 1}, {n + 1, 0}, {most, 1}, {1, most}, {most, most}} {
			if _, err := s.AppendTokens(nil, r[0], r[1]); fault.KindOf(err) != fault.Internal || err == nil {
				t.Errorf("%T: tokens %d+%d: %v", s, r[0], r[1], err)
			}
		}
	}
}

func TestSetErrors(t *testing.T) {
	other := writeSet(t, documents(5, 100), 3, 2)
	write(t, filepath.Join(other, "00002.shard"), wide, documents(1, 100))
	damaged := writeSet(t, documents(9, 100), 3, 3, 3)
	flip(t, filepath.Join(damaged, "00001.shard"), headerSize)
	cut := writeSet(t, documents(9, 100), 3, 3, 3)
	if err := os.Truncate(filepath.Join(cut, "00002.shard"), 200); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, folder string
		kind         fault.Kind
		want         string
	}{
		{"no shard", t.TempDir(), fault.Data, "no *.shard file in it"},
		{"no folder", filepath.Join(t.TempDir(), "missing"), fault.Storage, "missing"},
		{"two vocabularies", other, fault.Data, "00002.shard: vocabulary cdcdcdcdcdcd… of 70000 tokens, but"},
		{"cut shard", cut, fault.Data, "00002.shard"},
		{"flipped bit", damaged, fault.Data, "00001.shard: block 0 at byte 64"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			set, err := OpenSet(c.folder)
			if err == nil {
				defer set.Close()
				err = set.Verify(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != c.kind {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 4
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestSkippingBadShards(t *testing.T) {
	docs := documents(12, 100)
	folder := writeSet(t, docs, 3, 3, 3, 3)
	flip(t, filepath.Join(folder, "00001.shard"), headerSize+2)
	flip(t, filepath.Join(folder, "00003.shard"), 3)
	set, skipped, err := OpenSetSkippingBad(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	want := slices.Concat(docs[:3], docs[6:9])
	if got := read(t, set); !reflect.DeepEqual(got, want) {
		t.Error("other documents than those of the sound shards")
	}
	if len(skipped) != 2 || !strings.Contains(skipped[0].Error(), "00001.shard: block 0") || !strings.Contains(skipped[1].Error(), "00003.shard") {
		t.Errorf("skipped: %v", skipped)
	}

	flip(t, filepath.Join(folder, "00000.shard"), 3)
	flip(t, filepath.Join(folder, "00002.shard"), 3)
	if _, _, err := OpenSetSkippingBad(t.Context(), folder); fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), "all 4 shards are damaged") {
		t.Errorf("all damaged: %v", err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := OpenSetSkippingBad(stopped, writeSet(t, docs, 12)); err != context.Canceled {
		t.Errorf("stopped: %v", err)
	}
}

// TestReadersInParallel is for the race detector: many goroutines touch the same blocks first.
func TestReadersInParallel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a"+Extension)
	ids := make([]int32, 10*blockSize)
	for i := range ids {
		ids[i] = int32(i % 30522)
	}
	write(t, path, narrow, [][][]int32{{ids}})
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for start := 0; start < len(ids); start += 1000 {
				n := min(1000, len(ids)-start)
				if got, err := r.AppendTokens(nil, start, n); err != nil || !slices.Equal(got, ids[start:start+n]) {
					t.Errorf("tokens %d+%d: %v", start, n, err)
				}
			}
		})
	}
	all.Wait()
}
