package corpus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"elektron/internal/fault"
	"elektron/internal/testdata"
)

// put writes files, name to content, into a new folder.
func put(t testing.TB, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func gz(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func zst(t testing.TB, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

type row struct {
	ID   int64   `parquet:"id"`
	Text *string `parquet:"text,optional"`
}

func parquetFile(t testing.TB, rowsPerGroup int, texts ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b)
	for i, text := range texts {
		r := row{ID: int64(i), Text: &text}
		if text == "null" {
			r.Text = nil
		}
		if _, err := w.Write([]row{r}); err != nil {
			t.Fatal(err)
		}
		if (i+1)%rowsPerGroup == 0 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// collect reads a whole corpus.
func collect(t testing.TB, c *Corpus) ([]Document, error) {
	t.Helper()
	var documents []Document
	for d, err := range c.Documents(t.Context()) {
		if err != nil {
			return documents, err
		}
		documents = append(documents, d)
	}
	return documents, nil
}

// flat gives the sentences of documents, joined by | within and / between documents.
func flat(documents []Document) string {
	var parts []string
	for _, d := range documents {
		parts = append(parts, strings.Join(d.Sentences, "|"))
	}
	return strings.Join(parts, "/")
}

func TestFormats(t *testing.T) {
	const text = "one.\ntwo.\n\n\nthree.\n"
	const lines = "{\"id\":1,\"text\":\"one.\\ntwo.\"}\n\n{\"text\":null}\n{\"text\":\" \\n\"}\n{\"text\":\"three.\\n\\n\"}"
	table := parquetFile(t, 2, "one.\ntwo.", "null", "\n", "three.")
	cases := []struct {
		name, file, content string
		options             Options
		want                string
		counts              Counts // besides documents, sentences, bytes and files
	}{
		{"text", "a.txt", text, Options{}, "one.|two./three.", Counts{}},
		{"any extension", "a.md", text, Options{}, "one.|two./three.", Counts{}},
		{"gzip", "a.txt.gz", gz(text), Options{}, "one.|two./three.", Counts{}},
		{"gzip of two members", "a.txt.gz", gz(text) + gz("four."), Options{}, "one.|two./three.|four.", Counts{}},
		{"zstandard", "A.TXT.ZST", zst(t, text), Options{}, "one.|two./three.", Counts{}},
		{"a document a file", "a.txt", text, Options{DocumentPerFile: true}, "one.|two.|three.", Counts{}},
		{"blank means white space", "a.txt", "one.\n \t\u00a0\ntwo.", Options{}, "one./two.", Counts{}},
		{"white space around", "a.txt", "  one. \t\n", Options{}, "one.", Counts{}},
		{"CR LF", "a.txt", "one.\r\ntwo.\r\n\r\nthree.\r\n", Options{}, "one.|two./three.", Counts{CRLFLines: 4}},
		{"byte order mark", "a.txt", "\uFEFFone.\n", Options{}, "one.", Counts{BOMs: 1}},
		{"NUL", "a.txt", "o\x00ne is not a binary file.\n", Options{}, "one is not a binary file.", Counts{NULs: 1}},
		{"invalid UTF-8", "a.txt", "one\n\xff\xfetwo is a longer sentence\xc3\n\n\xe2\x82 three", Options{},
			"one|\uFFFD\uFFFDtwo is a longer sentence\uFFFD/\uFFFD\uFFFD three", Counts{InvalidBytes: 5, InvalidLines: 2, FirstInvalid: "a.txt:2"}},
		{"long document", "a.txt", "one.\ntwo.\nthree.\n\nfour.\n", Options{MaxDocument: 9}, "one.|two./three./four.", Counts{SplitDocuments: 1}},
		{"longest line", "a.txt", "12345\n1234\n", Options{MaxLine: 5}, "12345|1234", Counts{}},
		{"JSON Lines", "a.jsonl", lines, Options{}, "one.|two./three.", Counts{EmptyDocuments: 2}},
		{"JSON Lines, gzip, other field", "a.json.gz", gz(`{"body":"one.","text":7}`), Options{TextField: "body"}, "one.", Counts{}},
		{"JSON with NUL", "a.ndjson", `{"text":"o\u0000ne."}`, Options{}, "one.", Counts{NULs: 1}},
		{"long record", "a.jsonl", `{"text":"one.\ntwo.\nthree."}`, Options{MaxDocument: 9}, "one.|two./three.", Counts{SplitDocuments: 1}},
		{"Parquet", "a.parquet", table, Options{}, "one.|two./three.", Counts{EmptyDocuments: 2}},
		{"Parquet, gzip", "a.parquet.gz", gz(table), Options{}, "one.|two./three.", Counts{EmptyDocuments: 2}},
		{"Parquet, invalid UTF-8", "a.parquet", parquetFile(t, 9, "one", "t\xffwo\x00"), Options{}, "one/t\uFFFDwo",
			Counts{InvalidBytes: 1, InvalidLines: 1, NULs: 1, FirstInvalid: "a.parquet:2"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			folder := put(t, map[string]string{c.file: c.content})
			opened, err := Open(t.Context(), []string{filepath.Join(folder, c.file)}, c.options)
			if err != nil {
				t.Fatal(err)
			}
			found := opened.Files()[0]
			// A second pass changes nothing, not even the counts, and the file may be opened again by what was found.
			for _, corpus := range []*Corpus{opened, opened, Single(found.Path, found.Size, c.options)} {
				documents, err := collect(t, corpus)
				if err != nil {
					t.Fatal(err)
				}
				if got := flat(documents); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				for i, d := range documents {
					if d.File != 0 || d.Number != i || d.Source != corpus.Files()[0].Path {
						t.Errorf("document %d is called %d/%d of %s", i, d.File, d.Number, d.Source)
					}
				}
				checkCounts(t, corpus.Counts(), c.counts, documents, folder)
			}
		})
	}
}

func checkCounts(t *testing.T, got, want Counts, documents []Document, folder string) {
	t.Helper()
	want.Files, want.Documents = 1, int64(len(documents))
	for _, d := range documents {
		want.Sentences += int64(len(d.Sentences))
		for _, s := range d.Sentences {
			want.TextBytes += int64(len(s))
		}
	}
	if want.FirstInvalid != "" {
		want.FirstInvalid = filepath.Join(folder, want.FirstInvalid)
	}
	if got != want {
		t.Errorf("counts\n%+v, want\n%+v", got, want)
	}
}

func TestLinesOfDocuments(t *testing.T) {
	folder := put(t, map[string]string{
		"a.txt":     "\none.\ntwo.\n\n\nthree.",
		"b.jsonl":   "\n{\"text\":\"one\"}\n{\"text\":\"two\"}",
		"c.parquet": parquetFile(t, 1, "one", "null", "two"),
	})
	corpus, err := Open(t.Context(), []string{folder}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	documents, err := collect(t, corpus)
	if err != nil {
		t.Fatal(err)
	}
	var got [][3]int
	for _, d := range documents {
		got = append(got, [3]int{d.File, d.Number, d.Line})
	}
	want := [][3]int{{0, 0, 2}, {0, 1, 6}, {1, 0, 2}, {1, 1, 3}, {2, 0, 1}, {2, 1, 3}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("file, number and line of documents: %v, want %v", got, want)
	}
}

func TestBadContent(t *testing.T) {
	long := gz(strings.Repeat("A sentence of some length.\n", 1000))
	table := parquetFile(t, 2, "one", "two", "three")
	binary := string([]byte{0x7f, 'E', 'L', 'F'}) + strings.Repeat("\x00", 100)
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(128 | i*7919>>3)
	}
	cases := []struct{ name, file, content, want string }{
		{"cut gzip", "a.txt.gz", long[:len(long)-9], "a.txt.gz: the .gz file is cut off after line"},
		{"gzip cut in its header", "a.txt.gz", long[:5], "cut off after line 0"},
		{"damaged gzip", "a.txt.gz", long[:len(long)-8] + "12345678", "not a sound .gz file after line"},
		{"no gzip at all", "a.txt.gz", "plain text", "not a sound .gz file"},
		{"cut zstandard", "a.txt.zst", zst(t, strings.Repeat("text ", 99))[:20], "the .zst file is cut off after line 0"},
		{"no zstandard at all", "a.txt.zst", "plain text", "not a sound .zst file"},
		{"gzip under another name", "a.txt", gz("text"), "rename it to end in .gz"},
		{"zstandard under another name", "a.txt", zst(t, "text"), "rename it to end in .zst"},
		{"Parquet under another name", "a.txt", table, "rename it to end in .parquet"},
		{"UTF-16", "a.txt", "\xff\xfeo\x00n\x00e\x00", "UTF-16"},
		{"NULs", "a.txt", binary, "a binary file"},
		{"another encoding", "a.txt", string(noise), "not UTF-8"},
		{"long line", "a.txt", "one\n" + strings.Repeat("x", 2000), "a.txt:2: a line of over 1000 bytes"},
		{"long line, gzip", "a.txt.gz", gz(strings.Repeat("x", 2000) + "\n"), "a.txt.gz:1: a line of over 1000 bytes"},
		{"broken JSON", "a.jsonl", "{\"text\":\"one\"}\n{\"text\":", "a.jsonl:2: not a JSON object"},
		{"no object", "a.jsonl", `"text"`, "a.jsonl:1: not a JSON object"},
		{"array", "a.json", `[{"text":"one"}]`, "a.json:1: a JSON array"},
		{"no such field", "a.jsonl", `{"id":1,"body":"b"}`, `a.jsonl:1: no field "text" in this object (it has body, id)`},
		{"field is no string", "a.jsonl", `{"text":["one"]}`, `a.jsonl:1: field "text" holds no string`},
		{"no such column", "a.parquet", otherColumns(t), `a.parquet: no column "text" (it has body, n)`},
		{"cut Parquet", "a.parquet", table[:len(table)-3], "not a sound Parquet file"},
		{"no Parquet at all", "a.parquet", "text", "not a sound Parquet file"},
		{"blank lines only", "a.txt", "\n \n\n", "no text in 1 files"},
		{"empty records only", "a.jsonl", `{"text":""}`, "1 records hold no text"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			folder := put(t, map[string]string{c.file: c.content})
			corpus, err := Open(t.Context(), []string{folder}, Options{MaxLine: 1000})
			if err != nil {
				t.Fatal(err)
			}
			_, err = collect(t, corpus)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), folder) {
				t.Errorf("exit code %d of %q", fault.ExitCode(err), err)
			}
		})
	}
}

func otherColumns(t *testing.T) string {
	t.Helper()
	type other struct {
		Body string `parquet:"body"`
		N    int64  `parquet:"n"`
	}
	var b bytes.Buffer
	if err := parquet.Write(&b, []other{{"text", 1}}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestParquetColumnOfNumbers: a column that exists but holds no text.
func TestParquetColumnOfNumbers(t *testing.T) {
	folder := put(t, map[string]string{"a.parquet": otherColumns(t)})
	corpus, err := Open(t.Context(), []string{folder}, Options{TextField: "n"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = collect(t, corpus); err == nil || !strings.Contains(err.Error(), `column "n" holds no strings`) {
		t.Errorf("error %v", err)
	}
}

// endless gives size bytes of a line that never ends.
type endless struct{ size int }

func (e *endless) Close() error { return nil }

func (e *endless) Read(b []byte) (int, error) {
	if e.size <= 0 {
		return 0, io.EOF
	}
	n := min(len(b), e.size)
	for i := range b[:n] {
		b[i] = 'a'
	}
	e.size -= n
	return n, nil
}

func TestLineOfOneGiBTakesLittleMemory(t *testing.T) {
	corpus, err := Open(t.Context(), []string{put(t, map[string]string{"a.txt": "x"})}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	corpus.files[0].open = func(context.Context, string) (io.ReadCloser, error) { return &endless{1 << 30}, nil }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = collect(t, corpus)
	runtime.ReadMemStats(&after)
	if fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), "a.txt:1: a line of over 67108864 bytes") {
		t.Errorf("error %v", err)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 160 {
		t.Errorf("%d MB allocated, want at most 160", used)
	}
}

// TestMemoryIsFlat reads a text of 64 MB without a blank line, plain and as JSON Lines: what is held does not grow.
func TestMemoryIsFlat(t *testing.T) {
	for name, line := range map[string]string{
		"a.txt":   strings.Repeat("words ", 15) + "\n",
		"a.jsonl": `{"text":"` + strings.Repeat("words ", 15) + `"}` + "\n",
	} {
		corpus, err := Open(t.Context(), []string{put(t, map[string]string{name: "x"})}, Options{MaxDocument: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		block := strings.Repeat(line, 1000)
		corpus.files[0].open = func(context.Context, string) (io.ReadCloser, error) {
			var parts []io.Reader
			for range (64 << 20) / len(block) {
				parts = append(parts, strings.NewReader(block))
			}
			return io.NopCloser(io.MultiReader(parts...)), nil
		}
		read, sampled, most := 0, 0, uint64(0)
		for d, err := range corpus.Documents(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range d.Sentences {
				read += len(s)
			}
			if read-sampled > 4<<20 {
				sampled = read
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
		if read < 50<<20 || most > 16<<20 {
			t.Errorf("%s: %d bytes read with up to %d held, want at most 16 MiB", name, read, most)
		}
	}
}

func TestStopAndCancel(t *testing.T) {
	folder := put(t, map[string]string{"a.txt": strings.Repeat("one.\n\n", 100), "b.parquet": parquetFile(t, 3, "a", "b", "c", "d")})
	corpus, err := Open(t.Context(), []string{folder}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range corpus.Files() {
		n := 0
		for range f.Documents(t.Context()) {
			if n++; n == 2 {
				break
			}
		}
		if n != 2 {
			t.Errorf("%s: %d documents before the break", f.Path, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		n = 0
		var last error
		for _, err := range f.Documents(ctx) {
			if last = err; err == nil {
				n++
				cancel()
			}
		}
		if n != 1 || !errors.Is(last, context.Canceled) {
			t.Errorf("%s: %d documents, then %v", f.Path, n, last)
		}
		cancel()
	}
}

// TestSharedCorpora reads real text twice: file by file in any order, and as a whole.
func TestSharedCorpora(t *testing.T) {
	for _, name := range []string{"wikipedia", "novels"} {
		corpus, err := Open(t.Context(), []string{filepath.Join(testdata.Data(t), "corpus", name)}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := collect(t, corpus)
		if err != nil {
			t.Fatal(err)
		}
		var parts []Document
		files := corpus.Files()
		byFile := make([][]Document, len(files))
		for i := len(files) - 1; i >= 0; i-- {
			for d, err := range files[i].Documents(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				byFile[i] = append(byFile[i], d)
			}
		}
		for _, documents := range byFile {
			parts = append(parts, documents...)
		}
		if !reflect.DeepEqual(whole, parts) {
			t.Errorf("%s: files read alone give other documents", name)
		}
		t.Logf("%s: %+v", name, corpus.Counts())
	}
}

// inMemory is a file that can be read at any place.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// TestDamagedParquet: whichever byte is wrong, an error at most, never a panic.
func TestDamagedParquet(t *testing.T) {
	table := []byte(parquetFile(t, 2, "one", "null", strings.Repeat("three ", 50)))
	corpus, err := Open(t.Context(), []string{put(t, map[string]string{"a.parquet": string(table)})}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	corpus.files[0].open = func(context.Context, string) (io.ReadCloser, error) { return inMemory{bytes.NewReader(table)}, nil }
	failed := 0
	for i := range table {
		table[i] ^= 0x41
		_, err := collect(t, corpus)
		table[i] ^= 0x41
		if err != nil {
			failed++
			if fault.KindOf(err) != fault.Data {
				t.Errorf("byte %d: %v", i, err)
			}
		}
	}
	if failed < len(table)/10 {
		t.Errorf("only %d of %d damaged bytes were noticed", failed, len(table))
	}
}
