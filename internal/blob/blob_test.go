package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elektron/internal/blob/blobtest"
	"elektron/internal/fault"
)

// stores are the places that must behave alike, each with the name of an empty folder in it.
func stores(t *testing.T) map[string]struct {
	Store
	folder string
} {
	t.Helper()
	bucket := blobtest.Bucket(t)
	return map[string]struct {
		Store
		folder string
	}{
		"local": {local{}, t.TempDir()},
		"cloud": {cloud{sharedClient}, bucket + "/texts"},
	}
}

// put writes a file.
func put(t *testing.T, s Store, name, text string) {
	t.Helper()
	w, err := s.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.Abort() // does nothing now
}

func get(t *testing.T, s Store, name string) string {
	t.Helper()
	r, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// list gives the names below a folder, relative to it.
func list(t *testing.T, s Store, folder string) []string {
	t.Helper()
	found, err := s.List(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, info := range found {
		names = append(names, strings.TrimPrefix(filepath.ToSlash(info.Name), filepath.ToSlash(folder)+"/"))
	}
	return names
}

func TestConformance(t *testing.T) {
	for name, s := range stores(t) {
		checks := map[string]func(*testing.T, Store, string){
			"write and read": writeAndRead, "replace": replace, "list": listing, "missing": missing, "abort": abort, "cancel": cancelled, "large": large,
		}
		for what, check := range checks {
			t.Run(name+"/"+what, func(t *testing.T) { check(t, s.Store, s.folder+"/"+strings.ReplaceAll(what, " ", "-")) })
		}
	}
}

func writeAndRead(t *testing.T, s Store, folder string) {
	for _, text := range []string{"amber", "", "\x1f\x8b\x00binary\xff"} {
		put(t, s, folder+"/sub/a.txt", text)
		if got := get(t, s, folder+"/sub/a.txt"); got != text {
			t.Errorf("read %q, wrote %q", got, text)
		}
		info, err := s.Stat(t.Context(), folder+"/sub/a.txt")
		if err != nil || info.Size != int64(len(text)) || info.Modified.IsZero() || info.Name != folder+"/sub/a.txt" {
			t.Errorf("%+v, error %v; want %d bytes", info, err, len(text))
		}
	}
}

func replace(t *testing.T, s Store, folder string) {
	put(t, s, folder+"/a", "a longer text")
	r, err := s.Open(t.Context(), folder+"/a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := s.Create(t.Context(), folder+"/a")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	if _, err := io.WriteString(w, "new"); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, folder+"/a"); got != "a longer text" {
		t.Errorf("before Close there is %q", got)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, folder+"/a"); got != "new" {
		t.Errorf("after Close there is %q", got)
	}
}

func listing(t *testing.T, s Store, folder string) {
	for _, name := range []string{"b.txt", "a.txt", "sub/deep/c.txt", ".hidden", "sub/.git/d.txt", "a/z"} {
		put(t, s, folder+"/"+name, name)
	}
	put(t, s, folder+"-other/e.txt", "not below it")
	want := []string{"a.txt", "a/z", "b.txt", "sub/deep/c.txt"}
	if got := list(t, s, folder); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := list(t, s, folder+"/sub"); !slices.Equal(got, []string{"deep/c.txt"}) {
		t.Errorf("below sub: %q", got)
	}
	if got := list(t, s, folder+"/none"); len(got) != 0 {
		t.Errorf("no folder lists %q", got)
	}
	found, err := s.List(t.Context(), folder)
	if err != nil || found[0].Size != 5 || found[0].Modified.IsZero() {
		t.Errorf("%+v, error %v", found, err)
	}
	if err := s.Remove(t.Context(), folder+"/a.txt"); err != nil {
		t.Fatal(err)
	}
	if got := list(t, s, folder); !slices.Equal(got, want[1:]) {
		t.Errorf("after Remove: %q", got)
	}
}

func missing(t *testing.T, s Store, folder string) {
	put(t, s, folder+"/sub/a", "amber")
	for what, call := range map[string]func(string) error{
		"Stat":   func(name string) error { _, err := s.Stat(t.Context(), name); return err },
		"Open":   func(name string) error { _, err := s.Open(t.Context(), name); return err },
		"Remove": func(name string) error { return s.Remove(t.Context(), name) },
	} {
		err := call(folder + "/none")
		if !errors.Is(err, fs.ErrNotExist) || fault.KindOf(err) != fault.Storage || !strings.Contains(err.Error(), folder+"/none") {
			t.Errorf("%s of no file: %v", what, err)
		}
	}
	if _, err := s.Stat(t.Context(), folder+"/sub"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of a folder: %v", err)
	}
}

func abort(t *testing.T, s Store, folder string) {
	put(t, s, folder+"/a", "before")
	for _, name := range []string{"a", "b"} {
		w, err := s.Create(t.Context(), folder+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, "half"); err != nil {
			t.Fatal(err)
		}
		w.Abort()
	}
	if got := list(t, s, folder); !slices.Equal(got, []string{"a"}) || get(t, s, folder+"/a") != "before" {
		t.Errorf("after Abort there is %q", got)
	}
}

func cancelled(t *testing.T, s Store, folder string) {
	put(t, s, folder+"/a", "amber")
	ctx, cancel := context.WithCancel(t.Context())
	w, err := s.Create(ctx, folder+"/b")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = io.WriteString(w, "half")
	if closed := w.Close(); closed == nil || err == nil && !errors.Is(closed, context.Canceled) {
		t.Errorf("write: %v, close: %v; want the end of the context", err, closed)
	}
	if _, err := s.Open(ctx, folder+"/a"); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
	if _, err := s.List(ctx, folder); !errors.Is(err, context.Canceled) {
		t.Errorf("list: %v", err)
	}
	if got := list(t, s, folder); !slices.Equal(got, []string{"a"}) {
		t.Errorf("after the end there is %q", got)
	}
}

// A file of several upload chunks (16 MiB each in the cloud).
func large(t *testing.T, s Store, folder string) {
	text := string(bytes.Repeat([]byte("amber of the sea"), 17<<16))
	put(t, s, folder+"/large", text)
	if got := get(t, s, folder+"/large"); got != text {
		t.Errorf("%d bytes read, %d written", len(got), len(text))
	}
}

func TestCopy(t *testing.T) {
	bucket := blobtest.Bucket(t)
	from, back := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "sub", "b")
	put(t, For(from), from, "amber")
	for _, pair := range [][2]string{{bucket + "/x/a", from}, {back, bucket + "/x/a"}} {
		if err := Copy(t.Context(), pair[0], pair[1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := get(t, For(back), back); got != "amber" {
		t.Errorf("%q after two copies", got)
	}
	for _, name := range []string{"gs://", "gs://amber", "gs:///a"} {
		if _, err := Stat(t.Context(), name); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v, want a usage error", name, err)
		}
	}
}
