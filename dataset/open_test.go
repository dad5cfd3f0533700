package dataset

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"elektron/dataset/corpus"
	"elektron/dataset/shard"
	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
)

// prepare calls Prepare for small rows, and closes the result at the end of the test.
func prepare(t testing.TB, o Options) (*Prepared, []string, error) {
	t.Helper()
	if o.SeqLen == 0 {
		o.BatchOptions = options(32)
	}
	var lines []string
	p, err := Prepare(t.Context(), o, func(line string) { lines = append(lines, line) })
	if err == nil {
		t.Cleanup(func() { p.Close() })
	}
	return p, lines, err
}

// A second start reads everything back and gives the same batches; changed text is built again.
func TestPrepareReuses(t *testing.T) {
	data := writeTexts(t, 4, 20, 5)
	o := Options{Data: []string{data}, CacheDir: t.TempDir(), VocabularySize: 200}
	first, lines, err := prepare(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) < 3 || first.Vocabulary.Size() > 200 {
		t.Errorf("first start said %q, vocabulary of %d tokens", lines, first.Vocabulary.Size())
	}
	second, lines, err := prepare(t, o)
	if err != nil || len(lines) > 0 {
		t.Fatalf("second start: error %v, said %q", err, lines)
	}
	for step := range int64(3) {
		a, errA := first.Train.Batch(step)
		b, errB := second.Train.Batch(step)
		if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("step %d: another batch after the second start (errors %v, %v)", step, errA, errB)
		}
	}
	writeFile(t, filepath.Join(data, "text-00.txt"), "amber is gold of the sea.\n")
	third, lines, err := prepare(t, o)
	if err != nil || len(lines) == 0 || third.Sources[0].Folder == first.Sources[0].Folder {
		t.Errorf("changed text: error %v, said %q, folder %s", err, lines, third.Sources[0].Folder)
	}
}

// Held-out text and its batches are the same for every seed; training differs.
func TestPrepareSeeds(t *testing.T) {
	o := Options{Data: []string{writeTexts(t, 4, 20, 5)}, CacheDir: t.TempDir(), VocabularySize: 200, BatchOptions: options(32)}
	one, _, err1 := prepare(t, o)
	o.Seed++
	two, _, err2 := prepare(t, o)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	validOne, _ := one.Valid.Batch(0)
	validTwo, _ := two.Valid.Batch(0)
	trainOne, _ := one.Train.Batch(0)
	trainTwo, _ := two.Train.Batch(0)
	if !reflect.DeepEqual(validOne, validTwo) || reflect.DeepEqual(trainOne, trainTwo) {
		t.Error("held-out batches depend on the seed, or training ones do not")
	}
	if one.Sources[0].Folder != two.Sources[0].Folder {
		t.Error("another seed tokenises again")
	}
}

