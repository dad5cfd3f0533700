package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"elektron/internal/fault"
)

// Retention says which checkpoints are kept.
type Retention struct {
	Last  int   // the newest ones, at least 1; 0 means the default, 3
	Every int64 // also every checkpoint whose step is a multiple of this; 0 for none
}

const defaultLast = 3

// Retain deletes the checkpoints in dir that the policy does not keep and returns their paths. Before the first one
// goes, it verifies that one of those that stay is good; if none is, nothing is deleted and the error says so.
// The caller holds the output directory's lock.
func Retain(dir string, policy Retention) (removed []string, err error) {
	return retain(disk{}, dir, policy)
}

func retain(files fileSystem, dir string, policy Retention) (removed []string, err error) {
	entries, err := List(dir)
	if err != nil {
		return nil, err
	}
	keep, drop := policy.divide(entries)
	if len(drop) == 0 {
		return nil, nil
	}
	if err := anyGood(keep); err != nil {
		return nil, fault.Wrap(fault.Data, err, "checkpoint: older checkpoints in %s are kept, because none of the newer ones is good", dir)
	}
	for _, entry := range drop {
		if err := remove(files, entry.Path); err != nil {
			return removed, fault.Wrap(fault.Storage, err, "checkpoint: cannot delete %s", entry.Path)
		}
		removed = append(removed, entry.Path)
	}
	return removed, nil
}

func (policy Retention) divide(entries []Entry) (keep, drop []Entry) {
	last := policy.Last
	if last < 1 {
		last = defaultLast
	}
	for i, entry := range entries {
		if i >= len(entries)-last || policy.Every > 0 && entry.Step%policy.Every == 0 {
			keep = append(keep, entry)
		} else {
			drop = append(drop, entry)
		}
	}
	return keep, drop
}

// anyGood returns nil if one of the entries is good, tried newest first.
func anyGood(entries []Entry) error {
	var problems []error
	for _, entry := range slices.Backward(entries) {
		_, err := Verify(entry.Path)
		if err == nil {
			return nil
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// remove renames before it deletes, so that a half-deleted folder is never taken for a checkpoint.
func remove(files fileSystem, path string) error {
	dir := filepath.Dir(path)
	trash := filepath.Join(dir, trashPrefix+filepath.Base(path))
	if err := files.RemoveAll(trash); err != nil {
		return err
	}
	if err := files.Rename(path, trash); err != nil {
		return err
	}
	if err := files.SyncDir(dir); err != nil {
		return err
	}
	return files.RemoveAll(trash)
}

// Clean removes what a killed process left behind in dir: half-written and half-deleted checkpoints. A checkpoint
// that was just being replaced is put back. The caller holds the output directory's lock, so no live process uses them.
func Clean(dir string) error { return clean(disk{}, dir) }

func clean(files fileSystem, dir string) error {
	children, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, child := range children {
		if err != nil {
			break
		}
		err = cleanChild(files, dir, child.Name())
	}
	return fault.Wrap(fault.Storage, err, "checkpoint: cannot clean %s up; check its permissions", dir)
}

func cleanChild(files fileSystem, dir, name string) error {
	path := filepath.Join(dir, name)
	if step, ok := strings.CutPrefix(name, replacedPrefix+stepPrefix); ok {
		original := filepath.Join(dir, stepPrefix+step)
		if _, err := os.Lstat(original); errors.Is(err, os.ErrNotExist) {
			return files.Rename(path, original)
		}
		return files.RemoveAll(path)
	}
	for _, prefix := range []string{temporaryPrefix, trashPrefix} {
		if strings.HasPrefix(name, prefix+stepPrefix) {
			return files.RemoveAll(path)
		}
	}
	return nil
}
