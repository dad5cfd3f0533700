package corpus

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// formats maps the extension, without one of compression, to what reads it. Any other one is text.
var formats = map[string]format{
	".jsonl": readJSONLines, ".ndjson": readJSONLines, ".json": readJSONLines,
	".parquet": readParquet, tfrecordExtension: readTFRecord,
}

// inFolders are the extensions that a folder is searched for, beside those of formats. A file of another
// kind is read when it is named itself. Names without an extension are what WikiExtractor writes.
var inFolders = []string{".txt", ".text", ""}

// notText are files of Hugging Face data set folders that look like data by extension.
var notText = []string{"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}

// compressions are the extensions that may follow that of a format.
var compressions = []string{".gz", ".zst"}

// Open finds the files that patterns name: files, globs (** matches any depth), folders with everything
// below them, each of this machine or of a bucket (gs://bucket/name). Files are sorted by path and each is read once, however often it was named. Hidden files
// count only when named. Errors: fault.Usage for a pattern that names nothing, fault.Data for folders
// and files that cannot hold text.
func Open(ctx context.Context, patterns []string, options Options) (*Corpus, error) {
	if len(patterns) == 0 {
		return nil, fault.New(fault.Usage, "corpus: no data named; pass --data with text files, globs or folders")
	}
	found := map[string]blob.Info{}
	for _, pattern := range patterns {
		if err := find(ctx, pattern, found); err != nil {
			return nil, err
		}
	}
	c := &Corpus{name: strings.Join(patterns, ", "), options: options.withDefaults(), counts: make([]*Counts, len(found))}
	for path, info := range found {
		c.files = append(c.files, File{Path: path, Size: info.Size, Modified: info.Modified, corpus: c, read: formatOf(path), open: blob.Open})
	}
	c.sort()
	if err := c.checkTokens(); err != nil {
		return nil, err
	}
	if c.Size() == 0 {
		return nil, fault.New(fault.Data, "corpus: %s: empty (%d files of 0 bytes); name files that hold text", c.name, len(c.files))
	}
	return c, nil
}

// sort orders the files by path and numbers them.
func (c *Corpus) sort() {
	sort.Slice(c.files, func(i, j int) bool { return c.files[i].Path < c.files[j].Path })
	for i := range c.files {
		c.files[i].Index = i
	}
}

// find adds the files that one pattern names to found.
func find(ctx context.Context, pattern string, found map[string]blob.Info) error {
	if pattern == "" {
		return fault.New(fault.Usage, "corpus: --data is empty; name text files, globs or folders")
	}
	if blob.IsRemote(pattern) {
		return findRemote(ctx, pattern, found)
	}
	if scheme, _, ok := strings.Cut(pattern, "://"); ok {
		return fault.New(fault.Usage, "corpus: %s: %s:// cannot be read; copy the data to this machine or to a bucket (gs://) and name the copy", pattern, scheme)
	}
	info, err := os.Stat(pattern)
	if err == nil {
		return add(pattern, info, found)
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) && !errors.Is(err, fs.ErrInvalid) {
		return fault.Wrap(fault.Storage, err, "corpus: cannot be read")
	}
	if !strings.ContainsAny(pattern, "*?[") {
		return fault.New(fault.Usage, "corpus: %s: no such file or folder; check the path given with --data", pattern)
	}
	paths, err := glob(pattern)
	if err != nil {
		return err
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return fault.Wrap(fault.Storage, err, "corpus: cannot be read")
		}
		if err := add(path, info, found); err != nil {
			return err
		}
	}
	return nil
}

// add puts a file, or all text files below a folder, into found.
func add(path string, info fs.FileInfo, found map[string]blob.Info) error {
	path = filepath.Clean(path)
	if info.Mode().IsRegular() {
		found[path] = described(path, info)
		return nil
	}
	if !info.IsDir() {
		return fault.New(fault.Usage, "corpus: %s: neither a file nor a folder; write the text to a file first, because it is read more than once", path)
	}
	text, other := 0, 0
	err := walk(path, nil, func(path string, info fs.FileInfo) {
		if info.Mode().IsRegular() && inFolder(filepath.Base(path)) {
			found[path] = described(path, info)
			text++
		} else {
			other++
		}
	})
	if err != nil {
		return fault.Wrap(fault.Storage, err, "corpus: folder cannot be read")
	}
	return checkFolder(path, text, other)
}

func described(path string, info fs.FileInfo) blob.Info {
	return blob.Info{Name: path, Size: info.Size(), Modified: info.ModTime()}
}

