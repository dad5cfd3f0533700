package shard

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"elektron/internal/fault"
)

// Reader reads one shard. Its methods may be called from many goroutines, Close last. Numbers of
// documents, sentences and tokens count from 0 within the shard; the documents lie one after another in
// one space of tokens.
type Reader struct {
	path   string
	config Config
	unmap  func() error

	tokens    []byte // ids
	documents []byte // pairs (first token, first sentence), uint64 each, one pair more than documents
	sentences []byte // lengths, uint32 each
	blockCRCs []byte // uint32 each
	idBytes   int
	verified  []atomic.Uint32 // one bit a block of tokens
}

// Open maps the shard at path and checks all of it but the tokens, whose blocks are checked when first
// touched. A damaged, cut or foreign file is a fault.Data error that names the file and the byte.
func Open(path string) (*Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "shard: cannot be opened")
	}
	defer file.Close() // the mapping outlives it
	info, err := file.Stat()
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "shard: cannot be opened")
	}
	if !info.Mode().IsRegular() {
		return nil, fault.New(fault.Data, "shard: %s: not a file; name a shard that 'data build' wrote", path)
	}
	if info.Size() < headerSize+documentSize+trailerSize || int64(int(info.Size())) != info.Size() {
		return nil, fault.New(fault.Data, "shard: %s: not a complete token shard (%d bytes); build it again with 'data build'", path, info.Size())
	}
	data, unmap, err := MapFile(file, int(info.Size()))
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "shard: %s: cannot be mapped", path)
	}
	r := &Reader{path: path, unmap: unmap}
	if err := readable(path, func() error { return r.parse(data) }); err != nil {
		unmap()
		return nil, err
	}
	return r, nil
}

// readable runs fn, which reads mapped memory for the first time, and turns the fault of a page that the
// file no longer has (cut while in use, or a failing disk) into an error.
func readable(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // what the runtime throws for a bad page
			err = fault.New(fault.Storage, "shard: %s: cannot be read: it was cut while in use, or its disk fails", path)
		default:
			panic(r)
		}
	}()
	return fn()
}

// parse checks header, trailer and index and cuts data into its parts. It trusts no number before it has
// been checked against the file's size, and allocates one bit a block.
func (r *Reader) parse(data []byte) error {
	config, err := parseHeader(r.path, data)
	if err != nil {
		return err
	}
	size := uint64(len(data))
	if size < headerSize+documentSize+trailerSize || string(data[size-8:]) != trailerMagic {
		return corrupt(r.path, "no index at its end, byte %d (it was cut off, or not finished)", max(size, 8)-8)
	}
	t := parseTrailer(data[size-trailerSize:])
	end := headerSize + t.tokens*uint64(config.idBytes())
	const most = 1 << 40 // keeps the sums below from overflowing
	if t.tokens > most || t.sentences > most || t.documents > most || t.blocks > most ||
		t.offset != align8(end) || t.blocks != blocksOf(end-headerSize) || t.offset+t.indexSize()+trailerSize != size {
		return corrupt(r.path, "trailer, byte %d: counts do not agree with the file's %d bytes", size-trailerSize, size)
	}
	if crc32.Checksum(data[t.offset:size-12], castagnoli) != binary.LittleEndian.Uint32(data[size-12:]) {
		return corrupt(r.path, "index, bytes %d to %d: CRC32C mismatch", t.offset, size)
	}
	for i := end; i < t.offset; i++ {
		if data[i] != 0 {
			return corrupt(r.path, "padding, byte %d: not zero", i)
		}
	}
	r.config, r.idBytes = config, config.idBytes()
	r.tokens, data = data[headerSize:end], data[t.offset:]
	r.documents, data = data[:(t.documents+1)*documentSize], data[(t.documents+1)*documentSize:]
	r.sentences, data = data[:t.sentences*4], data[t.sentences*4:]
	r.blockCRCs = data[:t.blocks*4]
	r.verified = make([]atomic.Uint32, (t.blocks+31)/32)
	return r.checkDocuments()
}

// checkDocuments makes sure that the documents partition the sentences and these the tokens, so that no
// later access can leave them.
func (r *Reader) checkDocuments() error {
	token, sentence := uint64(0), uint64(0)
	total := uint64(r.NumSentences())
	for i := range r.NumDocuments() + 1 {
		if r.entry(i, 0) != token || r.entry(i, 1) != sentence {
			return corrupt(r.path, "document %d: does not begin where the one before it ends", i)
		}
		if i == r.NumDocuments() {
			break
		}
		last := r.entry(i+1, 1)
		if last <= sentence || last > total {
			return corrupt(r.path, "document %d: impossible number of sentences", i)
		}
		for ; sentence < last; sentence++ {
			n := binary.LittleEndian.Uint32(r.sentences[4*sentence:])
			if n == 0 || n > 1<<31-1 {
				return corrupt(r.path, "sentence %d: impossible length %d", sentence, n)
			}
			token += uint64(n)
		}
	}
	if token != uint64(r.NumTokens()) || sentence != total {
		return corrupt(r.path, "the documents hold %d of %d tokens", token, r.NumTokens())
	}
	return nil
}

// entry is one number of the document table: field 0 the first token of document i, 1 its first sentence.
func (r *Reader) entry(i, field int) uint64 {
	return binary.LittleEndian.Uint64(r.documents[i*documentSize+8*field:])
}

