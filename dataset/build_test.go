package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"elektron/dataset/corpus"
	"elektron/dataset/shard"
	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
	"elektron/internal/testdata"
)

// testVocabulary can spell every word of small letters, and knows testWords as one token each.
func testVocabulary(t testing.TB) *wordpiece.Vocabulary {
	t.Helper()
	tokens := append(wordpiece.SpecialTokens(), testWords...)
	for c := 'a'; c <= 'z'; c++ {
		tokens = append(tokens, string(c), wordpiece.ContinuationPrefix+string(c))
	}
	v, err := wordpiece.NewVocabulary(append(tokens, "."))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var testWords = strings.Fields("amber gold silver the of and sea shore found old word for light rubbed wool draws straw")

// prose makes a sentence of n words, by chance different from every other one.
func prose(random *rand.Rand, n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = testWords[random.IntN(len(testWords))]
	}
	words[0] = string(rune('a'+random.IntN(26))) + string(rune('a'+random.IntN(26))) + string(rune('a'+random.IntN(26)))
	return strings.Join(words, " ") + "."
}

// writeTexts writes files of documents into a new folder and returns it.
func writeTexts(t testing.TB, files, documents, sentences int) string {
	t.Helper()
	folder, random := t.TempDir(), rand.New(rand.NewPCG(3, 4))
	for i := range files {
		var b strings.Builder
		for range documents {
			for range 1 + random.IntN(sentences) {
				b.WriteString(prose(random, 5+random.IntN(30)) + "\n")
			}
			b.WriteString("\n")
		}
		writeFile(t, filepath.Join(folder, fmt.Sprintf("text-%02d.txt", i)), b.String())
	}
	return folder
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// buildTest builds the text files of a folder.
func buildTest(t testing.TB, data string, change func(*BuildOptions)) (*Manifest, string, error) {
	t.Helper()
	text, err := corpus.Open(t.Context(), []string{data}, corpus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := BuildOptions{Folder: filepath.Join(t.TempDir(), "shards"), Vocabulary: testVocabulary(t)}
	if change != nil {
		change(&o)
	}
	m, err := Build(t.Context(), text, o, nil)
	return m, o.Folder, err
}

// contents reads every file below a folder.
func contents(t testing.TB, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBuildDoesNotDependOnWorkers(t *testing.T) {
	data := writeTexts(t, 12, 40, 12)
	var want map[string]string
	for _, workers := range []int{1, 2, 7} {
		m, folder, err := buildTest(t, data, func(o *BuildOptions) { o.Workers, o.ShardTokens = workers, 20_000 })
		if err != nil {
			t.Fatal(err)
		}
		got := contents(t, folder)
		if want == nil {
			want = got
			if m.Train.Shards < 3 || m.Valid.Documents < 1 {
				t.Fatalf("%+v: want several shards and held-out documents", m)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers: other files than with 1", workers)
		}
	}
}

// What is in the shards is what is in the text, in its order, but for what the report says was dropped.
func TestBuildKeepsTheText(t *testing.T) {
	data := writeTexts(t, 5, 60, 8)
	m, folder, err := buildTest(t, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	tokenizer := wordpiece.New(testVocabulary(t), wordpiece.Options{})
	want, got := map[string]int{}, map[string]int{}
	text, err := corpus.Open(t.Context(), []string{data}, corpus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	documents := int64(0)
	for d, err := range text.Documents(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		want[fmt.Sprint(tokenizer.Encode(strings.Join(d.Sentences, " ")))]++
		documents++
	}
	for _, split := range []string{TrainFolder, ValidFolder} {
		for _, tokens := range documentsOf(t, filepath.Join(folder, split)) {
			got[fmt.Sprint(tokens)]++
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d documents in the shards, %d in the text, or not the same ones", len(got), len(want))
	}
	if m.Report.Documents != documents || m.Train.Documents+m.Valid.Documents != documents || m.Train.Tokens+m.Valid.Tokens != m.Report.Tokens || m.Report.UnknownTokens != 0 {
		t.Errorf("report %+v, train %+v, valid %+v do not add up to %d documents", m.Report, m.Train, m.Valid, documents)
	}
}

// documentsOf reads the tokens of each document of a split.
func documentsOf(t testing.TB, folder string) (all [][]int32) {
	t.Helper()
	set, err := shard.OpenSet(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for i := range set.NumDocuments() {
		d := set.Document(i)
		tokens, err := set.AppendTokens(nil, d.Start, d.End-d.Start)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tokens)
	}
	return all
}

func TestBuildDropsDuplicates(t *testing.T) {
	long := "amber is the old word for the light of the sea shore."
	other := "wool draws straw, and gold draws amber, and so on and on."
	cases := []struct {
		name string
		text string
		want Report // the fields that count
	}{
		{"nothing", long + "\n\n" + other + "\n", Report{Documents: 2, Sentences: 2}},
		{"document", long + "\n" + other + "\n\ngold\n\n" + long + "\n" + other + "\n", Report{Documents: 3, Sentences: 5, DuplicateDocuments: 1}},
		{"paragraph", long + "\n" + other + "\n\ngold\n" + long + "\n", Report{Documents: 2, Sentences: 4, DuplicateSentences: 1}},
		{"paragraph in its document", long + "\n" + long + "\n" + other + "\n", Report{Documents: 1, Sentences: 3, DuplicateSentences: 1}},
		{"all paragraphs", long + "\n" + other + "\n\n" + long + "\n", Report{Documents: 2, Sentences: 3, DuplicateSentences: 1, EmptyDocuments: 1}},
		{"short sentences stay", "gold\namber\n\nsilver\ngold\n", Report{Documents: 2, Sentences: 4}},
		{"no token", long + "\n\u200b\n\n\u200b\u200b\n", Report{Documents: 2, Sentences: 3, EmptySentences: 2, EmptyDocuments: 1}},
		{"invalid UTF-8", long + "\n\n" + other + "\xff\xfe\n", Report{Documents: 2, Sentences: 2, InvalidBytes: 2}},
	}
	for _, c := range cases {
		folder := t.TempDir()
		writeFile(t, filepath.Join(folder, "text.txt"), c.text)
		m, _, err := buildTest(t, folder, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := Report{
			Documents: m.Report.Documents, Sentences: m.Report.Sentences, DuplicateDocuments: m.Report.DuplicateDocuments,
			DuplicateSentences: m.Report.DuplicateSentences, EmptySentences: m.Report.EmptySentences,
			EmptyDocuments: m.Report.EmptyDocuments, InvalidBytes: m.Report.InvalidBytes,
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestBuildCountsUnknownTokens(t *testing.T) {
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "text.txt"), "amber 日 gold\n\nsea 7 7\n")
	m, _, err := buildTest(t, folder, nil)
	if err != nil || m.Report.UnknownTokens != 3 || m.Report.Tokens != 6 || m.Report.UnknownRate() != 0.5 {
		t.Errorf("report %+v, error %v; want 3 of 6 tokens unknown", m.Report, err)
	}
}

// The held-out share is as asked for, and a document is on the same side whatever else is in the corpus.
func TestHeldOutSplit(t *testing.T) {
	data := writeTexts(t, 10, 300, 2)
	m, folder, err := buildTest(t, data, func(o *BuildOptions) { o.ValidShare = 0.1 })
	if err != nil {
		t.Fatal(err)
	}
	expectShare(t, "held out", float64(m.Valid.Documents)/float64(m.Report.Documents), 0.1, float64(m.Report.Documents))
	half := t.TempDir()
	for i := 5; i < 10; i++ {
		name := fmt.Sprintf("text-%02d.txt", i)
		text, err := os.ReadFile(filepath.Join(data, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(half, name), string(text))
	}
	_, halfFolder, err := buildTest(t, half, func(o *BuildOptions) { o.ValidShare = 0.1 })
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, d := range documentsOf(t, filepath.Join(folder, ValidFolder)) {
		held[fmt.Sprint(d)] = true
	}
	for _, d := range documentsOf(t, filepath.Join(halfFolder, ValidFolder)) {
		if !held[fmt.Sprint(d)] {
			t.Fatal("a document is held out of half of the files, but not of all of them")
		}
	}
}

// However small a corpus is, both splits have text, and training has at least half of it.
func TestSmallCorpora(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	sentences := make([]string, 200)
	for i := range sentences {
		sentences[i] = prose(random, 20)
	}
	cases := map[string]string{
		"two words":          "amber gold\n",
		"one sentence":       sentences[0] + "\n",
		"one long line":      strings.Join(sentences, " ") + "\n",
		"one document":       strings.Join(sentences, "\n") + "\n",
		"two documents":      sentences[0] + "\n\n" + sentences[1] + "\n",
		"short and long":     "gold\n\n" + strings.Join(sentences, "\n") + "\n",
		"twenty documents":   strings.Join(sentences[:20], "\n\n") + "\n",
		"hundreds of single": strings.Join(sentences, "\n\n") + "\n",
	}
	for name, text := range cases {
		for _, share := range []float64{0.001, 0.01, 0.999} {
			folder := t.TempDir()
			writeFile(t, filepath.Join(folder, "text.txt"), text)
			m, _, err := buildTest(t, folder, func(o *BuildOptions) { o.ValidShare = share })
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if m.Train.Tokens < 1 || m.Valid.Tokens < 1 || m.Train.Tokens+m.Valid.Tokens != m.Report.Tokens {
				t.Errorf("%s at share %v: train %+v, valid %+v of %d tokens", name, share, m.Train, m.Valid, m.Report.Tokens)
			}
			if share < 0.5 && m.Train.Tokens < m.Valid.Tokens {
				t.Errorf("%s at share %v: %d tokens train, %d are held out", name, share, m.Train.Tokens, m.Valid.Tokens)
			}
		}
	}
}

func TestSplitTail(t *testing.T) {
	document := [][]int32{{1, 2, 3}, {4}, {5, 6}}
	for n := range 8 {
		head, tail := splitTail(document, n)
		if got := slices.Concat(append(slices.Clone(head), tail...)...); !slices.Equal(got, []int32{1, 2, 3, 4, 5, 6}) {
			t.Errorf("n=%d: head %v and tail %v are not the document", n, head, tail)
		}
		if got := len(slices.Concat(tail...)); got != min(n, 6) {
			t.Errorf("n=%d: tail %v of %d tokens", n, tail, got)
		}
		for _, s := range slices.Concat(head, tail) {
			if len(s) == 0 {
				t.Errorf("n=%d: empty sentence in %v, %v", n, head, tail)
			}
		}
	}
}

// Nothing is left behind by a build that fails, and nothing that is there is touched.
func TestFailedBuild(t *testing.T) {
	good, bad := writeTexts(t, 3, 10, 3), t.TempDir()
	writeFile(t, filepath.Join(bad, "a.txt"), "amber and gold of the sea\n")
	writeFile(t, filepath.Join(bad, "b.txt.gz"), "this is no gzip data, whatever its name says")
	empty := t.TempDir()
	writeFile(t, filepath.Join(empty, "text.txt"), "gold\n")
	occupied := t.TempDir()
	writeFile(t, filepath.Join(occupied, "precious"), "x")
	cases := []struct {
		name   string
		data   string
		change func(*BuildOptions)
		want   fault.Kind
	}{
		{"folder in use", good, func(o *BuildOptions) { o.Folder = occupied }, fault.Usage},
		{"damaged file", bad, nil, fault.Data},
		{"one token", empty, nil, fault.Data},
		{"share of 1", good, func(o *BuildOptions) { o.ValidShare = 1 }, fault.Usage},
		{"negative share", good, func(o *BuildOptions) { o.ValidShare = -0.1 }, fault.Usage},
		{"folder below a file", good, func(o *BuildOptions) { o.Folder = filepath.Join(occupied, "precious", "shards") }, fault.Storage},
	}
	for _, c := range cases {
		_, folder, err := buildTest(t, c.data, c.change)
		if fault.KindOf(err) != c.want {
			t.Errorf("%s: error %v of kind %v, want kind %v", c.name, err, fault.KindOf(err), c.want)
		}
		if entries, _ := os.ReadDir(filepath.Dir(folder)); folder != occupied && filepath.Dir(folder) != filepath.Join(occupied, "precious") && len(entries) > 0 {
			t.Errorf("%s: %v is left behind", c.name, entries)
		}
	}
	if got := contents(t, occupied); len(got) != 1 || got["precious"] != "x" {
		t.Errorf("the occupied folder now holds %v", got)
	}
}

func TestCancelledBuild(t *testing.T) {
	text, err := corpus.Open(t.Context(), []string{writeTexts(t, 20, 20, 5)}, corpus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Build(ctx, text, BuildOptions{Folder: filepath.Join(parent, "shards"), Vocabulary: testVocabulary(t)}, nil)
	if entries, _ := os.ReadDir(parent); !errors.Is(err, context.Canceled) || len(entries) > 0 {
		t.Errorf("error %v, %v left behind; want the context's error and nothing", err, entries)
	}
}

// An empty folder may be named; a second build into the first one's folder is refused.
func TestBuildFolder(t *testing.T) {
	data, folder := writeTexts(t, 2, 10, 3), t.TempDir()
	into := func(o *BuildOptions) { o.Folder = folder }
	if _, _, err := buildTest(t, data, into); err != nil {
		t.Fatal(err)
	}
	before := contents(t, folder)
	if _, _, err := buildTest(t, data, into); fault.KindOf(err) != fault.Usage {
		t.Errorf("second build: %v, want a usage error", err)
	}
	if !reflect.DeepEqual(contents(t, folder), before) {
		t.Error("the second build changed the folder")
	}
}

// BenchmarkBuild measures `data build` on real text: MB/s of it on all cores.
func BenchmarkBuild(b *testing.B) {
	data := testdata.Data(b)
	v, err := wordpiece.Load(filepath.Join(data, "vocab", "vocab.txt"))
	if err != nil {
		b.Fatal(err)
	}
	start := cpuSeconds(b)
	for b.Loop() {
		text, err := corpus.Open(b.Context(), []string{filepath.Join(data, "corpus", "wikipedia")}, corpus.Options{})
		if err != nil {
			b.Fatal(err)
		}
		m, err := Build(b.Context(), text, BuildOptions{Folder: filepath.Join(b.TempDir(), "shards"), Vocabulary: v}, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(m.Report.Bytes)
	}
	b.ReportMetric((cpuSeconds(b)-start)/float64(b.N), "cpu-s/build")
}
