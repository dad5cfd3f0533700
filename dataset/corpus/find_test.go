package corpus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// names gives the paths of a corpus's files below folder.
func names(c *Corpus, folder string) string {
	var result []string
	for _, f := range c.Files() {
		name, _ := filepath.Rel(folder, f.Path)
		result = append(result, filepath.ToSlash(name))
	}
	return strings.Join(result, " ")
}

func TestOpenFindsFiles(t *testing.T) {
	folder := put(t, map[string]string{
		"b.txt": "b", "a/z.jsonl": "{}", "a/wiki_00": "w", "a/deep/er/c.txt.gz": "c", "a/deep/d.TXT": "d", "a/deep/p.parquet.zst": "p",
		"a/README.md": "m", "a/picture.png": "p", "a/dataset_info.json": "{}", ".hidden/h.txt": "h", "a/.h.txt": "h", "[odd].txt": "o",
		"empty.txt": "",
	})
	other := put(t, map[string]string{"linked.txt": "l"})
	if err := os.Symlink(other, filepath.Join(folder, "link")); err != nil {
		t.Skip("no symbolic links here")
	}
	if err := os.Symlink(filepath.Join(folder, "a"), filepath.Join(folder, "a", "loop")); err != nil {
		t.Fatal(err)
	}
	all := "[odd].txt a/deep/d.TXT a/deep/er/c.txt.gz a/deep/p.parquet.zst a/wiki_00 a/z.jsonl b.txt empty.txt link/linked.txt"
	cases := []struct {
		name     string
		patterns []string
		want     string
	}{
		{"folder", []string{"."}, all},
		{"named twice", []string{"b.txt", "./b.txt", ".", "a/../"}, all},
		{"any file by name", []string{"a/README.md", "a/.h.txt"}, "a/.h.txt a/README.md"},
		{"glob", []string{"a/*.*"}, "a/README.md a/dataset_info.json a/picture.png a/z.jsonl"},
		{"glob of a folder", []string{"a/dee*"}, "a/deep/d.TXT a/deep/er/c.txt.gz a/deep/p.parquet.zst"},
		{"glob of hidden files", []string{"a/.h*"}, "a/.h.txt"},
		{"any depth", []string{"a/**/*.txt*"}, "a/deep/er/c.txt.gz"},
		{"any depth, folders below", []string{"**/er/*"}, "a/deep/er/c.txt.gz"},
		{"everything at any depth", []string{"a/deep/**"}, "a/deep/d.TXT a/deep/er/c.txt.gz a/deep/p.parquet.zst"},
		{"a name that looks like a glob", []string{"[odd].txt"}, "[odd].txt"},
		{"an empty file beside others", []string{"empty.txt", "b.txt"}, "b.txt empty.txt"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var patterns []string
			for _, p := range c.patterns {
				patterns = append(patterns, folder+string(filepath.Separator)+filepath.FromSlash(p))
			}
			corpus, err := Open(t.Context(), patterns, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := names(corpus, folder); got != c.want {
				t.Errorf("files\n%s, want\n%s", got, c.want)
			}
			for i, f := range corpus.Files() {
				if info, err := os.Stat(f.Path); err != nil || f.Size != info.Size() || f.Index != i {
					t.Errorf("%s: size %d, index %d", f.Path, f.Size, f.Index)
				}
			}
		})
	}
}

// TestGlobFromHere: relative patterns, with ** at the front.
func TestGlobFromHere(t *testing.T) {
	t.Chdir(put(t, map[string]string{"a.txt": "a", "b/c.txt": "c"}))
	for pattern, want := range map[string]string{"*.txt": "a.txt", "**/*.txt": "a.txt b/c.txt", "./b/**": "b/c.txt", "b": "b/c.txt"} {
		corpus, err := Open(t.Context(), []string{pattern}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(corpus, "."); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	folder := put(t, map[string]string{"empty.txt": "", "pictures/a.png": "p", "pictures/b.png": "p", "blank/c.txt": ""})
	if err := os.Mkdir(filepath.Join(folder, "nothing"), 0o777); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name     string
		patterns []string
		kind     fault.Kind
		want     string
	}{
		{"no pattern", nil, fault.Usage, "no data named; pass --data"},
		{"empty pattern", []string{""}, fault.Usage, "--data is empty"},
		{"missing", []string{"missing.txt"}, fault.Usage, "missing.txt: no such file or folder"},
		{"below a file", []string{"empty.txt/x"}, fault.Usage, "no such file or folder"},
		{"one of two missing", []string{"pictures/a.png", "missing.txt"}, fault.Usage, "missing.txt"},
		{"glob without match", []string{"*.jsonl"}, fault.Usage, "matches no file"},
		{"broken glob", []string{"[a"}, fault.Usage, "not a glob"},
		{"** twice", []string{"**/a/**"}, fault.Usage, "** may stand in it once"},
		{"bucket", []string{"s3://bucket/x"}, fault.Usage, "s3:// cannot be read"},
		{"folder without text", []string{"pictures"}, fault.Data, "none of its 2 files"},
		{"empty folder", []string{"nothing"}, fault.Data, "no file in this folder"},
		{"empty file", []string{"empty.txt"}, fault.Data, "empty (1 files of 0 bytes)"},
		{"folder of empty files", []string{"blank"}, fault.Data, "empty (1 files of 0 bytes)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(folder)
			_, err := Open(t.Context(), c.patterns, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if fault.KindOf(err) != c.kind {
				t.Errorf("exit code %d of %q", fault.ExitCode(err), err)
			}
		})
	}
	if _, err := Open(t.Context(), []string{os.DevNull}, Options{}); fault.KindOf(err) != fault.Usage {
		t.Errorf("a device: %v", err)
	}
}
