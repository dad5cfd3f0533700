// Package corpus turns what a user names as training text (files, globs, folders, the Go installation's
// comments) into documents: lists of sentences or paragraphs in the order of the source. Reading streams:
// memory does not grow with a file's size. Files are independent of each other, so that workers can share them.
package corpus

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// Document is one text. File and Number together name it for good, as long as the corpus stays the same:
// a split into training and held-out documents rests on them.
type Document struct {
	Source    string // path of the file
	Line      int    // 1-based line where it begins; the row in a Parquet file, the record in a TFRecord file
	File      int    // index of the file in the corpus
	Number    int    // 0-based number of the document in its file
	Sentences []string

	// Segments are what TFRecord files hold instead of sentences: the token ids of one or two segments of a
	// pre-training example, with the special tokens, which only the vocabulary tells from others.
	Segments [][]int32
}

// Options say how files are read. The zero value is ready to use.
type Options struct {
	TextField       string // field of JSON Lines, column of Parquet that holds the text; default "text"
	DocumentPerFile bool   // a text file is one document: blank lines separate nothing
	MaxLine         int    // bytes of the longest line that is accepted; default 64 MiB
	MaxDocument     int    // bytes; a longer document goes on as a new one at the next sentence; default 16 MiB
}

func (o Options) withDefaults() Options {
	if o.TextField == "" {
		o.TextField = "text"
	}
	if o.MaxLine <= 0 {
		o.MaxLine = 64 << 20
	}
	if o.MaxDocument <= 0 {
		o.MaxDocument = 16 << 20
	}
	return o
}

// Corpus is a list of files in the order of their paths. Its methods may be called from many goroutines.
type Corpus struct {
	name    string // what the user asked for, for messages
	options Options
	files   []File

	mu     sync.Mutex
	counts []*Counts // of the latest pass over each file; nil before the first

	sparse bool // files without text are normal here
	tokens bool // all files are TFRecord files
}

// File is one file of a corpus.
type File struct {
	Path     string // or gs://bucket/name
	Size     int64  // bytes on disk, compressed where the file is
	Modified time.Time
	Index    int // in Corpus.Files

	corpus *Corpus
	read   format
	open   func(ctx context.Context, path string) (io.ReadCloser, error)
}

// Single is a corpus of one file that Open has found before, perhaps on another machine: it is not looked for.
func Single(path string, size int64, options Options) *Corpus {
	c := &Corpus{name: path, options: options.withDefaults(), counts: make([]*Counts, 1)}
	c.files = []File{{Path: path, Size: size, corpus: c, read: formatOf(path), open: blob.Open}}
	c.tokens = holdsTokens(path)
	return c
}

// HoldsTokens tells whether the documents are pre-training examples in token ids, which their vocabulary has
// already made of text.
func (c *Corpus) HoldsTokens() bool { return c.tokens }

// Files gives the files in the order of their paths.
func (c *Corpus) Files() []File { return c.files }

// Size is the number of bytes of all files on disk.
func (c *Corpus) Size() int64 {
	var total int64
	for _, f := range c.files {
		total += f.Size
	}
	return total
}

// TextSize estimates the bytes of text in all files: a compressed file is taken to hold four times its size.
func (c *Corpus) TextSize() int64 {
	var total int64
	for _, f := range c.files {
		total += f.Size
		if format, compression := extension(f.Path); compression != "" || format == ".parquet" {
			total += 3 * f.Size
		}
	}
	return total
}

// Documents yields every document of every file in order, then, where there was none, NoText's error.
func (c *Corpus) Documents(ctx context.Context) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, f := range c.files {
			for document, err := range f.Documents(ctx) {
				if !yield(document, err) || err != nil {
					return
				}
			}
		}
		if err := c.NoText(); err != nil {
			yield(Document{}, err)
		}
	}
}

// Documents yields the file's documents in order. An error comes last, with an empty document: fault.Data
// for content that cannot be used, fault.Storage for a file that cannot be read, ctx's own error. Each
// call reads the file anew.
func (f File) Documents(ctx context.Context) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		p := &pass{ctx: ctx, file: f, options: f.corpus.options, yield: yield}
		err := f.read(p)
		p.counts.Files = 1
		f.corpus.keep(f.Index, p.counts)
		if err != nil && !errors.Is(err, errStopped) {
			yield(Document{}, err)
		}
	}
}

// format reads one file and emits its documents. Each kind of file has one, in a file of its own.
type format func(p *pass) error

// errStopped ends a pass whose consumer wants no more documents.
var errStopped = errors.New("corpus: stopped by the consumer")

// pass is one reading of one file.
type pass struct {
	ctx     context.Context
	file    File
	options Options
	counts  Counts
	yield   func(Document, error) bool

	repaired []byte // what clean gave last, where it had to change something
}

// emit hands a document of sentences to the consumer. One without any is only counted.
func (p *pass) emit(line int, sentences []string) error {
	if len(sentences) == 0 {
		p.counts.EmptyDocuments++
		return p.ctx.Err()
	}
	p.counts.Sentences += int64(len(sentences))
	for _, s := range sentences {
		p.counts.TextBytes += int64(len(s))
	}
	return p.hand(Document{Line: line, Sentences: sentences})
}

// hand gives a document its name and the consumer the document.
func (p *pass) hand(d Document) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	d.Source, d.File, d.Number = p.file.Path, p.file.Index, int(p.counts.Documents)
	p.counts.Documents++
	if !p.yield(d, nil) {
		return errStopped
	}
	return nil
}

// bad is a fault.Data error about the pass's file.
func (p *pass) bad(reason string, args ...any) error {
	return fault.New(fault.Data, "corpus: %s"+reason, append([]any{p.file.Path}, args...)...)
}
