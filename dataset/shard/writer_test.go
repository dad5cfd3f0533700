package shard

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"elektron/internal/fault"
)

func TestSameDocumentsGiveSameBytes(t *testing.T) {
	a, b := bytesOf(t, narrow, documents(300, 30522)), bytesOf(t, narrow, documents(300, 30522))
	if !bytes.Equal(a, b) {
		t.Error("two shards of the same documents differ")
	}
}

func TestEmptySentencesAndDocumentsAreLeftOut(t *testing.T) {
	with := [][][]int32{{}, {{1}, {}, {2, 3}}, {{}, nil}, {{4}}}
	without := [][][]int32{{{1}, {2, 3}}, {{4}}}
	if !bytes.Equal(bytesOf(t, narrow, with), bytesOf(t, narrow, without)) {
		t.Error("empty sentences and documents left a trace")
	}
}

func entries(t *testing.T, folder string) []string {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestNothingHalfWrittenIsVisible: before Close, after Abort and after an error.
func TestNothingHalfWrittenIsVisible(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "a"+Extension)
	create := func() *Writer {
		w, err := Create(t.Context(), path, narrow)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteDocument([][]int32{{1, 2}}); err != nil {
			t.Fatal(err)
		}
		if paths, err := Paths(folder); err != nil || len(paths) > 0 {
			t.Errorf("visible before Close: %v, %v", paths, err)
		}
		return w
	}
	w := create()
	w.Abort()
	w.Abort()
	if err := w.Close(); err == nil {
		t.Error("Close after Abort succeeds")
	}
	if err := w.WriteDocument([][]int32{{1}}); err == nil {
		t.Error("WriteDocument after Abort succeeds")
	}
	w = create()
	if err := w.WriteDocument([][]int32{{1, -1}}); fault.KindOf(err) != fault.Internal || !strings.Contains(err.Error(), "-1") {
		t.Errorf("id -1: %v", err)
	}
	if err := w.Close(); fault.KindOf(err) != fault.Internal {
		t.Errorf("Close after an error: %v", err)
	}
	if left := entries(t, folder); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	w = create()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if left := entries(t, folder); len(left) != 1 || left[0] != "a.shard" {
		t.Errorf("in the folder: %v", left)
	}
}

// full is a disk without space from some byte on.
type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, &os.PathError{Op: "write", Path: "a.shard", Err: syscall.ENOSPC}
	}
	return len(b), nil
}

// TestFullDisk: wherever the disk fills, the error says so and nothing stays.
func TestFullDisk(t *testing.T) {
	docs := documents(400, 30522)
	size := len(bytesOf(t, narrow, docs)) - headerSize // Reset below forgets the header
	for _, left := range []int{0, 100, size / 2, size - trailerSize, size - 1} {
		folder := t.TempDir()
		w, err := Create(t.Context(), filepath.Join(folder, "a"+Extension), narrow)
		if err != nil {
			t.Fatal(err)
		}
		w.out.Reset(&full{left})
		for _, d := range docs {
			if err := w.WriteDocument(d); err != nil {
				break
			}
		}
		if err := w.Close(); fault.ExitCode(err) != 74 {
			t.Errorf("%d bytes of space: exit code %d of %v", left, fault.ExitCode(err), err)
		}
		if names := entries(t, folder); len(names) > 0 {
			t.Errorf("%d bytes of space: left behind %v", left, names)
		}
	}
}

func TestCreateErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(t.Context(), filepath.Join(file, "a.shard"), narrow); fault.KindOf(err) != fault.Storage {
		t.Errorf("below a file: %v", err)
	}
	for name, config := range map[string]Config{
		"hash":             {"abc", 10},
		"empty vocabulary": {narrow.VocabularyHash, 0},
		"huge vocabulary":  {narrow.VocabularyHash, 1 << 31},
	} {
		if _, err := Create(t.Context(), filepath.Join(t.TempDir(), "a.shard"), config); fault.KindOf(err) != fault.Internal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPermissionsAreThoseOfOrdinaryFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "a.shard"), narrow, nil)
	if err := os.WriteFile(filepath.Join(folder, "b"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	a, errA := os.Stat(filepath.Join(folder, "a.shard"))
	b, errB := os.Stat(filepath.Join(folder, "b"))
	if errA != nil || errB != nil || a.Mode() != b.Mode() {
		t.Errorf("mode %v, that of an ordinary file is %v", a.Mode(), b.Mode())
	}
}
