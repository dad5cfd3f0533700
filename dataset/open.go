package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"elektron/dataset/corpus"
	"elektron/dataset/wordpiece"
	"elektron/internal/blob"
	"elektron/internal/fault"

	"github.com/gofrs/flock"
)

// Options says where text comes from and what batches to make of it.
type Options struct {
	Data           []string       // text files, globs, folders, or one folder of shards; empty: the doc comments of the local Go installation
	Vocabulary     string         // vocabulary file, also gs://; empty: that of the shards, or one trained on the text
	VocabularySize int            // of a trained vocabulary; 0 means DefaultVocabularySize
	Cased          bool           // keep upper case: for a cased vocab.txt, or to train one
	Text           corpus.Options // how text files are read
	SkipBadShards  bool           // leave damaged shards out and say so, instead of stopping at them
	CacheDir       string         // where trained vocabulary, shards and indexes are kept from run to run; empty: elektron in the user's cache folder
	ValidShare     float64        // share of documents that is held out; 0 means DefaultValidShare
	Workers        int            // goroutines that tokenise; 0 means one a core
	BatchOptions
}

// DefaultVocabularySize is what Prepare trains when no vocabulary and no size is given.
const DefaultVocabularySize = 4096

// Prepare makes datasets of text: it trains a vocabulary where none is given, tokenises the text into
// shards, builds the example index, and keeps all of it in CacheDir, so that a second call with the same
// files and options reads it back. progress gets a line now and then; nil means silence. Close the result.
//
// Errors: fault.Usage for options and paths that cannot be right, fault.Data for text, vocabularies and
// shards that cannot be used, fault.Storage and fault.DiskFull for what cannot be read or written.
func Prepare(ctx context.Context, o Options, progress func(string)) (*Prepared, error) {
	if progress == nil {
		progress = func(string) {}
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	sources, weighted, err := sourcesOf(o.Data)
	if err != nil {
		return nil, err
	}
	if err := fetchShards(ctx, sources, o.CacheDir, progress); err != nil {
		return nil, err
	}
	built := 0
	for _, from := range sources {
		if IsBuilt(from.Folder) {
			built++
		}
	}
	switch {
	case built == 0 && !weighted:
		return prepareText(ctx, o, progress)
	case built == len(sources):
		return openFolders(ctx, sources, o, progress)
	case !weighted:
		return nil, fault.New(fault.Usage, "dataset: --data names %d folders of shards among text; give each path a weight (PATH=0.7), or build shards of the text", built)
	}
	return prepareMixture(ctx, sources, o, progress)
}

// sourcesOf takes weights off paths. Either all paths have one or none has.
func sourcesOf(data []string) (sources []Source, weighted bool, err error) {
	for i, path := range data {
		from, err := sourceOf(path)
		if err != nil {
			return nil, false, err
		}
		if i > 0 && weighted != (from.Weight > 0) {
			return nil, false, fault.New(fault.Usage, "dataset: %s and %s: one has a weight (PATH=0.7), the other has none; give weights to all paths or to none", data[i-1], path)
		}
		sources, weighted = append(sources, from), from.Weight > 0
	}
	return sources, weighted, nil
}

// sourceOf takes the weight off a path. A file whose name ends like a weight is taken as a file.
func sourceOf(path string) (Source, error) {
	cut := strings.LastIndexByte(path, '=')
	if cut < 0 {
		return Source{Folder: path}, nil
	}
	weight, err := strconv.ParseFloat(path[cut+1:], 64)
	if _, missing := os.Stat(path); missing == nil || err != nil {
		return Source{Folder: path}, nil
	}
	if !(weight > 0) || math.IsInf(weight, 0) {
		return Source{}, fault.New(fault.Usage, "dataset: %s: weight %v is not a positive number; it is a part's share of the rows, relative to the others'", path, weight)
	}
	return Source{Folder: path[:cut], Weight: weight}, nil
}

// prepareMixture makes shards of each part that is text, with the vocabulary of the run or of the first part that is
// shards, and opens all of them.
func prepareMixture(ctx context.Context, sources []Source, o Options, progress func(string)) (*Prepared, error) {
	text := o
	for _, from := range sources {
		if text.Vocabulary == "" && IsBuilt(from.Folder) {
			text.Vocabulary = filepath.Join(from.Folder, vocabularyFile)
		}
	}
	if text.Vocabulary == "" {
		return nil, fault.New(fault.Usage, "dataset: the texts of a mixture need one vocabulary; name it with --vocab ('data vocab' trains one)")
	}
	for i, from := range sources {
		if IsBuilt(from.Folder) {
			continue
		}
		text.Data = []string{from.Folder}
		p, err := prepareText(ctx, text, progress)
		if err != nil {
			return nil, err
		}
		sources[i].Folder = p.Sources[0].Folder
		if err := p.Close(); err != nil {
			return nil, err
		}
	}
	return openFolders(ctx, sources, o, progress)
}

// prepareText finds, or builds, the shards of a text.
func prepareText(ctx context.Context, o Options, progress func(string)) (*Prepared, error) {
	cache, err := cacheFolder(o.CacheDir)
	if err != nil {
		return nil, err
	}
	text, err := openText(ctx, o.Data, o.Text)
	if err != nil {
		return nil, err
	}
	source, err := fingerprint(text, o.Text)
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, filepath.Join(cache, "lock-"+digest(source)), progress)
	if err != nil {
		return nil, err
	}
	defer unlock()
	v, err := vocabularyFor(ctx, text, source, cache, o, progress)
	if err != nil {
		return nil, err
	}
	build, err := BuildOptions{Vocabulary: v, Cased: o.Cased, Workers: o.Workers, ValidShare: o.ValidShare, Source: source}.Resolved()
	if err != nil {
		return nil, err
	}
	build.Folder = filepath.Join(cache, "shards-"+digest(manifestFormat, source, v.Hash(), build.text(), build.ValidShare))
	if IsBuilt(build.Folder) {
		p, err := openFolders(ctx, []Source{{Folder: build.Folder}}, o, progress)
		if err == nil || ctx.Err() != nil || fault.KindOf(err) != fault.Data {
			return p, err
		}
		progress(fmt.Sprintf("the cached shards cannot be used and are built again: %v", err))
	}
	if err := rebuild(ctx, text, build, progress); err != nil {
		return nil, err
	}
	return openFolders(ctx, []Source{{Folder: build.Folder}}, o, progress)
}

