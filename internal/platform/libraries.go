package platform

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"elektron/internal/fault"
)

// libraries are shared libraries and tools that a plugin loads, from pinned wheels. They lie in one folder of the pin's
// folder, beside a list of their files with size and hash; the list itself is pinned, and with it every file.
type libraries struct {
	folder string // within the pin's folder
	wheels []pin  // entry is the folder in the wheel that is taken; its parent is named like folder
	hash   string // SHA-256 of the list of files
	size   int64  // of all files, bytes
}

// any reports whether there are libraries at all.
func (l libraries) any() bool { return len(l.wheels) > 0 }

// fileList is the name of the list of files in the folder of the libraries.
const fileList = "SHA256SUMS"

// listed is a file in the list.
type listed struct {
	hash string
	size int64
	path string // relative to the folder, with slashes
}

func (f listed) String() string { return fmt.Sprintf("%s %d %s\n", f.hash, f.size, f.path) }

// libraryFolder is where the libraries of a pin are kept.
func (s *store) libraryFolder(p pin) string {
	return filepath.Join(s.folder, p.folder(), p.libraries.folder)
}

// checkLibraries holds the installed libraries of a pin to the pinned list of files: that each is there and of its size,
// and if whole, that each has its hash, for which gigabytes are read.
func (s *store) checkLibraries(p pin, whole bool) error {
	if !p.libraries.any() {
		return nil
	}
	folder := s.libraryFolder(p)
	list := filepath.Join(folder, fileList)
	text, err := os.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return damaged(p, list, "is missing")
	}
	if err != nil {
		return fault.Wrap(fault.Storage, err, "checking the libraries of the %s plugin", p.platform)
	}
	if got := hashText(string(text)); got != p.libraries.hash {
		return damaged(p, list, fmt.Sprintf("has SHA-256 %s, not %s as it should", got, p.libraries.hash))
	}
	for line := range strings.Lines(string(text)) {
		var want listed
		if _, err := fmt.Sscanf(line, "%s %d %s", &want.hash, &want.size, &want.path); err != nil {
			return damaged(p, list, "cannot be read")
		}
		if err := want.check(p, filepath.Join(folder, filepath.FromSlash(want.path)), whole); err != nil {
			return err
		}
	}
	return nil
}

// check holds one file of a pin's libraries to the list.
func (f listed) check(p pin, path string, whole bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return damaged(p, path, "is missing")
	case err != nil:
		return fault.Wrap(fault.Storage, err, "checking the libraries of the %s plugin", p.platform)
	case info.Size() != f.size:
		return damaged(p, path, fmt.Sprintf("is %d bytes long, not %d", info.Size(), f.size))
	case !whole:
		return nil
	}
	hash, err := hashFile(path)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "checking the libraries of the %s plugin", p.platform)
	}
	if hash != f.hash {
		return damaged(p, path, fmt.Sprintf("has SHA-256 %s, not %s as it should", hash, f.hash))
	}
	return nil
}

// stageLibraries fetches the wheels of a pin's libraries one after the other and unpacks each into its own folder below
// work, then checks all of it and writes the list of files. A folder that is there already is whole: it was left by an
// installation that was interrupted.
func (s *store) stageLibraries(ctx context.Context, p pin, work string, m *meter) error {
	for _, w := range p.libraries.wheels {
		target := filepath.Join(work, filepath.FromSlash(w.entry))
		if _, err := os.Stat(target); err == nil {
			m.skip(w)
			continue
		}
		archive, err := s.fetch(ctx, p, w, work, m)
		if err != nil {
			return err
		}
		m.doing("unpacking %s", w)
		if err := unpackFolder(w, archive, target); err != nil {
			return fault.Wrap(fault.Device, err, "platform: unpacking %s", w)
		}
		if err := os.RemoveAll(filepath.Dir(archive)); err != nil {
			return fault.Wrap(fault.Storage, err, "platform: installing the libraries of the %s plugin", p.platform)
		}
	}
	m.doing("checking the libraries")
	return listFiles(p, filepath.Join(work, p.libraries.folder))
}

// listFiles writes the list of the files in a folder of libraries, which must be the pinned one.
func listFiles(p pin, folder string) error {
	if err := os.RemoveAll(filepath.Join(folder, fileList)); err != nil {
		return fault.Wrap(fault.Storage, err, "platform: installing the libraries of the %s plugin", p.platform)
	}
	list, total, err := hashFolder(folder)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "platform: installing the libraries of the %s plugin", p.platform)
	}
	if got := hashText(list); got != p.libraries.hash {
		os.RemoveAll(folder) // nothing of it can be gone on with
		return fault.New(fault.Device,
			"platform: the libraries of the %s plugin came out as %d bytes of files whose list has SHA-256 %s, not %d with the pinned %s; they are thrown away: run `elektron platform install %s` again, and check the disk if that does not help",
			p.platform, total, got, p.libraries.size, p.libraries.hash, p.platform)
	}
	return fault.Wrap(fault.Storage, os.WriteFile(filepath.Join(folder, fileList), []byte(list), 0o644),
		"platform: installing the libraries of the %s plugin", p.platform)
}

// hashFolder lists all files in a folder, sorted by path, and adds up their sizes.
func hashFolder(folder string) (list string, total int64, err error) {
	var files []listed
	err = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		hash, err := hashFile(name)
		files = append(files, listed{hash, info.Size(), filepath.ToSlash(relative)})
		total += info.Size()
		return err
	})
	slices.SortFunc(files, func(a, b listed) int { return strings.Compare(a.path, b.path) })
	var text strings.Builder
	for _, f := range files {
		text.WriteString(f.String())
	}
	return text.String(), total, err
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// unpackFolder writes the folder of a wheel that is wanted to target, all or nothing: the files that are needed to run,
// not those to compile against.
func unpackFolder(p pin, archive, target string) error {
	wheel, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer wheel.Close()
	fresh := target + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	found := false
	for _, f := range wheel.File {
		name, inside := strings.CutPrefix(f.Name, p.entry+"/")
		if !inside || !runs(f.FileInfo(), name) {
			continue
		}
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("the wheel holds a file outside of its folder, %s", f.Name)
		}
		found = true
		if err := unpackFile(f, filepath.Join(fresh, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("the wheel does not hold the folder %s", p.entry)
	}
	return os.Rename(fresh, target)
}

// runs tells whether a file in a wheel of libraries is needed to run: no headers, static libraries or Python.
func runs(info fs.FileInfo, name string) bool {
	header := strings.HasPrefix(name, "include/")
	return info.Mode().IsRegular() && !header && !slices.Contains([]string{".a", ".py", ".h"}, path.Ext(name))
}

// unpackFile writes a file of a wheel and flushes it to disk.
func unpackFile(f *zip.File, target string) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	source, err := f.Open()
	if err != nil {
		return err
	}
	defer source.Close()
	mode := fs.FileMode(0o644)
	if f.Mode()&0o111 != 0 {
		mode = 0o755
	}
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err = io.Copy(file, source); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