// A folder of shards serves every sequence length, and brings its vocabulary along.
func TestPrepareFolderOfShards(t *testing.T) {
	m, folder, err := buildTest(t, writeTexts(t, 4, 20, 5), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, seqLen := range []int{8, 128, 512} {
		p, lines, err := prepare(t, Options{Data: []string{folder}, BatchOptions: options(seqLen)})
		if err != nil || len(lines) > 0 {
			t.Fatalf("S=%d: error %v, said %q", seqLen, err, lines)
		}
		if p.Vocabulary.Hash() != testVocabulary(t).Hash() || p.Train.Tokens() != m.Train.Tokens || p.Valid.Tokens() != m.Valid.Tokens {
			t.Errorf("S=%d: another vocabulary, or %d and %d tokens", seqLen, p.Train.Tokens(), p.Valid.Tokens())
		}
	}
}

// A damaged cache is made again, a damaged folder of the user's own is an error.
func TestPrepareDamaged(t *testing.T) {
	o := Options{Data: []string{writeTexts(t, 4, 20, 5)}, CacheDir: t.TempDir(), VocabularySize: 200}
	first, _, err := prepare(t, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"manifest.json", "vocab.txt", "train/00000" + shard.Extension, "valid/00000" + shard.Extension} {
		path := filepath.Join(first.Sources[0].Folder, filepath.FromSlash(name))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil { // the shard is mapped: give the damage a file of its own
			t.Fatal(err)
		}
		writeFile(t, path, string(data[:len(data)/2]))
		if _, _, err := prepare(t, Options{Data: []string{first.Sources[0].Folder}}); fault.KindOf(err) != fault.Data {
			t.Errorf("half of %s, named with --data: %v, want a data error", name, err)
		}
		if _, lines, err := prepare(t, o); err != nil || len(lines) == 0 {
			t.Errorf("half of %s in the cache: error %v, said %q", name, err, lines)
		}
	}
}

func TestPrepareBadInput(t *testing.T) {
	data := writeTexts(t, 2, 20, 5)
	_, built, err := buildTest(t, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, text)
		return path
	}
	empty := filepath.Join(folder, "nothing")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	tokens := testVocabulary(t).Tokens()
	cases := []struct {
		name string
		o    Options
		want fault.Kind
		says string
	}{
		{"missing data", Options{Data: []string{filepath.Join(folder, "missing.txt")}}, fault.Usage, "missing.txt"},
		{"empty name", Options{Data: []string{""}}, fault.Usage, "empty"},
		{"empty file", Options{Data: []string{file("empty.txt", "")}}, fault.Data, "empty"},
		{"only blank lines", Options{Data: []string{file("blank.txt", "\n \n\t\n")}}, fault.Data, "no text"},
		{"empty folder", Options{Data: []string{empty}}, fault.Data, "nothing"},
		{"folder without text", Options{Data: []string{filepath.Dir(file("images/picture.png", "x"))}}, fault.Data, "no text"},
		{"too small", Options{Data: []string{file("one.txt", "gold\n")}, Vocabulary: file("v.txt", strings.Join(tokens, "\n"))}, fault.Data, "too few"},
		{"no vocabulary file", Options{Data: []string{data}, Vocabulary: filepath.Join(folder, "missing-vocab.txt")}, fault.Storage, "missing-vocab.txt"},
		{"vocabulary without [MASK]", Options{Data: []string{data}, Vocabulary: file("nomask.txt", strings.Replace(strings.Join(tokens, "\n"), "[MASK]", "mask", 1))}, fault.Data, "[MASK]"},
		{"vocabulary with duplicates", Options{Data: []string{data}, Vocabulary: file("twice.txt", strings.Join(append(tokens, "gold"), "\n"))}, fault.Data, "gold"},
		{"other vocabulary than the shards'", Options{Data: []string{built}, Vocabulary: file("other.txt", strings.Join(append(tokens, "other"), "\n"))}, fault.Data, "another vocabulary"},
		{"shards and text", Options{Data: []string{built, data}}, fault.Usage, "weight"},
		{"sequence length 7", Options{Data: []string{data}, BatchOptions: BatchOptions{SeqLen: 7, BatchSize: 1, MaskProb: 0.15}}, fault.Usage, "8 to 512"},
		{"sequence length 513", Options{Data: []string{data}, BatchOptions: BatchOptions{SeqLen: 513, BatchSize: 1, MaskProb: 0.15}}, fault.Usage, "8 to 512"},
		{"vocabulary size 3", Options{Data: []string{data}, VocabularySize: 3}, fault.Usage, "3 tokens"},
		{"share of 2", Options{Data: []string{data}, Vocabulary: file("v2.txt", strings.Join(tokens, "\n")), ValidShare: 2}, fault.Usage, "2"},
		{"cache below a file", Options{Data: []string{data}, CacheDir: filepath.Join(file("file", "x"), "cache")}, fault.Storage, "cache"},
	}
	for _, c := range cases {
		if c.o.CacheDir == "" {
			c.o.CacheDir = t.TempDir()
		}
		_, _, err := prepare(t, c.o)
		if err == nil || fault.KindOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v of kind %v, want kind %v that says %q", c.name, err, fault.KindOf(err), c.want, c.says)
		}
	}
}

