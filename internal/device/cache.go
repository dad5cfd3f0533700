package device

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"elektron/internal/blob"
)

// cache keeps compiled programs in a folder, each under the hash of everything that it depends on. It only ever saves
// time: what cannot be read or written is compiled.
type cache struct{ folder string } // empty keeps nothing

// cacheLimit is how many bytes of programs are kept; those that were used least recently go first.
const cacheLimit = 4 << 30

// cacheSuffix is what the files end with.
const cacheSuffix = ".pjrt"

// DefaultCache is the folder of compiled programs of the user who runs the process; empty if there is none.
func DefaultCache() string {
	folder, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(folder, "elektron", "programs")
}

func newCache(folder string) *cache {
	switch folder {
	case "":
		return &cache{DefaultCache()}
	case NoCache:
		return &cache{}
	}
	return &cache{folder}
}

// cacheKey hashes what a compiled program depends on.
func cacheKey(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(sum, "%d %s\n", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (c *cache) path(key string) string { return filepath.Join(c.folder, key+cacheSuffix) }

// load is the program that was stored under a key, or nil.
func (c *cache) load(key string) []byte {
	if c.folder == "" {
		return nil
	}
	serialized, err := os.ReadFile(c.path(key))
	if err != nil {
		return nil
	}
	now := time.Now()
	os.Chtimes(c.path(key), now, now)
	return serialized
}

// drop removes a program that turned out to be damaged.
func (c *cache) drop(key string) { os.Remove(c.path(key)) }

// store keeps a program and makes room for it.
func (c *cache) store(key string, serialized []byte) error {
	if c.folder == "" {
		return nil
	}
	if err := os.MkdirAll(c.folder, 0o755); err != nil {
		return err
	}
	c.prune(cacheLimit - int64(len(serialized)))
	return blob.WriteFile(c.path(key), serialized)
}

// prune removes the programs that were used least recently until the others take at most limit bytes.
func (c *cache) prune(limit int64) {
	entries, _ := os.ReadDir(c.folder)
	var files []os.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasSuffix(entry.Name(), cacheSuffix) {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, info := range files {
		if limit -= info.Size(); limit < 0 {
			os.Remove(filepath.Join(c.folder, info.Name()))
		}
	}
}

// processor tells processors apart for which XLA makes different machine code.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, features, found := strings.Cut(line, ":"); found && (strings.HasPrefix(name, "flags") || strings.HasPrefix(name, "Features")) {
				return runtime.GOARCH + features
			}
		}
	}
	host, _ := os.Hostname()
	return runtime.GOARCH + " of " + host
}
