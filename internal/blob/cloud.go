package blob

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"elektron/internal/fault"
)

// cloud is Google Cloud Storage. The client repeats requests that fail for a while, and goes on with a download
// where it broke off.
type cloud struct {
	client func(context.Context) (*storage.Client, error)
}

// emulatorVariable names a server to use instead of Google's, as for Google's own tools.
const emulatorVariable = "STORAGE_EMULATOR_HOST"

// attempts of a request before it counts as failed: about half a minute.
const attempts = 7

var shared struct {
	sync.Mutex
	client *storage.Client
	server string // value of emulatorVariable that the client was made with
}

// sharedClient makes the process's client when it is first needed, with the credentials of the machine's user or
// service account. Where there are none, public buckets can still be read.
func sharedClient(ctx context.Context) (*storage.Client, error) {
	shared.Lock()
	defer shared.Unlock()
	server := os.Getenv(emulatorVariable)
	if shared.client != nil && shared.server == server {
		return shared.client, nil
	}
	lasting := context.WithoutCancel(ctx) // the client outlives this call
	client, err := storage.NewClient(lasting)
	if err != nil {
		client, err = storage.NewClient(lasting, option.WithoutAuthentication())
	}
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "blob: no client for Google Cloud Storage")
	}
	client.SetRetry(storage.WithMaxAttempts(attempts)) // the default is to go on until the context ends
	shared.client, shared.server = client, server
	return client, nil
}

// object is the handle of a name.
func (c cloud) object(ctx context.Context, name string) (*storage.ObjectHandle, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(name, scheme), "/")
	if bucket == "" || key == "" {
		return nil, fault.New(fault.Usage, "blob: %s: not the name of a file; write gs://BUCKET/NAME", name)
	}
	client, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	return client.Bucket(bucket).Object(key), nil
}

// storageError gives an error of the service the file's name, and the one meaning that callers ask for.
func storageError(ctx context.Context, err error, name string) error {
	var answer *googleapi.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, storage.ErrObjectNotExist), errors.Is(err, storage.ErrBucketNotExist):
		return fault.New(fault.Storage, "blob: %s: %w (%v); check the name", name, fs.ErrNotExist, err)
	case errors.As(err, &answer) && (answer.Code == http.StatusForbidden || answer.Code == http.StatusUnauthorized):
		return fault.New(fault.Storage, "blob: %s: no access (%w); run 'gcloud auth application-default login', or give the machine's service account a role on the bucket", name, err)
	}
	return fault.Wrap(fault.Storage, err, "blob: %s", name)
}

func (c cloud) Stat(ctx context.Context, name string) (Info, error) {
	object, err := c.object(ctx, name)
	if err != nil {
		return Info{}, err
	}
	attributes, err := object.Attrs(ctx)
	if err != nil {
		return Info{}, storageError(ctx, err, name)
	}
	return Info{Name: name, Size: attributes.Size, Modified: attributes.Updated}, nil
}

func (c cloud) List(ctx context.Context, folder string) ([]Info, error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(folder, scheme), "/")
	if bucket == "" {
		return nil, fault.New(fault.Usage, "blob: %s: no bucket in this name; write gs://BUCKET/FOLDER", folder)
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	client, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	query := &storage.Query{Prefix: prefix}
	if err := query.SetAttrSelection([]string{"Name", "Size", "Updated"}); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "blob: listing")
	}
	objects := client.Bucket(bucket).Objects(ctx, query)
	var found []Info
	for {
		attributes, err := objects.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if errors.Is(err, storage.ErrBucketNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, storageError(ctx, err, folder)
		}
		below := strings.TrimPrefix(attributes.Name, prefix)
		if !strings.HasSuffix(below, "/") && below != "" && !hidden(below) { // some tools write empty objects for folders
			found = append(found, Info{Name: scheme + bucket + "/" + attributes.Name, Size: attributes.Size, Modified: attributes.Updated})
		}
	}
	sortByName(found)
	return found, nil
}

func sortByName(found []Info) {
	slices.SortFunc(found, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
}

func (c cloud) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	object, err := c.object(ctx, name)
	if err != nil {
		return nil, err
	}
	r, err := object.ReadCompressed(true).NewReader(ctx) // the bytes as they are stored, whatever their encoding
	if err != nil {
		return nil, storageError(ctx, err, name)
	}
	return &cloudReader{r, ctx, name}, nil
}

type cloudReader struct {
	*storage.Reader
	ctx  context.Context
	name string
}

func (r *cloudReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && err != io.EOF {
		err = storageError(r.ctx, err, r.name)
	}
	return n, err
}

// WriteTo is Read in a loop: the embedded method would go around the errors' names.
func (r *cloudReader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}

func (c cloud) Create(ctx context.Context, name string) (Writer, error) {
	object, err := c.object(ctx, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	return &cloudWriter{out: object.NewWriter(ctx), ctx: ctx, cancel: cancel, name: name}, nil
}

type cloudWriter struct {
	out    *storage.Writer
	ctx    context.Context
	cancel context.CancelFunc
	name   string
	closed bool
}

func (w *cloudWriter) Write(b []byte) (int, error) {
	n, err := w.out.Write(b)
	return n, storageError(w.ctx, err, w.name)
}

func (w *cloudWriter) Close() error {
	defer w.cancel()
	w.closed = true
	return storageError(w.ctx, w.out.Close(), w.name)
}

// Abort ends the upload before its end, so that the service throws it away.
func (w *cloudWriter) Abort() {
	if !w.closed {
		w.closed = true
		w.cancel()
		_ = w.out.Close() // it says that it was cancelled
	}
}

func (c cloud) Remove(ctx context.Context, name string) error {
	object, err := c.object(ctx, name)
	if err != nil {
		return err
	}
	return storageError(ctx, object.Delete(ctx), name)
}