// lock keeps other processes from building the same text in the same cache at the same time: the second one
// waits and finds it done.
func lock(ctx context.Context, path string, progress func(string)) (unlock func() error, err error) {
	l := flock.New(path)
	held, err := l.TryLock()
	if err == nil && !held {
		progress("waiting for another process that prepares the same text")
		_, err = l.TryLockContext(ctx, 100*time.Millisecond)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return l.Unlock, fault.Wrap(fault.Storage, err, "dataset: the cache cannot be locked")
}

// rebuild builds the shards of a cache anew. What killed processes have left of such a build goes first.
func rebuild(ctx context.Context, text *corpus.Corpus, o BuildOptions, progress func(string)) error {
	old, err := filepath.Glob(filepath.Join(filepath.Dir(o.Folder), workPrefix(filepath.Base(o.Folder))+"*"))
	for _, folder := range append(old, o.Folder) {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	if err != nil {
		return fault.Wrap(fault.Storage, err, "dataset: old shards cannot be removed")
	}
	progress(fmt.Sprintf("tokenising %d files (%.1f MB) into %s", len(text.Files()), float64(text.Size())/1e6, o.Folder))
	m, err := Build(ctx, text, o, progress)
	if err != nil {
		return err
	}
	progress(m.Report.String())
	for _, warning := range m.Report.Warnings {
		progress("warning: " + warning)
	}
	return nil
}

// openText opens what --data names, by default the Go installation's doc comments.
func openText(ctx context.Context, data []string, o corpus.Options) (*corpus.Corpus, error) {
	if len(data) == 0 {
		return corpus.GoDoc("")
	}
	return corpus.Open(ctx, data, o)
}

func cacheFolder(folder string) (string, error) {
	if folder == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fault.Wrap(fault.Storage, err, "dataset: no cache folder; set XDG_CACHE_HOME or HOME")
		}
		folder = filepath.Join(user, "elektron", "data")
	}
	return folder, fault.Wrap(fault.Storage, os.MkdirAll(folder, 0o777), "dataset: no cache folder")
}

// fingerprint identifies a corpus by path, size and time of modification of its files, and how they are read.
func fingerprint(text *corpus.Corpus, o corpus.Options) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%+v\n", o)
	for _, f := range text.Files() {
		path, err := f.Path, error(nil)
		if !blob.IsRemote(path) {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return "", fault.Wrap(fault.Storage, err, "dataset: text cannot be found")
		}
		fmt.Fprintln(h, path, f.Size, f.Modified.UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// digest names a cached thing by what it depends on.
func digest(parts ...any) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%v\n", part)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// vocabularyFor loads the vocabulary that is asked for, or the one that was trained on this text before, or
// trains it.
func vocabularyFor(ctx context.Context, text *corpus.Corpus, source, cache string, o Options, progress func(string)) (*wordpiece.Vocabulary, error) {
	if o.Vocabulary != "" {
		return LoadVocabulary(ctx, o.Vocabulary)
	}
	size := o.VocabularySize
	if size == 0 {
		size = DefaultVocabularySize
	}
	path := filepath.Join(cache, "vocab-"+digest(source, size, o.Cased)+".txt")
	if v, err := wordpiece.Load(path); err == nil {
		return v, nil
	}
	v, err := trainVocabulary(ctx, text, size, o.Cased, o.Workers, progress)
	if err != nil {
		return nil, err
	}
	return v, v.Save(path)
}
