package dataset

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// Folder is a folder in the making, here or in a bucket.
type Folder struct {
	// Work is where to write it: here a hidden folder beside the one that it will be, which has its name when all is
	// there. A bucket cannot rename, so there it is the folder itself, and the file that tells a complete folder
	// from others must be written last.
	Work string

	name string
	done bool
}

// BeginFolder begins a folder that does not exist, or is empty; another one is a fault.Usage error. End it with
// Publish or Abandon.
func BeginFolder(ctx context.Context, name string) (*Folder, error) {
	if !blob.IsRemote(name) {
		work, err := beginLocal(name)
		return &Folder{Work: work, name: name}, err
	}
	name = strings.TrimRight(name, "/")
	there, err := blob.List(ctx, name)
	if err == nil && len(there) > 0 {
		err = notEmpty(name)
	}
	return &Folder{Work: name, name: name}, err
}

func notEmpty(name string) error {
	return fault.New(fault.Usage, "dataset: %s: exists already and is not empty; name another folder, or remove it first", name)
}

// beginLocal makes a hidden folder beside the one that is to be made.
func beginLocal(name string) (work string, err error) {
	entries, err := os.ReadDir(name)
	if err == nil && len(entries) == 0 {
		err = os.Remove(name) // an empty folder may be replaced
	} else if err == nil {
		err = notEmpty(name)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	parent, base := filepath.Split(filepath.Clean(name))
	if err == nil && parent != "" {
		err = os.MkdirAll(parent, 0o777)
	}
	if err == nil {
		work, err = os.MkdirTemp(filepath.Clean(parent), workPrefix(base))
	}
	if err == nil {
		err = os.Chmod(work, 0o755) // MkdirTemp makes it private
	}
	return work, fault.Wrap(fault.Storage, err, "dataset: %s: no place for it", name)
}

// workPrefix begins the names of unfinished folders.
func workPrefix(base string) string { return "." + base + ".building-" }

// Publish gives the finished folder its name.
func (f *Folder) Publish() error {
	if f.Work != f.name {
		if err := os.Rename(f.Work, f.name); err != nil {
			return fault.Wrap(fault.Storage, err, "dataset: %s: finished, but cannot get its name", f.name)
		}
	}
	f.done = true
	return nil
}

// Abandon removes what was written. After Publish it does nothing.
func (f *Folder) Abandon(ctx context.Context) {
	if f.done {
		return
	}
	f.done = true
	if f.Work != f.name {
		os.RemoveAll(f.Work) // what is left is hidden, and the reason to give up says more
		return
	}
	ctx = context.WithoutCancel(ctx) // its end may be that reason
	files, _ := blob.List(ctx, f.name)
	for _, file := range files {
		_ = blob.Remove(ctx, file.Name)
	}
}

// upload copies a folder of this machine to a bucket, the manifest last: without it a folder is no folder of shards.
func upload(ctx context.Context, bucket, folder string) error {
	files, err := blob.List(ctx, folder)
	if err != nil {
		return err
	}
	isManifest := func(f blob.Info) int {
		if f.Name == filepath.Join(folder, manifestFile) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(files, func(a, b blob.Info) int { return isManifest(a) - isManifest(b) })
	for _, f := range files {
		below, err := filepath.Rel(folder, f.Name)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "dataset: copying to %s", bucket)
		}
		if err := blob.Copy(ctx, bucket+"/"+filepath.ToSlash(below), f.Name); err != nil {
			return err
		}
	}
	return nil
}
