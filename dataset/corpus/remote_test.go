package corpus

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/blob"
	"elektron/internal/blob/blobtest"
	"elektron/internal/fault"
)

// A bucket reads as a folder of this machine does, whatever the format.
func TestBucket(t *testing.T) {
	files := map[string]string{
		"a.txt": "one\ntwo\n\nthree\n", "b.txt.gz": gz("four\n"), "sub/c.jsonl": `{"text": "five\\nsix"}` + "\n",
		"sub/deep/d.parquet": parquetFile(t, 2, "seven", "eight", "nine"), "sub/e.txt.zst": zst(t, "ten\n"),
		"picture.png": "no text", ".hidden.txt": "hidden", "sub/.git/config.txt": "hidden",
	}
	local, bucket := put(t, files), blobtest.Bucket(t)
	for name := range files {
		if err := blob.Copy(t.Context(), bucket+"/"+name, filepath.Join(local, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, pattern := range []string{"", "/", "/a.txt", "/sub", "/*.txt", "/**/*.txt*", "/sub/**/*.parquet", "/s*/*.jsonl", "/sub/deep/d.parquet", "/picture.png"} {
		texts := map[string]string{}
		for _, root := range []string{local, bucket} {
			c, err := Open(t.Context(), []string{root + pattern}, Options{})
			if err != nil {
				t.Fatalf("%s: %v", root+pattern, err)
			}
			documents, err := collect(t, c)
			if err != nil {
				t.Fatalf("%s: %v", root+pattern, err)
			}
			for _, f := range c.Files() {
				if f.Size == 0 || f.Modified.IsZero() {
					t.Errorf("%s: %d bytes of %v", f.Path, f.Size, f.Modified)
				}
				texts[root] += strings.TrimPrefix(f.Path, root) + " "
			}
			texts[root] += flat(documents)
		}
		if texts[local] != texts[bucket] {
			t.Errorf("%s: the folder gives\n%s\nthe bucket\n%s", pattern, texts[local], texts[bucket])
		}
	}
	for pattern, want := range map[string]string{
		"gs://amber/none": "no such file", "gs://amber/none/*.txt": "matches no file", "gs://amber/[": "not a glob",
		"gs://*/a.txt": "gs://BUCKET", "gs://other": "no such file", "s3://amber/a.txt": "cannot be read",
	} {
		if _, err := Open(t.Context(), []string{pattern}, Options{}); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a usage error that says %q", pattern, err, want)
		}
	}
}

// A download that breaks off is an error about storage, with the file's name, not about the file's content.
func TestBucketGoes(t *testing.T) {
	bucket := blobtest.Bucket(t)
	w, err := blob.Create(t.Context(), bucket+"/a.txt.gz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, gz("amber\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), []string{bucket}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := blob.Remove(t.Context(), bucket+"/a.txt.gz"); err != nil {
		t.Fatal(err)
	}
	if _, err := collect(t, c); fault.KindOf(err) != fault.Storage || !strings.Contains(err.Error(), "a.txt.gz") {
		t.Errorf("error %v, want one of storage that names the file", err)
	}
}

func TestMatchElements(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a/*/c", "a/b/c", true}, {"a/*/c", "a/b/b/c", false}, {"a/**/c", "a/b/b/c", true}, {"a/**/c", "a/c", true},
		{"**/*.txt", "x.txt", true}, {"a/**", "a/b/c", true}, {"a/**/b/*.t", "a/x/b/y/b/z.t", true}, {"a", "a/b", false}, {"a/b", "a", false},
	} {
		if got := matchElements(strings.Split(c.pattern, "/"), strings.Split(c.name, "/")); got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.name, got)
		}
	}
}
