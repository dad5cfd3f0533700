package platform

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// unpack writes the one file of the archive that is wanted to target and returns its SHA-256, which must
// be the pinned one. Nothing else of the archive is touched, and no name in it becomes a path.
func unpack(p pin, archive, target string) (hash string, err error) {
	if strings.HasSuffix(archive, ".tar.gz") {
		return unpackTar(p, archive, target)
	}
	return unpackWheel(p, archive, target)
}

func unpackWheel(p pin, archive, target string) (string, error) {
	wheel, err := zip.OpenReader(archive)
	if err != nil {
		return "", err
	}
	defer wheel.Close()
	var entry *zip.File
	for _, f := range wheel.File {
		if f.Name != p.entry {
			continue
		}
		if entry != nil {
			return "", fmt.Errorf("the wheel holds %s twice", p.entry)
		}
		entry = f
	}
	if entry == nil || !entry.Mode().IsRegular() {
		return "", fmt.Errorf("the wheel does not hold the file %s", p.entry)
	}
	source, err := entry.Open()
	if err != nil {
		return "", err
	}
	defer source.Close()
	return writeChecked(p, source, target)
}

func unpackTar(p pin, archive, target string) (string, error) {
	file, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return "", err
	}
	for entries := tar.NewReader(plain); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("the archive does not hold the file %s", p.entry)
		}
		if err != nil {
			return "", err
		}
		if header.Typeflag == tar.TypeReg && path.Base(header.Name) == p.entry {
			return writeChecked(p, entries, target)
		}
	}
}

// writeChecked copies a plugin to a new file, never more than its pinned size, and flushes it to disk.
func writeChecked(p pin, source io.Reader, target string) (string, error) {
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(source, p.size+1))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", err
	}
	hash := hex.EncodeToString(sum.Sum(nil))
	if size > p.size || !p.unpinned() && hash != p.hash {
		return "", fmt.Errorf("%s came out %d bytes long with SHA-256 %s, not %d with the pinned %s", p.entry, size, hash, p.size, p.hash)
	}
	return hash, nil
}
