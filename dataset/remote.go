package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"elektron/dataset/corpus"
	"elektron/internal/blob"
	"elektron/internal/fault"
)

// fetchShards puts copies of sources that are folders of shards in a bucket into the cache, because shards are read by
// memory mapping, and names the copies in their place. Text in a bucket is left: it is read once, from there.
func fetchShards(ctx context.Context, sources []Source, cache string, progress func(string)) error {
	for i := range sources {
		name := strings.TrimRight(sources[i].Folder, "/")
		if !blob.IsRemote(name) {
			continue
		}
		manifest, err := blob.Stat(ctx, name+"/"+manifestFile)
		if errors.Is(err, fs.ErrNotExist) || fault.KindOf(err) == fault.Usage { // no folder of shards; opening it as text will say more
			continue
		}
		if err != nil {
			return err
		}
		if sources[i].Folder, err = fetchFolder(ctx, name, manifest, cache, progress); err != nil {
			return err
		}
	}
	return nil
}

// fetchFolder copies a folder of shards into the cache, or finds the copy of the same manifest there.
func fetchFolder(ctx context.Context, name string, manifest blob.Info, cache string, progress func(string)) (string, error) {
	cache, err := cacheFolder(cache)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "bucket-"+digest(name, manifest.Size, manifest.Modified.UnixNano()))
	unlock, err := lock(ctx, folder+".lock", progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if IsBuilt(folder) {
		return folder, nil
	}
	files, err := blob.List(ctx, name)
	if err != nil {
		return "", err
	}
	progress(fmt.Sprintf("copying %s (%d files) into %s", name, len(files), folder))
	temporary, err := beginFolder(folder)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary) // after the rename there is nothing left of it
	for _, f := range files {
		below := filepath.FromSlash(strings.TrimPrefix(f.Name, name+"/"))
		if !filepath.IsLocal(below) {
			return "", fault.New(fault.Data, "dataset: %s: cannot be the name of a file here; remove it from the bucket", f.Name)
		}
		if err := blob.Copy(ctx, filepath.Join(temporary, below), f.Name); err != nil {
			return "", err
		}
	}
	return folder, fault.Wrap(fault.Storage, os.Rename(temporary, folder), "dataset: the copied shards cannot get their place")
}

// buildRemote builds on this machine and copies the folder to a bucket, the manifest last: without it a folder is no
// folder of shards.
func buildRemote(ctx context.Context, text *corpus.Corpus, o BuildOptions, progress func(string)) (*Manifest, error) {
	bucket := strings.TrimRight(o.Folder, "/")
	there, err := blob.List(ctx, bucket)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return nil, fault.New(fault.Usage, "dataset: %s: exists already and is not empty; name another folder, or remove it first", bucket)
	}
	temporary, err := os.MkdirTemp("", "elektron-shards-")
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "dataset: no place for the shards")
	}
	defer os.RemoveAll(temporary) // copied by then
	o.Folder = filepath.Join(temporary, "shards")
	m, err := Build(ctx, text, o, progress)
	if err != nil {
		return nil, err
	}
	files, err := blob.List(ctx, o.Folder)
	if err != nil {
		return nil, err
	}
	manifest := filepath.Join(o.Folder, manifestFile)
	files = slices.DeleteFunc(files, func(f blob.Info) bool { return f.Name == manifest })
	for _, f := range append(files, blob.Info{Name: manifest}) {
		below, err := filepath.Rel(o.Folder, f.Name)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "dataset: copying to %s", bucket)
		}
		if err := blob.Copy(ctx, bucket+"/"+filepath.ToSlash(below), f.Name); err != nil {
			return nil, err
		}
	}
	return m, nil
}
