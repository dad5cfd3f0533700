package glue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// Source is where the files of a task are: a folder of TSV files as the GLUE server offers them, or of Parquet files
// as the Hugging Face hub does, on this machine or in a bucket.
type Source struct {
	Task    *Task
	Folder  string
	Missing []Split // splits without a file

	files map[string][]string // by split, in order
}

// Locate looks for the files of a task below the folder of all tasks (own tasks: beside their YAML file). A task of
// which some files are there has its other splits listed as Missing; one without any is an error of kind fault.Data
// that says what was looked for and where to get it.
func Locate(ctx context.Context, dataDir string, t *Task) (*Source, error) {
	if !blob.IsRemote(dataDir) && t.folder == "" {
		if info, err := os.Stat(dataDir); err != nil || !info.IsDir() {
			return nil, fault.New(fault.Usage, "glue: %s: no such folder; name the one that holds the tasks' folders (%s, …) with --data-dir; %s", dataDir, t.Folders[0], t.howToGet(dataDir))
		}
	}
	folders := []string{t.folder}
	if t.folder == "" {
		folders = nil
		for _, name := range t.Folders {
			folders = append(folders, join(dataDir, name))
		}
	}
	for _, folder := range folders {
		s := &Source{Task: t, Folder: folder, files: map[string][]string{}}
		if err := s.find(ctx); err != nil {
			return nil, err
		}
		if len(s.files) > 0 {
			return s, nil
		}
	}
	return nil, fault.New(fault.Data, "glue: no file of the task %s: looked for %s; %s", t.Name, t.expected(folders), t.howToGet(dataDir))
}

// howToGet says where the official files of the task come from.
func (t *Task) howToGet(dataDir string) string {
	if t.Spans != 0 {
		return howToGet(dataDir, "SQuAD")
	}
	return howToGet(dataDir)
}

// howToGet says where official files come from: the benchmark's, or the named ones.
func howToGet(dataDir string, task ...string) string {
	if dataDir == "" {
		dataDir = "FOLDER"
	}
	return fmt.Sprintf("`%s` fetches the official files", strings.Join(append([]string{"scripts/download_glue.sh", dataDir}, task...), " "))
}

// expected describes the files of both layouts.
func (t *Task) expected(folders []string) string {
	var tsv, parquet []string
	for _, s := range t.Splits {
		tsv = append(tsv, s.File)
		parquet = append(parquet, s.Parquet+"-*.parquet")
	}
	text := fmt.Sprintf("%s in %s", strings.Join(tsv, ", "), strings.Join(folders, ", "))
	if t.folder != "" || t.Spans != 0 {
		return text
	}
	return fmt.Sprintf("%s (the original files), and %s there (Hugging Face's)", text, strings.Join(parquet, ", "))
}

// find looks for the file of each split.
func (s *Source) find(ctx context.Context) error {
	list := s.list
	if s.Task.folder != "" {
		list = s.named
	}
	if err := list(ctx); err != nil {
		return fault.Wrap(fault.Storage, err, "glue: the files of task %s", s.Task.Name)
	}
	for _, split := range s.Task.Splits {
		if s.files[split.Name] == nil {
			s.Missing = append(s.Missing, split)
		}
	}
	return nil
}

// list finds the files of both layouts in the folder.
func (s *Source) list(ctx context.Context) error {
	infos, err := blob.List(ctx, s.Folder)
	if err != nil {
		return err
	}
	for _, split := range s.Task.Splits {
		for _, info := range infos {
			below := strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(info.Name, s.Folder)), "/")
			if below == split.File {
				s.files[split.Name] = []string{info.Name} // rather than any Parquet file
				break
			}
			if split.Parquet != "" && isParquetOf(below, split.Parquet) {
				s.files[split.Name] = append(s.files[split.Name], info.Name)
			}
		}
	}
	return nil
}

