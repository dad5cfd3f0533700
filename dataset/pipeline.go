package dataset

import (
	"context"
	"iter"
	"sync"

	"elektron/dataset/corpus"
)

// chunkBytes is how much text a worker gets at once, unless one document is larger.
const chunkBytes = 256 << 10

// chunksAhead is how many chunks of a file may be read before they are taken.
const chunksAhead = 2

// chunk is some documents of one file on their way through the workers.
type chunk struct {
	documents []corpus.Document
	bytes     int
	err       error         // reading or tokenising ended here
	ready     chan struct{} // closed when a worker is done with it
	tokenized []Document    // what the workers of tokenized make
}

// inOrder reads the files of a corpus and processes them, both in parallel, and yields the chunks in the
// order of the text: files by path, documents as they stand. newWorker makes the function that one
// worker calls for each chunk it gets. Memory is bounded: workers + 2 files are open, each with a few chunks.
// An error comes last.
func inOrder(ctx context.Context, text *corpus.Corpus, workers int, newWorker func() func(*chunk)) iter.Seq2[*chunk, error] {
	return func(yield func(*chunk, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		work := make(chan *chunk)
		for range workers {
			group.Go(func() { processChunks(ctx, work, newWorker()) })
		}
		streams := make(chan chan *chunk, workers)
		group.Go(func() {
			defer close(streams)
			for _, file := range text.Files() {
				stream := make(chan *chunk, chunksAhead)
				if !send(ctx, streams, stream) {
					return
				}
				group.Go(func() { readChunks(ctx, file, work, stream) })
			}
		})
		for stream := range streams {
			for c := range stream {
				select {
				case <-c.ready:
				case <-ctx.Done():
					c.err = ctx.Err()
				}
				if !yield(c, c.err) || c.err != nil {
					return
				}
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// send hands v over unless ctx ends first.
func send[T any](ctx context.Context, to chan<- T, v T) bool {
	select {
	case to <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// readChunks reads one file. Each chunk goes to the workers and, in order, to the stream, which is closed
// at the end.
func readChunks(ctx context.Context, file corpus.File, work, stream chan<- *chunk) {
	defer close(stream)
	c := &chunk{ready: make(chan struct{})}
	flush := func() bool {
		full := c
		c = &chunk{ready: make(chan struct{})}
		return len(full.documents) == 0 || send(ctx, work, full) && send(ctx, stream, full)
	}
	for d, err := range file.Documents(ctx) {
		if err != nil {
			if flush() {
				c.err = err
				close(c.ready)
				send(ctx, stream, c)
			}
			return
		}
		c.documents = append(c.documents, d)
		for _, s := range d.Sentences {
			c.bytes += len(s)
		}
		for _, s := range d.Segments {
			c.bytes += 4 * len(s)
		}
		if c.bytes >= chunkBytes && !flush() {
			return
		}
	}
	flush()
}

// processChunks is a worker: it takes chunks until ctx ends.
func processChunks(ctx context.Context, work <-chan *chunk, process func(*chunk)) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-work:
			process(c)
			close(c.ready)
		}
	}
}

// tokenized is inOrder with an encoder a worker.
func tokenized(ctx context.Context, text *corpus.Corpus, o BuildOptions) iter.Seq2[*chunk, error] {
	encoder := NewEncoder(o)
	return inOrder(ctx, text, o.Workers, func() func(*chunk) {
		e := encoder.Clone()
		return func(c *chunk) {
			c.tokenized = make([]Document, len(c.documents))
			for i, d := range c.documents {
				if c.tokenized[i], c.err = e.Encode(d); c.err != nil {
					return
				}
			}
		}
	})
}

// sentencesOf yields the sentences of a corpus in order; a corpus without any is an error. Only the reading
// is spread over the workers.
func sentencesOf(ctx context.Context, text *corpus.Corpus, workers int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for c, err := range inOrder(ctx, text, workers, func() func(*chunk) { return func(*chunk) {} }) {
			if err != nil {
				yield("", err)
				return
			}
			for _, d := range c.documents {
				for _, s := range d.Sentences {
					if !yield(s, nil) {
						return
					}
				}
			}
		}
		if err := text.NoText(); err != nil {
			yield("", err)
		}
	}
}
