package platform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"elektron/internal/fault"
)

// Plugin is a PJRT plugin on disk.
type Plugin struct {
	Path string // absolute
	Hash string // SHA-256 in hex
}

// store is the cache of installed plugins in the user's cache directory, one folder a version.
type store struct {
	folder   string // absolute
	pins     []pin
	fetchers []fetcher // tried in this order
	host     host
	space    func(folder string) (free int64, known bool) // of the file system, bytes
}

// defaultStore is the plugin cache of the user who runs the process.
func defaultStore() (*store, error) {
	cache, err := os.UserCacheDir()
	if err == nil {
		cache, err = filepath.Abs(cache)
	}
	if err != nil {
		return nil, fault.New(fault.Storage, "platform: no cache directory for plugins: %w; set HOME or XDG_CACHE_HOME", err)
	}
	return &store{
		folder:   filepath.Join(cache, "elektron", "plugins"),
		pins:     pinsFor(runtime.GOOS, runtime.GOARCH),
		fetchers: fetchersFor(runtime.GOOS, runtime.GOARCH),
		host:     host{root: "/"},
		space:    freeSpace,
	}, nil
}

// path is where the plugin of a pin is kept.
func (s *store) path(p pin) string { return filepath.Join(s.folder, p.folder(), p.file()) }

// has reports whether a platform's plugin is installed, without checking it.
func (s *store) has(platform string) bool {
	p, err := s.pin(platform)
	if err != nil {
		return false
	}
	_, err = os.Stat(s.path(p))
	return err == nil
}

// obtain finds the installed plugin or, where it is missing, installs it, unless libraries come with it:
// gigabytes are fetched only by command. A plugin that is there but differs from its pin is an error: it
// is never replaced behind the user's back.
func (s *store) obtain(ctx context.Context, p pin, offline bool, progress func(string)) (Plugin, error) {
	found, err := s.find(p)
	if !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if p.libraries.any() {
		return Plugin{}, fault.New(fault.Device,
			"platform: the %s plugin (%s) is not installed at %s; run `elektron platform install %s` once (it fetches %s and takes %s of disk), or name a plugin with --plugin PATH",
			p.platform, p, s.path(p), p.platform, megabytes(p.download()), megabytes(p.disk()))
	}
	if offline {
		return Plugin{}, fault.New(fault.Device,
			"platform: the %s plugin (%s) is not installed at %s, and --offline forbids fetching it; run `elektron platform install %s` with a network, copy that file from another machine, name a plugin with --plugin PATH, or use --platform=go",
			p.platform, p, s.path(p), p.platform)
	}
	return s.install(ctx, p, progress)
}

// stamp remembers that a file was hashed, so that a start needs not read 200 MB again. Whoever can change
// the plugin can change the stamp too: it guards against accidents, as the hash of an installed file does.
type stamp struct {
	Hash     string `json:"sha256"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified_ns"`
}

// find returns the installed plugin of a pin. The file is hashed in full if its size or time differ from
// when it was last hashed; of libraries only the sizes are looked at otherwise. The error is fs.ErrNotExist where it is not installed, a damagedError where it
// is not the pinned file.
func (s *store) find(p pin) (Plugin, error) {
	path := s.path(p)
	then, _ := readStamp(path)
	now, err := stampOf(path, s.expected(p))
	if err != nil {
		return Plugin{}, err
	}
	if then == now {
		return Plugin{Path: path, Hash: then.Hash}, s.checkLibraries(p, false)
	}
	return s.verify(p)
}

// expected is the hash that the installed plugin must have: the pinned one, or where nobody publishes
// one, that of the file as it was installed.
func (s *store) expected(p pin) string {
	if !p.unpinned() {
		return p.hash
	}
	installed, _ := readStamp(s.path(p))
	return installed.Hash
}

// verify hashes the installed plugin and its libraries in full and renews the plugin's stamp.
func (s *store) verify(p pin) (Plugin, error) {
	path, want := s.path(p), s.expected(p)
	info, err := os.Stat(path)
	if err != nil {
		return Plugin{}, err
	}
	if !p.unpinned() && info.Size() != p.size {
		return Plugin{}, damaged(p, path, fmt.Sprintf("is %d bytes long, not %d", info.Size(), p.size))
	}
	hash, err := hashFile(path)
	if err != nil {
		return Plugin{}, fault.Wrap(fault.Storage, err, "checking the %s plugin", p.platform)
	}
	if hash != want {
		return Plugin{}, damaged(p, path, fmt.Sprintf("has SHA-256 %s, not %s as it should", hash, want))
	}
	writeStamp(path, hash)
	return Plugin{Path: path, Hash: hash}, s.checkLibraries(p, true)
}

// damagedError is a plugin that is not what its pin says.
type damagedError struct{ text string }

func (e *damagedError) Error() string { return e.text }

func damaged(p pin, path, what string) error {
	return fault.New(fault.Device, "%w", &damagedError{fmt.Sprintf(
		"platform: the %s plugin %s %s: it was changed or cut off after it was installed and is not loaded; run `elektron platform install %s` to replace it",
		p.platform, path, what, p.platform)})
}

func stampOf(path, hash string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{Hash: hash, Size: info.Size(), Modified: info.ModTime().UnixNano()}, nil
}

func readStamp(path string) (stamp, error) {
	var then stamp
	text, err := os.ReadFile(path + ".stamp")
	if err == nil {
		err = json.Unmarshal(text, &then)
	}
	return then, err
}

// writeStamp renews a plugin's stamp. A cache that cannot be written only costs the next start a hash.
func writeStamp(path, hash string) {
	now, err := stampOf(path, hash)
	if err != nil {
		return
	}
	text, err := json.Marshal(now)
	if err != nil {
		return
	}
	temporary := fmt.Sprintf("%s.stamp.%d", path, os.Getpid())
	if os.WriteFile(temporary, text, 0o644) != nil || os.Rename(temporary, path+".stamp") != nil {
		os.Remove(temporary)
	}
}

// hashFile is the SHA-256 of a file, in hex.
func hashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
