package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"elektron/dataset/wordpiece"
	"elektron/internal/blob"
	"elektron/internal/fault"
)

// LoadVocabulary is wordpiece.Load for a file here or in a bucket.
func LoadVocabulary(ctx context.Context, name string) (*wordpiece.Vocabulary, error) {
	if !blob.IsRemote(name) {
		return wordpiece.Load(name)
	}
	data, err := blob.ReadFile(ctx, name)
	if err != nil {
		return nil, err
	}
	return wordpiece.Parse(name, data)
}

// saveVocabulary is Save for a file here or in a bucket.
func saveVocabulary(ctx context.Context, name string, v *wordpiece.Vocabulary) error {
	if !blob.IsRemote(name) {
		return v.Save(name)
	}
	out, err := blob.Create(ctx, name)
	if err != nil {
		return err
	}
	defer out.Abort()
	if _, err := out.Write(v.Text()); err != nil {
		return err
	}
	return out.Close()
}

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
	copied, err := BeginFolder(ctx, folder)
	if err != nil {
		return "", err
	}
	defer copied.Abandon(ctx)
	for _, f := range files {
		below := filepath.FromSlash(strings.TrimPrefix(f.Name, name+"/"))
		if !filepath.IsLocal(below) {
			return "", fault.New(fault.Data, "dataset: %s: cannot be the name of a file here; remove it from the bucket", f.Name)
		}
		if err := blob.Copy(ctx, filepath.Join(copied.Work, below), f.Name); err != nil {
			return "", err
		}
	}
	return folder, copied.Publish()
}