// A batch larger than the corpus wraps around: it is fine.
func TestPrepareLargeBatch(t *testing.T) {
	o := Options{Data: []string{writeTexts(t, 1, 3, 2)}, CacheDir: t.TempDir(), VocabularySize: 100, BatchOptions: options(128)}
	o.BatchSize = 500
	p, _, err := prepare(t, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Dataset{p.Train, p.Valid} {
		if b, err := d.Batch(0); err != nil || b.Size != 500 || d.Examples() >= 500 {
			t.Errorf("%d examples: error %v", d.Examples(), err)
		}
	}
}

// The Go installation that runs the test is text enough to begin with.
func TestPrepareGoDoc(t *testing.T) {
	if testing.Short() {
		t.Skip("reads all of GOROOT/src")
	}
	p, _, err := prepare(t, Options{CacheDir: t.TempDir(), VocabularySize: 1000, BatchOptions: options(64)})
	if fault.KindOf(err) == fault.Usage {
		t.Skipf("no Go source text here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.Train.Tokens() < 500_000 || p.Valid.Tokens() < 1000 || p.Sources[0].Manifest.Report.UnknownRate() > 0.01 {
		t.Errorf("train %d tokens, valid %d, report %v", p.Train.Tokens(), p.Valid.Tokens(), p.Sources[0].Manifest.Report)
	}
}

// The index file is used as it is, and not where it is damaged or made from something else.
func TestIndexCache(t *testing.T) {
	_, folder, err := buildTest(t, writeTexts(t, 4, 20, 5), nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := shard.OpenSet(filepath.Join(folder, TrainFolder))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	o, cache := options(64), t.TempDir()
	key, err := indexKey(set, o)
	if err != nil {
		t.Fatal(err)
	}
	want, err := loadIndex(t.Context(), set, o, cache, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(cache, "*.idx"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("index files %v, error %v", paths, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	cut, err := buildIndex(t.Context(), set, o, 1)
	if err != nil || !slices.Equal(want.examples, cut) {
		t.Fatalf("the file does not hold the index, error %v", err)
	}
	for name, damaged := range damages(data) {
		writeFile(t, paths[0], damaged)
		if _, err := openIndex(paths[0], key); err == nil {
			t.Errorf("%s: the file is taken for good", name)
		}
		got, err := loadIndex(t.Context(), set, o, cache, func(string) {})
		if err != nil || !slices.Equal(got.examples, cut) {
			t.Errorf("%s: another index, error %v", name, err)
		} else if err := got.unmap(); err != nil {
			t.Error(err)
		}
		if again, err := os.ReadFile(paths[0]); err != nil || string(again) != string(data) {
			t.Errorf("%s: the file was not made again (error %v)", name, err)
		}
	}
	o.Seed++
	if other, err := indexKey(set, o); err != nil || other == key {
		t.Errorf("another seed has the same key (error %v)", err)
	}
}

// damages are ways in which a file can go bad.
func damages(data []byte) map[string]string {
	flip := func(at int) string {
		b := []byte(string(data))
		b[at] ^= 1
		return string(b)
	}
	return map[string]string{
		"empty": "", "half a header": string(data[:30]), "half": string(data[:len(data)/2]), "one byte less": string(data[:len(data)-1]),
		"one byte more": string(data) + "x", "one example less": string(data[:64]) + string(data[72:]),
		"one example more": string(data[:72]) + string(data[64:]), "magic": flip(3), "key": flip(20), "padding": flip(60),
		"first example": flip(64), "last example": flip(len(data) - 9), "CRC": flip(len(data) - 8), "end": flip(len(data) - 1),
	}
}

// Several processes may start on the same text at once: one builds, the others wait and reuse.
func TestPrepareAtOnce(t *testing.T) {
	o := Options{Data: []string{writeTexts(t, 4, 20, 5)}, CacheDir: t.TempDir(), VocabularySize: 200, BatchOptions: options(32)}
	var built atomic.Int64
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			p, err := Prepare(t.Context(), o, func(line string) {
				if strings.HasPrefix(line, "tokenising") {
					built.Add(1)
				}
			})
			if err != nil {
				t.Error(err)
				return
			}
			defer p.Close()
			if _, err := p.Train.Batch(0); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if built.Load() != 1 {
		t.Errorf("the text was tokenised %d times", built.Load())
	}
}

// What a killed process has left in the cache does not stay there.
func TestPrepareRemovesUnfinishedBuilds(t *testing.T) {
	o := Options{Data: []string{writeTexts(t, 2, 10, 3)}, CacheDir: t.TempDir(), VocabularySize: 200}
	p, _, err := prepare(t, o)
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(o.CacheDir, workPrefix(filepath.Base(p.Sources[0].Folder))+"123")
	if err := os.Rename(p.Sources[0].Folder, left); err != nil {
		t.Fatal(err)
	}
	if _, _, err := prepare(t, o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("the unfinished build is still there")
	}
}

// A damaged block of tokens is found when it is read, and the error names the shard.
func TestBatchOfDamagedShard(t *testing.T) {
	_, folder, err := buildTest(t, writeTexts(t, 2, 20, 5), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, TrainFolder, "00000"+shard.Extension)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[200] ^= 1
	writeFile(t, path, string(data))
	p, _, err := prepare(t, Options{Data: []string{folder}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Train.Batch(0); fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want a data error that names %s", err, path)
	}
}

// The tokeniser that belongs to the shards is the one they were made with.
func TestPreparedTokenizer(t *testing.T) {
	o := Options{Data: []string{writeTexts(t, 2, 10, 3)}, CacheDir: t.TempDir(), VocabularySize: 200}
	lower, _, err1 := prepare(t, o)
	o.Cased = true
	cased, _, err2 := prepare(t, o)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if got := lower.Tokenizer().Encode("GOLD"); slices.Contains(got, lower.Vocabulary.UnknownID()) {
		t.Errorf("uncased: GOLD is %v", got)
	}
	if got := cased.Tokenizer().Encode("GOLD"); !slices.Equal(got, []int32{cased.Vocabulary.UnknownID()}) {
		t.Errorf("cased: GOLD is %v, but the text has small letters only", got)
	}
	if lower.Sources[0].Folder == cased.Sources[0].Folder {
		t.Error("cased and uncased shards share a folder")
	}
}

// Where the folder cannot be written the index is a temporary file, of which nothing is left.
func TestIndexCacheReadOnly(t *testing.T) {
	_, folder, err := buildTest(t, writeTexts(t, 2, 10, 3), nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := shard.OpenSet(filepath.Join(folder, TrainFolder))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	cut, err := buildIndex(t.Context(), set, options(64), 1)
	if err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var notes []string
	got, err := loadIndex(t.Context(), set, options(64), filepath.Join(folder, manifestFile), func(s string) { notes = append(notes, s) })
	if err != nil || !slices.Equal(got.examples, cut) || len(notes) != 1 {
		t.Fatalf("notes %q, error %v, or not the index", notes, err)
	}
	defer got.unmap()
	if left, _ := os.ReadDir(temporary); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// Whole words follow from the vocabulary's "##".
func TestWholeWordsOfVocabulary(t *testing.T) {
	v := testVocabulary(t)
	special, continuation := idsOf(v)
	if special.mask != v.MaskID() || special.cls != v.ClassID() || special.sep != v.SepID() || special.pad != v.PadID() {
		t.Errorf("special ids %+v", special)
	}
	for id, is := range continuation {
		if is != strings.HasPrefix(v.Token(int32(id)), wordpiece.ContinuationPrefix) {
			t.Errorf("token %q: continuation %t", v.Token(int32(id)), is)
		}
	}
}

// With SkipBadShards a damaged shard costs its own text and a line; every other one is used, and checked.
func TestSkipBadShards(t *testing.T) {
	_, folder, err := buildTest(t, writeTexts(t, 4, 30, 6), func(o *BuildOptions) { o.ShardTokens = 1000 })
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, TrainFolder, "00001"+shard.Extension)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := shard.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	lost := whole.NumTokens()
	whole.Close()
	all, _, err := prepare(t, Options{Data: []string{folder}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil { // it is mapped: give the damage a file of its own
		t.Fatal(err)
	}
	data[200] ^= 1
	writeFile(t, path, string(data))
	p, lines, err := prepare(t, Options{Data: []string{folder}, SkipBadShards: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Skipped) != 1 || fault.KindOf(p.Skipped[0]) != fault.Data || !strings.Contains(strings.Join(lines, "\n"), path+": block 0") {
		t.Errorf("skipped %v, said %q; want %s named with its block", p.Skipped, lines, path)
	}
	if got, want := p.Train.Tokens(), all.Train.Tokens()-int64(lost); got != want {
		t.Errorf("%d tokens are left, want %d", got, want)
	}
	for step := range p.Train.Examples() {
		if _, err := p.Train.Batch(step); err != nil {
			t.Fatal(err)
		}
	}
}

// How text is read is a part of what cached shards are made from.
func TestPrepareTextOptions(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "texts.jsonl")
	var lines strings.Builder
	for range 50 {
		lines.WriteString(`{"text": "amber and gold of the sea shore found light", "body": "wool rubbed draws straw"}` + "\n")
		lines.WriteString(`{"text": "old word for light and amber gold", "body": "silver of the sea draws old wool and straw"}` + "\n")
	}
	writeFile(t, path, lines.String())
	o := Options{Data: []string{path}, CacheDir: t.TempDir(), Vocabulary: filepath.Join(folder, "v.txt")}
	if err := testVocabulary(t).Save(o.Vocabulary); err != nil {
		t.Fatal(err)
	}
	folders := map[string]bool{}
	for _, text := range []corpus.Options{{}, {TextField: "body"}} {
		o.Text = text
		p, _, err := prepare(t, o)
		if err != nil {
			t.Fatal(err)
		}
		folders[p.Sources[0].Folder] = true
	}
	if len(folders) != 2 {
		t.Errorf("shards of another field come from the cache: %v", folders)
	}
}
