package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"elektron/dataset"
	"elektron/dataset/corpus"
	"elektron/dataset/shard"
	"elektron/dataset/tfrecord"
	"elektron/dataset/wordpiece"
	"elektron/internal/blob"
	"elektron/internal/blob/blobtest"
	"elektron/internal/fault"
	"elektron/internal/testdata"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/options/jobopts"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/runners"
)

func TestMain(m *testing.M) {
	*runners.Runner = "prism" // in this process, but through the same interface and encodings as a cluster
	beam.Init()
	os.Exit(m.Run())
}

var words = strings.Fields("amber gold silver the of and sea shore found old word for light rubbed wool draws straw")

// vocabularyFile writes a vocabulary that knows the words, and can spell others in small letters.
func vocabularyFile(t *testing.T) string {
	t.Helper()
	tokens := append(wordpiece.SpecialTokens(), words...)
	for c := 'a'; c <= 'z'; c++ {
		tokens = append(tokens, string(c), wordpiece.ContinuationPrefix+string(c))
	}
	path := filepath.Join(t.TempDir(), "vocab.txt")
	put(t, path, strings.Join(append(tokens, "."), "\n")+"\n")
	return path
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// prose makes a paragraph of n words.
func prose(random *rand.Rand, n int) string {
	text := make([]string, n)
	for i := range text {
		text[i] = words[random.IntN(len(words))]
	}
	text[0] = fmt.Sprintf("%c%c%c", 'a'+random.IntN(26), 'a'+random.IntN(26), 'a'+random.IntN(26))
	return strings.Join(text, " ") + "."
}

// corpusFolder writes files in which everything repeats: documents and paragraphs, in a file and between files,
// exactly and nearly; and what is empty, not UTF-8, or unknown to the vocabulary.
func corpusFolder(t *testing.T) string {
	t.Helper()
	folder, random := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	var documents, paragraphs []string
	for i := range 6 {
		var b strings.Builder
		for range 60 {
			var lines []string
			for range 1 + random.IntN(6) {
				p := prose(random, 3+random.IntN(30))
				if len(paragraphs) > 0 && random.IntN(5) == 0 {
					p = paragraphs[random.IntN(len(paragraphs))]
				}
				lines, paragraphs = append(lines, p), append(paragraphs, p)
			}
			d := strings.Join(lines, "\n")
			if len(documents) > 0 && random.IntN(6) == 0 {
				d = documents[random.IntN(len(documents))]
				if random.IntN(2) == 0 {
					d += " gold"
				}
			}
			documents = append(documents, d)
			b.WriteString(d + "\n\n")
		}
		put(t, filepath.Join(folder, fmt.Sprintf("%d.txt", i)), b.String())
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	fmt.Fprintf(z, "%s\n\n\u200b\n\n日本 amber\n%s\xff\xfe\n", documents[3], paragraphs[5])
	z.Close()
	put(t, filepath.Join(folder, "0-first.txt.gz"), zipped.String())
	put(t, filepath.Join(folder, "empty.txt"), "")
	return folder
}

// contents are the documents of a split, each as its sentences in tokens, in the order of its shards and in order.
func contents(t *testing.T, folder, split string) (shuffled, sorted []string) {
	t.Helper()
	set, err := shard.OpenSet(filepath.Join(folder, split))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	var lengths []int32
	for i := range set.NumDocuments() {
		d := set.Document(i)
		ids, err := set.AppendTokens(nil, d.Start, d.End-d.Start)
		if err != nil {
			t.Fatal(err)
		}
		lengths = set.AppendSentenceLengths(lengths[:0], i)
		shuffled = append(shuffled, fmt.Sprint(lengths, ids))
	}
	return shuffled, slices.Sorted(slices.Values(shuffled))
}

// builtLocally builds the same on this machine.
func builtLocally(t *testing.T, a arguments) (*dataset.Manifest, string) {
	t.Helper()
	text, err := corpus.Open(t.Context(), a.data, a.text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := dataset.LoadVocabulary(t.Context(), a.vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "local")
	m, err := dataset.Build(t.Context(), text, dataset.BuildOptions{
		Folder: folder, Vocabulary: v, Cased: a.settings.Cased, NearDuplicates: a.settings.NearDuplicates, ValidShare: a.settings.ValidShare,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m, folder
}

// expectSame compares a folder with what the local builder makes: the same documents on the same sides, the same counts.
func expectSame(t *testing.T, a arguments) {
	t.Helper()
	want, local := builtLocally(t, a)
	got, err := dataset.ReadManifest(t.Context(), a.out)
	if err != nil {
		t.Fatal(err)
	}
	here := a.out
	if blob.IsRemote(here) {
		here = download(t, here)
	}
	for _, split := range []string{dataset.TrainFolder, dataset.ValidFolder} {
		shuffled, sorted := contents(t, here, split)
		original, expected := contents(t, local, split)
		if !slices.Equal(sorted, expected) {
			t.Errorf("%s: %d documents, the local builder has %d, or not the same ones", split, len(sorted), len(expected))
		}
		if len(shuffled) > 20 && slices.Equal(shuffled, original) {
			t.Errorf("%s: the documents are not shuffled", split)
		}
	}
	got.Train.Shards, got.Valid.Shards = want.Train.Shards, want.Valid.Shards
	if !reflect.DeepEqual(got, want) {
		t.Errorf("manifest\n%+v\nof the local builder\n%+v", got, want)
	}
}

func download(t *testing.T, bucket string) string {
	t.Helper()
	folder := t.TempDir()
	files, err := blob.List(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := blob.Copy(t.Context(), filepath.Join(folder, strings.TrimPrefix(f.Name, bucket)), f.Name); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// The shards hold what those of the local builder hold, in any number of shards, here and in a bucket.
func TestEqualsLocalBuilder(t *testing.T) {
	data, vocabulary, bucket := corpusFolder(t), vocabularyFile(t), blobtest.Bucket(t)
	cases := map[string]struct {
		settings settings
		out      string
		shards   int // of training, at least
	}{
		"plain":           {settings{ValidShare: 0.1}, "", 1},
		"near-duplicates": {settings{ValidShare: 0.1, NearDuplicates: true}, "", 1},
		"many shards":     {settings{ValidShare: 0.01, ShardTokens: 2000, Cased: true}, "", 5},
		"bucket":          {settings{ValidShare: 0.2}, bucket + "/made/shards", 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := arguments{data: []string{data}, vocabulary: vocabulary, out: c.out, settings: c.settings}
			if a.out == "" {
				a.out = filepath.Join(t.TempDir(), "shards")
			}
			var out strings.Builder
			if err := build(t.Context(), &a, nil, &out); err != nil {
				t.Fatal(err)
			}
			m, err := dataset.ReadManifest(t.Context(), a.out)
			if err != nil {
				t.Fatal(err)
			}
			r := m.Report
			if r.DuplicateDocuments == 0 || r.DuplicateSentences == 0 || r.EmptySentences == 0 || r.UnknownTokens == 0 || r.InvalidBytes != 2 ||
				(r.NearDuplicateDocuments > 0) != c.settings.NearDuplicates || m.Train.Shards < c.shards {
				t.Errorf("%+v, %d shards: the corpus does not test what it should", r, m.Train.Shards)
			}
			if !strings.Contains(out.String(), fmt.Sprintf("%d documents", r.Documents)) {
				t.Errorf("printed %q", out.String())
			}
			expectSame(t, a)
		})
	}
}

// Finished pre-training examples stay as they are.
func TestExamples(t *testing.T) {
	vocabulary := vocabularyFile(t)
	v, err := wordpiece.Load(vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	var records []byte
	for i := range int32(200) {
		e := tfrecord.Example{IDs: []int32{v.ClassID(), 5 + i%50, 6 + i%7, v.SepID(), 5 + i%9, v.SepID()}, Second: 4}
		records = tfrecord.Append(records, e.AppendData(nil, 16, 0))
	}
	data := filepath.Join(t.TempDir(), "a.tfrecord")
	put(t, data, string(records))
	a := arguments{data: []string{data}, vocabulary: vocabulary, out: filepath.Join(t.TempDir(), "shards"), settings: settings{ValidShare: 0.1}}
	if err := build(t.Context(), &a, nil, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	expectSame(t, a)
}

// On real text, if there is some.
func TestWikipedia(t *testing.T) {
	data := testdata.Data(t)
	a := arguments{
		data: []string{filepath.Join(data, "corpus", "wikipedia", "*_0[0-2]*")}, vocabulary: filepath.Join(data, "vocab", "vocab.txt"),
		out: filepath.Join(t.TempDir(), "shards"), settings: settings{ValidShare: 0.05},
	}
	if err := build(t.Context(), &a, nil, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
	expectSame(t, a)
}

// Every run gives the same bytes, whatever order the runner takes things in.
func TestDeterministic(t *testing.T) {
	data, vocabulary := corpusFolder(t), vocabularyFile(t)
	read := func(runner string) map[string]string {
		defer func(before string) { *runners.Runner = before }(*runners.Runner)
		*runners.Runner = runner
		a := arguments{data: []string{data}, vocabulary: vocabulary, out: filepath.Join(t.TempDir(), "shards"), settings: settings{ShardTokens: 3000}}
		if err := build(t.Context(), &a, nil, &strings.Builder{}); err != nil {
			t.Fatal(err)
		}
		files, err := blob.List(t.Context(), a.out)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, f := range files {
			text, err := os.ReadFile(f.Name)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(f.Name, a.out)] = string(text)
		}
		return all
	}
	want := read("prism")
	for _, runner := range []string{"prism", "direct"} {
		if got := read(runner); len(got) < 8 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d files, or others than the %d before", runner, len(got), len(want))
		}
	}
}

// What cannot work says so with the kind of the local builder, and leaves nothing.
func TestErrors(t *testing.T) {
	vocabulary, good, bad := vocabularyFile(t), corpusFolder(t), t.TempDir()
	put(t, filepath.Join(bad, "a.txt"), "amber and gold\n")
	put(t, filepath.Join(bad, "b.txt.gz"), "no gzip data")
	tiny := filepath.Join(t.TempDir(), "tiny.txt")
	put(t, tiny, "gold\n")
	records := filepath.Join(t.TempDir(), "a.tfrecord")
	put(t, records, string(tfrecord.Append(nil, (&tfrecord.Example{IDs: []int32{7, 7}, Second: 2}).AppendData(nil, 16, 0))))
	cases := map[string]struct {
		data, vocabulary, out, runner string
		want                          fault.Kind
		says                          string
	}{
		"no data":              {"", vocabulary, "x", "prism", fault.Usage, "--data"},
		"no vocabulary":        {good, "", "x", "prism", fault.Usage, "--vocab"},
		"no folder":            {good, vocabulary, "", "prism", fault.Usage, "--out"},
		"no such text":         {good + "/none", vocabulary, "x", "prism", fault.Usage, "none"},
		"no such vocabulary":   {good, vocabulary + "2", "x", "prism", fault.Storage, "vocab.txt2"},
		"not a vocabulary":     {good, good + "/1.txt", "x", "prism", fault.Data, "1.txt"},
		"folder in use":        {good, vocabulary, ".", "prism", fault.Usage, "not empty"},
		"damaged file":         {bad, vocabulary, "x", "prism", fault.Data, "b.txt.gz"},
		"one token":            {tiny, vocabulary, "x", "prism", fault.Data, "1 tokens"},
		"foreign examples":     {records, vocabulary, "x", "prism", fault.Data, "[CLS]"},
		"no such runner":       {good, vocabulary, "x", "samba", fault.Usage, "prism, direct"},
		"no job service":       {good, vocabulary, "x", "flink", fault.Usage, "--endpoint"},
		"local folder, remote": {good, vocabulary, "x", "dataflow", fault.Usage, "gs://"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			defer func(runner, endpoint string) { *runners.Runner, *jobopts.Endpoint = runner, endpoint }(*runners.Runner, *jobopts.Endpoint)
			if *runners.Runner = c.runner; c.runner == "flink" {
				*jobopts.Endpoint = "" // prism has set it
			}
			parent := t.TempDir()
			put(t, filepath.Join(parent, "precious"), "x")
			a := arguments{vocabulary: c.vocabulary, settings: settings{ValidShare: 0.1}}
			if c.data != "" {
				a.data = []string{c.data}
			}
			if c.out != "" {
				a.out = filepath.Join(parent, c.out)
			}
			err := build(t.Context(), &a, nil, &strings.Builder{})
			if err == nil || fault.KindOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v of kind %v, want kind %v that says %q", err, fault.KindOf(err), c.want, c.says)
			}
			if left, _ := os.ReadDir(parent); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	parent := t.TempDir()
	a := arguments{data: []string{corpusFolder(t)}, vocabulary: vocabularyFile(t), out: filepath.Join(parent, "shards")}
	err := build(ctx, &a, nil, &strings.Builder{})
	if left, _ := os.ReadDir(parent); !errors.Is(err, context.Canceled) || len(left) > 0 {
		t.Errorf("error %v, left behind %v; want the context's error and nothing", err, left)
	}
}

// What travels is what arrives, and what is cut off is an error.
func TestElements(t *testing.T) {
	d := document{position{3, 1 << 40}, dataset.Document{Hash: 1 << 63, Bands: []uint64{7, 1}, Sentences: []dataset.Sentence{
		{Hash: 5, Bytes: 300, IDs: []int32{0, 127, 128, 30521, 1<<31 - 1}, Unknown: 2}, {IDs: []int32{}},
	}}}
	kept := dataset.Kept{Hash: 1<<64 - 1, Sentences: [][]int32{{1}, {30000, 2}}}
	m := mention{position{1, 2}, 3, 1 << 60}
	check := func(name string, value any, encoded []byte, decode func([]byte) (any, error)) {
		if got, err := decode(encoded); err != nil || !reflect.DeepEqual(got, value) {
			t.Errorf("%s: %+v arrives, error %v; %+v was sent", name, got, err, value)
		}
		for n := range encoded {
			if _, err := decode(encoded[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes are taken", name, n, len(encoded))
			}
		}
	}
	check("document", d, encodeDocument(d), func(b []byte) (any, error) { return decodeDocument(b) })
	check("kept", kept, encodeKept(kept), func(b []byte) (any, error) { return decodeKept(b) })
	check("mention", m, encodeMention(m), func(b []byte) (any, error) { return decodeMention(b) })
}