// named finds the files that the description of an own task names.
func (s *Source) named(ctx context.Context) error {
	for _, split := range s.Task.Splits {
		name := s.path(split)
		if _, err := blob.Stat(ctx, name); err == nil {
			s.files[split.Name] = []string{name}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// path is where the file of a split should be.
func (s *Source) path(split Split) string {
	if filepath.IsAbs(split.File) || blob.IsRemote(split.File) {
		return split.File
	}
	return join(s.Folder, split.File)
}

// isParquetOf says whether a file holds a part of a split: train.parquet, train-00000-of-00001.parquet, and
// train/0000.parquet as the hub converts data sets.
func isParquetOf(file, split string) bool {
	stem, ok := strings.CutSuffix(file, ".parquet")
	rest, begins := strings.CutPrefix(stem, split)
	return ok && begins && (rest == "" || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "/") && !strings.Contains(rest[1:], "/"))
}

// Splits lists the splits of a role that have files.
func (s *Source) Splits(role Role) []Split {
	return slices.DeleteFunc(s.Task.SplitsOf(role), func(split Split) bool { return s.files[split.Name] == nil })
}

// Need gives an error of kind fault.Data if there is no file of one of the roles. Fine-tuning needs Train and Dev.
func (s *Source) Need(roles ...Role) error {
	for _, role := range roles {
		if len(s.Splits(role)) > 0 {
			continue
		}
		var names []string
		for _, split := range s.Task.SplitsOf(role) {
			names = append(names, s.path(split))
		}
		return fault.New(fault.Data, "glue: task %s has no %s data: %s is not there; %s", s.Task.Name, role, strings.Join(names, ", "), s.Task.howToGet(""))
	}
	return nil
}

// Warnings names the missing files.
func (s *Source) Warnings() []string {
	var lines []string
	for _, split := range s.Missing {
		lines = append(lines, fmt.Sprintf("%s: %s is not there; %s", s.Task.Title, s.path(split), withoutSplit(split)))
	}
	return lines
}

// withoutSplit says what a missing file leads to.
func withoutSplit(split Split) string {
	switch split.Role {
	case Train:
		return "the task cannot be trained"
	case Dev:
		return split.Name + " is left out of the results"
	}
	return split.Submission + " is not written"
}

// warningsOf reads a split for what a user should know of it (see Examples.Warnings).
func (s *Source) warningsOf(ctx context.Context, split Split) ([]string, error) {
	if s.Task.Spans != 0 {
		_, warnings, err := s.questions(ctx, split)
		return warnings, err
	}
	e, err := s.Read(ctx, split)
	if err != nil {
		return nil, err
	}
	return e.Warnings(), nil
}

// Read reads a split. A missing file is an error of kind fault.Data; what reading found is in Examples.Warnings.
func (s *Source) Read(ctx context.Context, split Split) (*Examples, error) {
	files := s.files[split.Name]
	if len(files) == 0 {
		return nil, fault.New(fault.Data, "glue: %s is not there; %s", s.path(split), s.Task.howToGet(""))
	}
	e := &Examples{Task: s.Task, Split: split, Path: files[0]}
	if !strings.HasSuffix(files[0], ".parquet") {
		if err := readFile(ctx, files[0], func(in io.Reader) error { return readTSV(e, in) }); err != nil {
			return nil, err
		}
		return e, nil
	}
	if s.Task.folder == "" {
		e.Split.Columns = s.Task.Parquet
	}
	for _, file := range files {
		e.Path = file
		err := readFile(ctx, file, func(in io.Reader) error {
			data, err := io.ReadAll(in)
			if err != nil {
				return fault.Wrap(fault.Storage, err, "glue: %s: cannot be read", file)
			}
			return readParquet(e, data)
		})
		if err != nil {
			return nil, err
		}
	}
	e.Path = files[0]
	if err := e.check(); err != nil {
		return nil, err
	}
	return e, nil
}

func readFile(ctx context.Context, name string, read func(io.Reader) error) error {
	in, err := blob.Open(ctx, name)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "glue")
	}
	defer in.Close()
	return read(in)
}

// writeFile writes a file whole or not at all.
func writeFile(ctx context.Context, name string, data []byte) error {
	out, err := blob.Create(ctx, name)
	if err != nil {
		return fault.Wrap(fault.Storage, err, "glue")
	}
	defer out.Abort()
	if _, err := io.Copy(out, bytes.NewReader(data)); err != nil {
		return fault.Wrap(fault.Storage, err, "glue")
	}
	return fault.Wrap(fault.Storage, out.Close(), "glue")
}

// removeFile removes a file that may not be there.
func removeFile(ctx context.Context, name string) error {
	if err := blob.Remove(ctx, name); !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.Storage, err, "glue")
	}
	return nil
}

// join puts a name below a folder, here or in a bucket.
func join(folder, name string) string {
	if blob.IsRemote(folder) {
		return strings.TrimRight(folder, "/") + "/" + name
	}
	return filepath.Join(folder, name)
}
