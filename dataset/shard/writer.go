package shard

import (
	"bufio"
	"context"
	"encoding/binary"
	"hash/crc32"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// Writer writes one shard. Nothing is visible under the shard's name before Close has returned nil.
// A Writer is for one goroutine. Its memory grows by 4 bytes a sentence and 16 a document.
type Writer struct {
	path    string
	file    blob.Writer // nil after Close or Abort
	out     *bufio.Writer
	config  Config
	idBytes int

	starts    []uint64 // first token, first sentence of each document; the last pair is the end
	sentences []uint32 // lengths in tokens
	tokens    uint64
	scratch   []byte

	blockCRCs []uint32
	crc       uint32 // of the block being filled
	filled    int    // bytes in it
	err       error  // the first one, kept so that Close cannot publish a broken file
}

// Create begins the shard at path, here or in a bucket, until ctx ends. End it with Close, or with Abort, which may
// also follow Close and then does nothing.
func Create(ctx context.Context, path string, config Config) (*Writer, error) {
	header, err := config.header()
	if err != nil {
		return nil, err
	}
	file, err := blob.Create(ctx, path)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "shard: cannot be created")
	}
	w := &Writer{
		path: path, file: file, out: bufio.NewWriterSize(file, 256<<10),
		config: config, idBytes: config.idBytes(), starts: []uint64{0, 0},
	}
	w.write(header)
	return w, nil
}

// WriteDocument appends a document: the token ids of its sentences in order. An empty sentence is left
// out, and so is a document without a token. An id outside the vocabulary is an Internal error.
func (w *Writer) WriteDocument(sentences [][]int32) error {
	if w.err != nil {
		return w.err
	}
	before := w.tokens
	for _, ids := range sentences {
		if len(ids) > 0 {
			w.writeSentence(ids)
		}
	}
	if w.err == nil && w.tokens > before {
		w.starts = append(w.starts, w.tokens, uint64(len(w.sentences)))
	}
	return w.err
}

func (w *Writer) writeSentence(ids []int32) {
	b := w.scratch[:0]
	for _, id := range ids {
		if uint32(id) >= uint32(w.config.VocabularySize) {
			w.fail(fault.New(fault.Internal, "shard: %s: token id %d is outside the vocabulary of %d", w.path, id, w.config.VocabularySize))
			return
		}
		if w.idBytes == 2 {
			b = binary.LittleEndian.AppendUint16(b, uint16(id))
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
	}
	w.scratch = b
	w.tokens += uint64(len(ids))
	w.sentences = append(w.sentences, uint32(len(ids)))
	w.checksum(b)
	w.write(b)
}

// checksum goes on with the CRC of the current block and closes blocks that b fills.
func (w *Writer) checksum(b []byte) {
	for len(b) > 0 {
		n := min(len(b), blockSize-w.filled)
		w.crc = crc32.Update(w.crc, castagnoli, b[:n])
		w.filled += n
		b = b[n:]
		if w.filled == blockSize {
			w.closeBlock()
		}
	}
}

func (w *Writer) closeBlock() {
	w.blockCRCs = append(w.blockCRCs, w.crc)
	w.crc, w.filled = 0, 0
}

// fail keeps the first error.
func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *Writer) write(b []byte) {
	if _, err := w.out.Write(b); err != nil {
		w.fail(w.storage(err))
	}
}

func (w *Writer) storage(err error) error {
	return fault.Wrap(fault.Storage, err, "shard") // which the cause names
}

// NumTokens is the number of tokens written so far: builders start the next shard by it.
func (w *Writer) NumTokens() int { return int(w.tokens) }

// NumDocuments is the number of documents written so far.
func (w *Writer) NumDocuments() int { return len(w.starts)/2 - 1 }

// Close writes the index and makes the shard visible, on the disk too. After an error (a full disk gives
// fault.DiskFull) nothing is visible and nothing is left.
func (w *Writer) Close() error {
	if w.file == nil {
		return w.err
	}
	defer w.Abort()
	if w.err == nil {
		w.writeIndex()
	}
	if w.err == nil {
		w.fail(w.storage(w.file.Close()))
	}
	if w.err == nil {
		w.file = nil
	}
	return w.err
}

func (w *Writer) writeIndex() {
	if w.filled > 0 {
		w.closeBlock()
	}
	end := headerSize + w.tokens*uint64(w.idBytes)
	t := trailer{tokens: w.tokens, sentences: uint64(len(w.sentences)), documents: uint64(w.NumDocuments()),
		blocks: uint64(len(w.blockCRCs)), offset: align8(end)}
	index := make([]byte, 0, t.indexSize())
	for _, v := range w.starts {
		index = binary.LittleEndian.AppendUint64(index, v)
	}
	for _, values := range [][]uint32{w.sentences, w.blockCRCs} {
		for _, v := range values {
			index = binary.LittleEndian.AppendUint32(index, v)
		}
	}
	for _, part := range [][]byte{make([]byte, t.offset-end), index, t.encode(crc32.Checksum(index, castagnoli))} {
		w.write(part)
	}
	w.fail(w.storage(w.out.Flush()))
}

// Abort gives the shard up. After Close it does nothing.
func (w *Writer) Abort() {
	if w.file == nil {
		return
	}
	w.file.Abort()
	w.file = nil
	w.fail(fault.New(fault.Internal, "shard: %s: written to after it was given up", w.path))
}
