// Package blob reads and writes files by their full name wherever they lie: paths of this machine, and gs://bucket/name
// in Google Cloud Storage. Both kinds of storage behave alike, which one test suite checks.
package blob

import (
	"context"
	"io"
	"strings"
	"time"
)

// Info describes a file.
type Info struct {
	Name     string // full name, as Open takes it
	Size     int64  // bytes
	Modified time.Time
}

// Store is a place for files. Its methods may be called from many goroutines. A file that is not there is an error that
// errors.Is takes for fs.ErrNotExist; every error has a kind, fault.Storage where nothing says otherwise.
type Store interface {
	// Stat describes one file. A folder is none.
	Stat(ctx context.Context, name string) (Info, error)
	// List describes every file below a folder, at any depth, in the order of their names. Hidden ones, and those in
	// hidden folders, are left out. A folder that does not exist has no files.
	List(ctx context.Context, folder string) ([]Info, error)
	// Open reads a file from its beginning, until ctx ends.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Create begins a file, and the folders that it is in. It appears, or takes the place of the one that was
	// there, when Close succeeds.
	Create(ctx context.Context, name string) (Writer, error)
	// Remove removes a file.
	Remove(ctx context.Context, name string) error
}

// Writer writes a file that nobody sees before Close.
type Writer interface {
	io.Writer
	// Close makes the file visible, whole.
	Close() error
	// Abort gives the file up: what was there before stays. After Close it does nothing.
	Abort()
}

const scheme = "gs://"

// IsRemote tells whether a name is one of Google Cloud Storage.
func IsRemote(name string) bool { return strings.HasPrefix(name, scheme) }

// For gives the store that a name belongs to.
func For(name string) Store {
	if IsRemote(name) {
		return cloud{client: sharedClient}
	}
	return local{}
}

// Stat describes one file, as Store.Stat.
func Stat(ctx context.Context, name string) (Info, error) { return For(name).Stat(ctx, name) }

// List describes the files below a folder, as Store.List.
func List(ctx context.Context, folder string) ([]Info, error) { return For(folder).List(ctx, folder) }

// Open reads a file, as Store.Open.
func Open(ctx context.Context, name string) (io.ReadCloser, error) { return For(name).Open(ctx, name) }

// ReadFile reads all of a file.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	in, err := Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(in)
}

// Create begins a file, as Store.Create.
func Create(ctx context.Context, name string) (Writer, error) { return For(name).Create(ctx, name) }

// Remove removes a file, as Store.Remove.
func Remove(ctx context.Context, name string) error { return For(name).Remove(ctx, name) }

// Copy copies one file to another name, in any store. The copy appears whole or not at all.
func Copy(ctx context.Context, to, from string) error {
	in, err := Open(ctx, from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := Create(ctx, to)
	if err != nil {
		return err
	}
	defer out.Abort()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// hidden tells whether a name has an element that begins with a dot below the folder.
func hidden(below string) bool {
	return strings.HasPrefix(below, ".") || strings.Contains(below, "/.")
}
