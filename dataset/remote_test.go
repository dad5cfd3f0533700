package dataset

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"elektron/internal/blob"
	"elektron/internal/blob/blobtest"
	"elektron/internal/fault"
)

// Shards in a bucket, made of text in a bucket, are the same as those on this machine; they are copied once.
func TestShardsInBucket(t *testing.T) {
	bucket, texts, folder := blobtest.Bucket(t), writeTexts(t, 3, 20, 5), t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(folder, "cache"))
	vocab := filepath.Join(folder, "v.txt")
	if err := testVocabulary(t).Save(vocab); err != nil {
		t.Fatal(err)
	}
	files, err := blob.List(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := blob.Copy(t.Context(), bucket+"/texts/"+filepath.Base(f.Name), f.Name); err != nil {
			t.Fatal(err)
		}
	}
	local, remote := filepath.Join(folder, "shards"), bucket+"/made/shards"
	for out, from := range map[string]string{local: texts, remote: bucket + "/texts"} {
		if _, _, err := data(t, "build", "--data", from, "--vocab", vocab, "--out", out); err != nil {
			t.Fatal(err)
		}
	}
	want, _, err := prepare(t, Options{Data: []string{local}})
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	for i := range 2 {
		p, lines, err := prepare(t, Options{Data: []string{remote + "/"}, CacheDir: cache})
		if err != nil {
			t.Fatal(err)
		}
		if said := strings.Contains(strings.Join(lines, "\n"), "copying"); said != (i == 0) {
			t.Errorf("start %d said %q", i, lines)
		}
		if !reflect.DeepEqual(contents(t, p.Sources[0].Folder), contents(t, local)) {
			t.Error("other files than on this machine")
		}
		a, _ := want.Train.Batch(3)
		b, err := p.Train.Batch(3)
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("another batch, error %v", err)
		}
	}
	if p, _, err := prepare(t, Options{Data: []string{remote + "=1", local + "=2"}, CacheDir: cache}); err != nil || len(p.Sources) != 2 {
		t.Errorf("a mixture of both: %v", err)
	}
	if out, _, err := data(t, "vocab", "--data", bucket+"/texts", "--size", "100", "--out", bucket+"/v.txt"); err != nil || !strings.Contains(out, "100 tokens") {
		t.Errorf("training a vocabulary: %v\n%s", err, out)
	}
	if p, _, err := prepare(t, Options{Data: []string{bucket + "/texts"}, CacheDir: cache, Vocabulary: bucket + "/v.txt"}); err != nil || p.Vocabulary.Size() != 100 {
		t.Errorf("a vocabulary of the bucket: %v", err)
	}
	if _, _, err := prepare(t, Options{Data: []string{remote}, CacheDir: cache, Vocabulary: bucket + "/v.txt"}); fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), "another vocabulary") {
		t.Errorf("shards with another vocabulary: %v", err)
	}
	if _, _, err := data(t, "build", "--data", texts, "--vocab", bucket+"/none.txt", "--out", local+"2"); fault.KindOf(err) != fault.Storage || !strings.Contains(err.Error(), "none.txt") {
		t.Errorf("no such vocabulary: %v", err)
	}
	if p, _, err := prepare(t, Options{Data: []string{bucket + "/texts"}, CacheDir: cache, VocabularySize: 150}); err != nil || p.Train.Tokens() == 0 {
		t.Errorf("text of the bucket: %v", err)
	}
	if out, _, err := data(t, "inspect", "--examples", "1", remote); err != nil || !strings.Contains(out, "60 documents") {
		t.Errorf("inspect: %v\n%s", err, out)
	}
	if _, _, err := data(t, "build", "--data", texts, "--vocab", vocab, "--out", remote); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("building over it: %v", err)
	}
	if _, _, err := prepare(t, Options{Data: []string{bucket + "/none"}, CacheDir: cache}); fault.KindOf(err) != fault.Usage {
		t.Errorf("no such folder: %v", err)
	}
}
