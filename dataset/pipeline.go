package dataset

import (
	"context"
	"iter"
	"sync"

	"elektron/dataset/corpus"
	"elektron/dataset/wordpiece"
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
	tokenized []document    // what the workers of tokenized make
}

// document is a document in tokens.
type document struct {
	hash      uint64 // of its text
	sentences []sentence
	bands     []uint64 // for the search for near-duplicates, where it is asked for
}

// sentence is a sentence in tokens.
type sentence struct {
	hash    uint64 // of its text
	bytes   int    // of its text
	ids     []int32
	unknown int // [UNK] among ids
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

// tokenized is inOrder with a tokeniser a worker.
func tokenized(ctx context.Context, text *corpus.Corpus, o BuildOptions) iter.Seq2[*chunk, error] {
	tokenizer := wordpiece.New(o.Vocabulary, o.text())
	return inOrder(ctx, text, o.Workers, func() func(*chunk) {
		t, near := tokenizer.Clone(), newMinhash()
		return func(c *chunk) {
			c.tokenized = make([]document, len(c.documents))
			for i, d := range c.documents {
				if len(d.Segments) == 0 {
					c.tokenized[i] = tokenizeDocument(t, d.Sentences)
				} else if c.tokenized[i], c.err = documentOf(t.Vocabulary(), d); c.err != nil {
					return
				}
				if o.NearDuplicates {
					c.tokenized[i].bands = near.bands(c.tokenized[i].sentences)
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

// tokenizeDocument tokenises sentences into one piece of memory.
func tokenizeDocument(t *wordpiece.Tokenizer, texts []string) document {
	d := document{hash: textSeed, sentences: make([]sentence, len(texts))}
	var ids []int32
	ends := make([]int, len(texts))
	for i, text := range texts {
		h := textHash(text)
		d.hash = mix64(d.hash + h)
		d.sentences[i] = sentence{hash: h, bytes: len(text)}
		ids = t.AppendEncode(ids, text)
		ends[i] = len(ids)
	}
	start, unknown := 0, t.Vocabulary().UnknownID()
	for i := range d.sentences {
		s := &d.sentences[i]
		s.ids, start = ids[start:ends[i]], ends[i]
		for _, id := range s.ids {
			if id == unknown {
				s.unknown++
			}
		}
	}
	return d
}

// textSeed keeps the hash of a document of one sentence apart from that of the sentence.
const textSeed = 0x656c656b74726f6e

// textHash is FNV-1a (64 bits) with a final mix: the same on every machine and at every run. At a hundred million
// different paragraphs the chance that any two collide is 0.03 %.
func textHash(text string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 0x100000001b3
	}
	return mix64(h)
}