// Close unmaps the file. No other method may run then or later.
func (r *Reader) Close() error {
	return fault.Wrap(fault.Storage, r.unmap(), "shard: %s: cannot be closed", r.path)
}

// Path is the shard's file.
func (r *Reader) Path() string { return r.path }

// VocabularyHash is the SHA-256 of the vocabulary's token list, 64 hex digits.
func (r *Reader) VocabularyHash() string { return r.config.VocabularyHash }

// VocabularySize is the number of tokens of the vocabulary; every id is below it.
func (r *Reader) VocabularySize() int { return r.config.VocabularySize }

// NumDocuments is the number of documents, each with at least one sentence.
func (r *Reader) NumDocuments() int { return len(r.documents)/documentSize - 1 }

// NumSentences is the number of sentences, each with at least one token.
func (r *Reader) NumSentences() int { return len(r.sentences) / 4 }

// NumTokens is the number of token ids.
func (r *Reader) NumTokens() int { return len(r.tokens) / r.idBytes }

// NumBlocks is the number of checked blocks that the tokens fill.
func (r *Reader) NumBlocks() int { return len(r.blockCRCs) / 4 }

// Document says where a document lies: its tokens are [Start, End), its sentences
// [FirstSentence, EndSentence).
type Document struct {
	Start, End                 int
	FirstSentence, EndSentence int
}

// Document gives the extent of document i, 0 <= i < NumDocuments().
func (r *Reader) Document(i int) Document {
	return Document{
		Start: int(r.entry(i, 0)), FirstSentence: int(r.entry(i, 1)),
		End: int(r.entry(i+1, 0)), EndSentence: int(r.entry(i+1, 1)),
	}
}

// AppendSentenceLengths appends the lengths, in tokens, of the sentences of document i to dst.
func (r *Reader) AppendSentenceLengths(dst []int32, i int) []int32 {
	d := r.Document(i)
	for b := r.sentences[4*d.FirstSentence : 4*d.EndSentence]; len(b) > 0; b = b[4:] {
		dst = append(dst, int32(binary.LittleEndian.Uint32(b)))
	}
	return dst
}

// AppendTokens appends the n token ids from start on to dst. The blocks that they lie in are checked when
// first touched; a damaged one is a fault.Data error that names shard, block and byte.
func (r *Reader) AppendTokens(dst []int32, start, n int) ([]int32, error) {
	if start < 0 || n < 0 || start > r.NumTokens()-n {
		return dst, fault.New(fault.Internal, "shard: %s: tokens %d to %d asked of %d", r.path, start, start+n, r.NumTokens())
	}
	if n == 0 {
		return dst, nil
	}
	from, to := start*r.idBytes, (start+n)*r.idBytes
	for block := from / blockSize; block <= (to-1)/blockSize; block++ {
		if r.verified[block/32].Load()&(1<<(block%32)) == 0 {
			if err := r.verify(block); err != nil {
				return dst, err
			}
		}
	}
	return appendIDs(dst, r.tokens[from:to], r.idBytes), nil
}

func appendIDs(dst []int32, b []byte, idBytes int) []int32 {
	n := len(b) / idBytes
	dst = slices.Grow(dst, n)
	out := dst[len(dst) : len(dst)+n]
	if idBytes == 2 {
		for i := range out {
			out[i] = int32(binary.LittleEndian.Uint16(b[2*i:]))
		}
	} else {
		for i := range out {
			out[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	return dst[:len(dst)+n]
}

// Verify checks every block of tokens now. It stops early with ctx's error.
func (r *Reader) Verify(ctx context.Context) error {
	for block := range r.NumBlocks() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.verify(block); err != nil {
			return err
		}
	}
	return nil
}

// verify checks the CRC of a block and that its ids are of the vocabulary, and remembers it. Two
// goroutines may do so at once.
func (r *Reader) verify(block int) error {
	return readable(r.path, func() error {
		from := block * blockSize
		b := r.tokens[from:min(from+blockSize, len(r.tokens))]
		want := binary.LittleEndian.Uint32(r.blockCRCs[4*block:])
		if got := crc32.Checksum(b, castagnoli); got != want {
			return corrupt(r.path, "block %d at byte %d: CRC32C mismatch (want %08x, got %08x)", block, headerSize+from, want, got)
		}
		if id := largest(b, r.idBytes); id >= uint32(r.config.VocabularySize) {
			return corrupt(r.path, "block %d at byte %d: token id %d outside the vocabulary of %d", block, headerSize+from, id, r.config.VocabularySize)
		}
		r.verified[block/32].Or(1 << (block % 32))
		return nil
	})
}

// largest gives the largest id in b.
func largest(b []byte, idBytes int) (top uint32) {
	if idBytes == 4 {
		for ; len(b) >= 4; b = b[4:] {
			top = max(top, binary.LittleEndian.Uint32(b))
		}
		return top
	}
	for ; len(b) >= 8; b = b[8:] { // four at once: this runs over every token
		v := binary.LittleEndian.Uint64(b)
		top = max(top, uint32(v)&0xFFFF, uint32(v)>>16, uint32(v>>32)&0xFFFF, uint32(v>>48))
	}
	for ; len(b) >= 2; b = b[2:] {
		top = max(top, uint32(binary.LittleEndian.Uint16(b)))
	}
	return top
}