// checkFolder refuses a folder in which there was no file that can be read.
func checkFolder(path string, text, other int) error {
	if text == 0 && other > 0 {
		return fault.New(fault.Data, "corpus: %s: no text in this folder: none of its %d files ends in .txt, .jsonl, .json, .parquet or .tfrecord (or these with .gz or .zst); name the files themselves, or a glob", path, other)
	}
	if text == 0 {
		return fault.New(fault.Data, "corpus: %s: no file in this folder; name one that holds text files", path)
	}
	return nil
}

// walk visits the files below folder, in the order of names, and follows links, as data set caches consist
// of them, except to a folder that it is in.
func walk(folder string, above []fs.FileInfo, visit func(string, fs.FileInfo)) error {
	self, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, self) }) {
		return nil
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(folder, e.Name())
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			visit(path, info)
		} else if err := walk(path, append(above, self), visit); err != nil {
			return err
		}
	}
	return nil
}

// checkTokens finds out whether the files hold token ids. Some that do among others that do not is an error: examples
// stay as they are, text is cut anew for each sequence length.
func (c *Corpus) checkTokens() error {
	c.tokens = holdsTokens(c.files[0].Path)
	other := slices.IndexFunc(c.files, func(f File) bool { return holdsTokens(f.Path) != c.tokens })
	if other < 0 {
		return nil
	}
	return fault.New(fault.Usage, "corpus: %s and %s: TFRecord files of examples and text cannot be read as one corpus; build shards of each, then name both folders with weights", c.files[0].Path, c.files[other].Path)
}

func holdsTokens(path string) bool {
	e, _ := extension(path)
	return e == tfrecordExtension
}

// extension gives the extension of name in lower case without, and that of the compression.
func extension(name string) (format, compression string) {
	name = strings.ToLower(filepath.Base(name))
	if e := filepath.Ext(name); slices.Contains(compressions, e) {
		name, compression = strings.TrimSuffix(name, e), e
	}
	format = filepath.Ext(name)
	if strings.HasPrefix(format, tfrecordExtension+"-") { // TensorFlow numbers files behind the extension: -0-of-1000
		format = tfrecordExtension
	}
	return format, compression
}

func formatOf(path string) format {
	e, _ := extension(path)
	if f := formats[e]; f != nil {
		return f
	}
	return readText
}

func inFolder(name string) bool {
	e, _ := extension(name)
	return (formats[e] != nil || slices.Contains(inFolders, e)) && !slices.Contains(notText, name)
}

// glob expands a pattern, ** included, to paths in order. None is an error. As in a shell, a hidden file
// matches only a pattern whose last element begins with a dot.
func glob(pattern string) ([]string, error) {
	matches, err := filepath.Glob(pattern)
	elements := strings.Split(filepath.Clean(pattern), string(filepath.Separator))
	if deep := slices.Index(elements, "**"); deep >= 0 && err == nil {
		base := strings.Join(elements[:deep], string(filepath.Separator))
		if base == "" && !filepath.IsAbs(pattern) {
			base = "."
		}
		matches, err = globDeep(base+string(filepath.Separator), elements[deep+1:])
	}
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "corpus: %s: not a glob that can be read", pattern)
	}
	if !strings.HasPrefix(filepath.Base(pattern), ".") {
		matches = slices.DeleteFunc(matches, func(m string) bool { return strings.HasPrefix(filepath.Base(m), ".") })
	}
	if len(matches) == 0 {
		return nil, fault.New(fault.Usage, "corpus: %s: matches no file; check the pattern given with --data", pattern)
	}
	return matches, nil
}

// globDeep gives the files at any depth below the folders that base matches whose last path elements match tail.
func globDeep(base string, tail []string) (matches []string, err error) {
	if slices.Contains(tail, "**") {
		return nil, errors.New("** may stand in it once")
	}
	if len(tail) == 0 {
		tail = []string{"*"}
	}
	pattern := filepath.Join(tail...)
	roots, err := filepath.Glob(base)
	if err != nil {
		return nil, err
	}
	for _, root := range roots {
		err := walk(root, nil, func(path string, _ fs.FileInfo) {
			below, _ := filepath.Rel(root, path)
			elements := strings.Split(below, string(filepath.Separator))
			if first := len(elements) - len(tail); first >= 0 {
				if ok, _ := filepath.Match(pattern, filepath.Join(elements[first:]...)); ok {
					matches = append(matches, path)
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return matches, nil
}
