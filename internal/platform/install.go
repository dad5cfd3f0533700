package platform

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"elektron/internal/fault"

	"github.com/gofrs/flock"
)

// install fetches the wheel of a pin, checks it, takes the plugin out of it, checks that too, and only
// then moves it to its place. Of several processes that install at once one does the work, the others wait
// for it. A plugin that is there already and sound is kept.
func (s *store) install(ctx context.Context, p pin, progress func(string)) (Plugin, error) {
	target := s.path(p)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return Plugin{}, fault.Wrap(fault.Storage, err, "platform: making the plugin cache; set XDG_CACHE_HOME to a folder that can be written")
	}
	unlock, err := s.lock(ctx, p, progress)
	if err != nil {
		return Plugin{}, err
	}
	defer unlock()
	if found, err := s.verify(p); err == nil {
		return found, nil // another process was faster
	}
	work, err := s.workFolder(p)
	if err != nil {
		return Plugin{}, fault.Wrap(fault.Storage, err, "platform: installing the %s plugin", p.platform)
	}
	defer os.RemoveAll(work)
	progress(fmt.Sprintf("installing the %s plugin, %s (%d MB, once)", p.platform, p, p.wheelSize/1e6))
	wheel, err := s.fetch(ctx, p, work)
	if err != nil {
		return Plugin{}, err
	}
	fresh := filepath.Join(work, p.file())
	if err := unpack(p, wheel, fresh); err != nil {
		return Plugin{}, fault.Wrap(fault.Device, err, "platform: unpacking %s", p)
	}
	if err := os.Rename(fresh, target); err != nil {
		return Plugin{}, fault.Wrap(fault.Storage, err, "platform: installing the %s plugin", p.platform)
	}
	writeStamp(target, p.hash)
	return Plugin{Path: target, Hash: p.hash}, nil
}

// lock takes the lock of a pin's folder, waiting for as long as another process holds it.
func (s *store) lock(ctx context.Context, p pin, progress func(string)) (unlock func(), err error) {
	lock := flock.New(filepath.Join(s.folder, p.folder()+".lock"))
	free, err := lock.TryLock()
	if err == nil && !free {
		progress(fmt.Sprintf("waiting for another process that installs the %s plugin", p.platform))
		free, err = lock.TryLockContext(ctx, 100*time.Millisecond)
	}
	if err != nil || !free {
		return nil, fault.Wrap(fault.Storage, errors.Join(err, ctx.Err()), "platform: waiting for %s", lock.Path())
	}
	return func() { lock.Unlock() }, nil
}

// workFolder makes an empty folder beside the plugins, on the same file system, after removing those that
// killed processes left. The caller holds the lock.
func (s *store) workFolder(p pin) (string, error) {
	prefix := ".install-" + p.folder() + "-"
	old, _ := filepath.Glob(filepath.Join(s.folder, prefix+"*"))
	for _, folder := range old {
		os.RemoveAll(folder)
	}
	return os.MkdirTemp(s.folder, prefix)
}

// fetch gets the wheel from the first fetcher that can, and checks its hash.
func (s *store) fetch(ctx context.Context, p pin, work string) (string, error) {
	var failures []error
	for i, f := range s.fetchers {
		folder := filepath.Join(work, fmt.Sprint(i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return "", fault.Wrap(fault.Storage, err, "platform: installing the %s plugin", p.platform)
		}
		wheel, err := f.fetch(ctx, p, folder)
		if err == nil {
			err = checkWheel(p, wheel)
		}
		if err == nil {
			return wheel, nil
		}
		if ctx.Err() != nil {
			return "", fault.Wrap(fault.Device, ctx.Err(), "platform: installing the %s plugin", p.platform)
		}
		failures = append(failures, fmt.Errorf("with %s: %w", f.name, err))
	}
	return "", fault.New(fault.Device,
		"platform: the %s plugin (%s) could not be fetched: %w; check the network or pip's index, copy the plugin from another machine to %s, name one with --plugin PATH, or use --platform=go",
		p.platform, p, joined(failures), s.path(p))
}

// joined puts errors on one line.
func joined(list []error) error {
	var all error
	for _, err := range list {
		if all == nil {
			all = err
			continue
		}
		all = fmt.Errorf("%w; %w", all, err)
	}
	return all
}

func checkWheel(p pin, wheel string) error {
	hash, err := hashFile(wheel)
	if err != nil {
		return err
	}
	if hash != p.wheelHash {
		return fmt.Errorf("the wheel %s has SHA-256 %s, not the pinned %s, and is thrown away", filepath.Base(wheel), hash, p.wheelHash)
	}
	return nil
}

// unpack writes the one entry of the wheel that is wanted to target, which must come out with the pinned
// size and hash. Nothing else of the archive is touched, and no name in it becomes a path.
func unpack(p pin, wheel, target string) error {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return err
	}
	defer archive.Close()
	var entry *zip.File
	for _, f := range archive.File {
		if f.Name != p.entry {
			continue
		}
		if entry != nil {
			return fmt.Errorf("the wheel holds %s twice", p.entry)
		}
		entry = f
	}
	if entry == nil || !entry.Mode().IsRegular() {
		return fmt.Errorf("the wheel does not hold the file %s", p.entry)
	}
	source, err := entry.Open()
	if err != nil {
		return err
	}
	defer source.Close()
	return writeChecked(p, source, target)
}

// writeChecked copies a plugin to a new file, never more than its pinned size, and flushes it to disk.
func writeChecked(p pin, source io.Reader, target string) error {
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(source, p.size+1))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if hash := hex.EncodeToString(sum.Sum(nil)); size != p.size || hash != p.hash {
		return fmt.Errorf("%s came out with SHA-256 %s, not the pinned %s", p.entry, hash, p.hash)
	}
	return nil
}
