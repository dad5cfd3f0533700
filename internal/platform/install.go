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
// for it. A plugin that is there already and sound is kept.
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
	defer os.RemoveAll(work)
	return s.installLocked(ctx, p, work, progress)
}

// installLocked does the work of install in an empty folder. The plugin file is moved to its place last:
// if it is there, all is.
func (s *store) installLocked(ctx context.Context, p pin, work string, progress func(string)) (Plugin, error) {
	progress(fmt.Sprintf("installing the %s plugin, %s%s", p.platform, p, downloadSize(p)))
	archive, err := s.fetch(ctx, p, work)
	if err != nil {
		return Plugin{}, err
	}
	fresh := filepath.Join(work, "plugin")
	hash, err := unpack(p, archive, fresh)
	if err != nil {
		return Plugin{}, fault.Wrap(fault.Device, err, "platform: unpacking %s", p)
	}
	if len(p.libraries) > 0 {
		progress(fmt.Sprintf("installing %d libraries for the %s plugin (3 GB, once)", len(p.libraries), p.platform))
		if err := s.installLibraries(ctx, p, work); err != nil {
			return Plugin{}, fault.Wrap(fault.Device, err, "platform: installing the libraries of the %s plugin", p.platform)
		}
	}
	target := s.path(p)
	if err := os.Rename(fresh, target); err != nil {
		return Plugin{}, fault.Wrap(fault.Storage, err, "platform: installing the %s plugin", p.platform)
	}
	writeStamp(target, hash)
	return Plugin{Path: target, Hash: hash}, nil
}

func downloadSize(p pin) string {
	if p.unpinned() {
		return ""
	}
	return fmt.Sprintf(" (%d MB, once)", p.archiveSize/1e6)
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

// fetch gets the archive from the first fetcher that can, and checks its hash.
func (s *store) fetch(ctx context.Context, p pin, work string) (string, error) {
	var failures []string
	for i, f := range s.fetchers {
		folder := filepath.Join(work, fmt.Sprint(i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return "", fault.Wrap(fault.Storage, err, "platform: installing the %s plugin", p.platform)
		}
		archive, err := f.fetch(ctx, p, folder)
		if err == nil {
			err = checkArchive(p, archive)
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
		"platform: the %s plugin (%s) could not be fetched (%s); check the network and pip's index, copy the plugin from another machine to %s, name one with --plugin PATH, or use --platform=go",
		p.platform, p, strings.Join(failures, "; "), s.path(p))
}

func checkArchive(p pin, archive string) error {
	if p.unpinned() {
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

// installLibraries lets pip unpack NVIDIA's libraries, checking the hash of each wheel, and moves their
// folder to where the plugin searches: ../nvidia, seen from itself.
func (s *store) installLibraries(ctx context.Context, p pin, work string) error {
	list := filepath.Join(work, "requirements.txt")
	if err := os.WriteFile(list, []byte(strings.Join(p.libraries, "\n")+"\n"), 0o644); err != nil {
		return err
	}
	libraries := filepath.Join(work, "libraries")
	if err := pip(ctx, "install", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-compile",
		"--target", libraries, "--requirement", list); err != nil {
		return err
	}
	nvidia := filepath.Join(s.folder, p.folder(), "nvidia")
	if err := os.RemoveAll(nvidia); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(libraries, "nvidia"), nvidia); err != nil {
		return err
	}
	// XLA takes ptxas and libdevice from bin and nvvm of this folder, as in a full CUDA installation.
	return errors.Join(os.Symlink("cuda_nvcc/bin", filepath.Join(nvidia, "bin")),
		os.Symlink("cuda_nvcc/nvvm", filepath.Join(nvidia, "nvvm")))
}
