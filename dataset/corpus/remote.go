package corpus

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// findRemote adds the files in a bucket that one pattern names to found: a file, a glob, or a folder with everything below
// it.
func findRemote(ctx context.Context, pattern string, found map[string]blob.Info) error {
	pattern = strings.TrimRight(pattern, "/")
	if at := strings.IndexAny(pattern, "*?["); at >= 0 {
		return findRemoteGlob(ctx, pattern, pattern[:strings.LastIndexByte(pattern[:at], '/')], found)
	}
	if strings.Count(pattern, "/") > 2 { // more than the bucket
		info, err := blob.Stat(ctx, pattern)
		if err == nil {
			found[info.Name] = info
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	below, err := blob.List(ctx, pattern)
	if err != nil {
		return err
	}
	if len(below) == 0 {
		return fault.New(fault.Usage, "corpus: %s: no such file or folder; check the name given with --data", pattern)
	}
	text := 0
	for _, info := range below {
		if inFolder(path.Base(info.Name)) {
			found[info.Name] = info
			text++
		}
	}
	return checkFolder(pattern, text, len(below)-text)
}

// findRemoteGlob adds the files below folder whose names match a pattern, in which ** stands for folders of any depth.
func findRemoteGlob(ctx context.Context, pattern, folder string, found map[string]blob.Info) error {
	if _, err := path.Match(pattern, ""); err != nil || folder == "gs:/" {
		return fault.New(fault.Usage, "corpus: %s: not a glob that can be read; write gs://BUCKET/PATTERN", pattern)
	}
	below, err := blob.List(ctx, folder)
	if err != nil {
		return err
	}
	matches := 0
	for _, info := range below {
		if matchElements(strings.Split(pattern, "/"), strings.Split(info.Name, "/")) {
			found[info.Name] = info
			matches++
		}
	}
	if matches == 0 {
		return fault.New(fault.Usage, "corpus: %s: matches no file; check the pattern given with --data", pattern)
	}
	return nil
}

// matchElements matches a name with a pattern, element by element.
func matchElements(pattern, name []string) bool {
	switch {
	case len(pattern) == 0:
		return len(name) == 0
	case pattern[0] == "**":
		return matchElements(pattern[1:], name) || len(name) > 0 && matchElements(pattern, name[1:])
	case len(name) == 0:
		return false
	}
	ok, _ := path.Match(pattern[0], name[0])
	return ok && matchElements(pattern[1:], name[1:])
}
