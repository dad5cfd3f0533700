package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"elektron/internal/fault"

	"github.com/gofrs/flock"
)

// install fetches the archive of a pin, checks it, takes the plugin out of it, checks that too, and only
// then moves it to its place. Of several processes that install at once one does the work, the others wait
// for it. A plugin that is there already and sound is kept. Libraries are fetched before the plugin that loads them; if
// that is interrupted, the next call goes on after the last whole one.
func (s *store) install(ctx context.Context, p pin, progress func(string)) (Plugin, error) {
	target := s.path(p)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return Plugin{}, fault.Wrap(fault.Storage, err, "platform: making the plugin cache (XDG_CACHE_HOME names another place)")
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
	found, err := s.installLocked(ctx, p, work, progress)
	if kept, _ := os.ReadDir(filepath.Join(work, p.libraries.folder)); err != nil && p.libraries.any() && len(kept) > 0 {
		return Plugin{}, fault.New(fault.KindOf(err), "%w; `elektron platform install %s` goes on with what is in %s", err, p.platform, work)
	}
	os.RemoveAll(work)
	return found, err
}

// installLocked does the work of install in a folder. The plugin file is moved to its place last: if it is there,
// all is.
func (s *store) installLocked(ctx context.Context, p pin, work string, progress func(string)) (Plugin, error) {
	if err := s.checkSpace(p, work); err != nil {
		return Plugin{}, err
	}
	progress(fmt.Sprintf("installing the %s plugin, %s%s", p.platform, p, sizes(p)))
	m, done := newMeter(p, progress)
	defer done()
	if p.libraries.any() {
		if err := s.stageLibraries(ctx, p, work, m); err != nil {
			return Plugin{}, err
		}
	}
	archive, err := s.fetch(ctx, p, p, work, m)
	if err != nil {
		return Plugin{}, err
	}
	m.doing("unpacking %s", p)
	fresh := filepath.Join(filepath.Dir(archive), "plugin")
	hash, err := unpack(p, archive, fresh)
	if err != nil {
		return Plugin{}, fault.Wrap(fault.Device, err, "platform: unpacking %s", p)
	}
	if err := s.place(p, work, fresh); err != nil {
		return Plugin{}, fault.Wrap(fault.Storage, err, "platform: installing the %s plugin", p.platform)
	}
	writeStamp(s.path(p), hash)
	return Plugin{Path: s.path(p), Hash: hash}, nil
}

// place moves what was fetched to where it is used.
func (s *store) place(p pin, work, plugin string) error {
	if p.libraries.any() {
		target := s.libraryFolder(p)
		if err := os.RemoveAll(target); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(work, p.libraries.folder), target); err != nil {
			return err
		}
	}
	return os.Rename(plugin, s.path(p))
}

// sizes says what an installation fetches and takes.
func sizes(p pin) string {
	switch n := len(p.libraries.wheels); {
	case p.unpinned():
		return ""
	case n > 0:
		return fmt.Sprintf(" with %d libraries of NVIDIA's, which are under NVIDIA's own licences: %s to fetch, %s of disk, once", n, megabytes(p.download()), megabytes(p.disk()))
	}
	return fmt.Sprintf(" (%s, once)", megabytes(p.download()))
}

// megabytes writes a size as "205 MB" or "3.2 GB".
func megabytes(size int64) string {
	if size < 1e9 {
		return fmt.Sprintf("%d MB", size/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(size)/1e9)
}

// checkSpace refuses what does not fit on the disk before anything of it is fetched: the files, and beside them the
// largest wheel, of which pip has two copies for a moment. What is in the work folder is there already.
func (s *store) checkSpace(p pin, work string) error {
	largest := p.archiveSize
	for _, w := range p.libraries.wheels {
		largest = max(largest, w.archiveSize)
	}
	need := p.disk() + 2*largest - sizeOf(work)
	free, known := s.space(s.folder)
	if known && !p.unpinned() && free < need {
		return fault.New(fault.DiskFull,
			"platform: installing the %s plugin needs %s of disk, and %s has %s free; make room, or let XDG_CACHE_HOME name a folder on a larger disk",
			p.platform, megabytes(need), s.folder, megabytes(free))
	}
	return nil
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

// workFolder makes a folder beside the plugins, on the same file system. It is empty, without those that killed
// processes left; only that of a plugin with libraries is gone on with. The caller holds the lock.
func (s *store) workFolder(p pin) (string, error) {
	prefix := ".install-" + p.folder() + "-"
	if p.libraries.any() {
		work := filepath.Join(s.folder, prefix+"unfinished")
		return work, os.MkdirAll(filepath.Join(work, p.libraries.folder), 0o755)
	}
	old, _ := filepath.Glob(filepath.Join(s.folder, prefix+"*"))
	for _, folder := range old {
		os.RemoveAll(folder)
	}
	return os.MkdirTemp(s.folder, prefix)
}

// fetch gets one wheel of a pin, its own or that of a library, from the first fetcher that can, and checks its hash. The
// archive lies alone in a folder.
func (s *store) fetch(ctx context.Context, p, wheel pin, work string, m *meter) (string, error) {
	folder := filepath.Join(work, "fetch")
	defer m.fetching(wheel, folder)()
	var failures []string
	for _, f := range s.fetchers {
		if err := errors.Join(os.RemoveAll(folder), os.Mkdir(folder, 0o755)); err != nil {
			return "", fault.Wrap(fault.Storage, err, "platform: installing the %s plugin", p.platform)
		}
		archive, err := f.fetch(ctx, wheel, folder)
		if err == nil {
			err = checkArchive(wheel, archive)
		}
		if err == nil {
			return archive, nil
		}
		if ctx.Err() != nil || fault.KindOf(err) == fault.DiskFull {
			return "", fault.Wrap(fault.Device, err, "platform: installing the %s plugin", p.platform)
		}
		failures = append(failures, f.name+": "+err.Error())
	}
	return "", fault.New(fault.Device,
		"platform: %s could not be fetched for the %s plugin (%s); check the network and pip's index, copy the plugin from another machine to %s, name one with --plugin PATH, or use --platform=go",
		wheel, p.platform, strings.Join(failures, "; "), s.placeOf(p))
}

// placeOf is what is to be copied where a plugin cannot be fetched: one file, or a folder where libraries belong to it.
func (s *store) placeOf(p pin) string {
	if p.libraries.any() {
		return filepath.Join(s.folder, p.folder())
	}
	return s.path(p)
}

func checkArchive(p pin, archive string) error {
	if p.archiveHash == "" { // nobody publishes one
		return nil
	}
	hash, err := hashFile(archive)
	if err != nil {
		return err
	}
	if hash != p.archiveHash {
		return fmt.Errorf("the file %s has SHA-256 %s, not the pinned %s, and is thrown away", filepath.Base(archive), hash, p.archiveHash)
	}
	return nil
}
