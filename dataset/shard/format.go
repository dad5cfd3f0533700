// Package shard stores tokenised text: a shard is one file of token ids in which the boundaries of
// documents and sentences are kept, written once and later read through the operating system's page
// cache (memory-mapped), so that examples of any sequence length come from the same files.
//
// The file, all numbers little-endian:
//
//	header    64 bytes: magic, version, flags, vocabulary size, block size, vocabulary hash, CRC32C
//	tokens    ids without gaps, uint16 where the vocabulary has at most 65,536 tokens, else uint32
//	padding   zeros up to a multiple of 8
//	index     document table: (first token, first sentence) uint64 each, one entry more than documents
//	          sentence lengths in tokens, uint32 each
//	          CRC32C of each block of block-size bytes of the tokens, uint32 each
//	trailer   56 bytes: counts, offset of the index, CRC32C of index and trailer, magic
//
// Every byte is covered: header, index and trailer are checked when a shard is opened, a block of tokens
// when it is first touched. The same documents give the same bytes.
package shard

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"

	"elektron/internal/fault"
)

// Extension ends the name of every shard file.
const Extension = ".shard"

// Version is the format that this package writes and the only one that it reads.
const Version = 1

const (
	headerMagic  = "ELKSHARD"
	trailerMagic = "ELKINDEX"
	headerSize   = 64
	trailerSize  = 56
	blockSize    = 64 << 10 // small enough that one example's first touch checks little, large enough that CRCs cost nothing
	documentSize = 16       // bytes of an entry of the document table
	flagWide     = 1        // ids are uint32
	narrowLimit  = 1 << 16  // largest vocabulary whose ids fit uint16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Config says which vocabulary the token ids of a shard belong to.
type Config struct {
	VocabularyHash string // SHA-256 of the token list, 64 hex digits
	VocabularySize int    // number of tokens; every id is below it
}

func (c Config) idBytes() int {
	if c.VocabularySize <= narrowLimit {
		return 2
	}
	return 4
}

// header gives the first 64 bytes of a shard.
func (c Config) header() ([]byte, error) {
	hash, err := hex.DecodeString(c.VocabularyHash)
	if err != nil || len(hash) != 32 {
		return nil, fault.New(fault.Internal, "shard: vocabulary hash %q is not 64 hex digits", c.VocabularyHash)
	}
	if c.VocabularySize <= 0 || int64(c.VocabularySize) > 1<<31-1 {
		return nil, fault.New(fault.Internal, "shard: a vocabulary of %d tokens; want 1 to 2^31-1", c.VocabularySize)
	}
	h := make([]byte, headerSize)
	copy(h, headerMagic)
	flags := uint32(0)
	if c.idBytes() == 4 {
		flags = flagWide
	}
	for i, v := range []uint32{Version, flags, uint32(c.VocabularySize), blockSize} {
		binary.LittleEndian.PutUint32(h[8+4*i:], v)
	}
	copy(h[24:], hash)
	binary.LittleEndian.PutUint32(h[headerSize-4:], crc32.Checksum(h[:headerSize-4], castagnoli))
	return h, nil
}

// parseHeader is the inverse of header. It only accepts what header can have written.
func parseHeader(path string, h []byte) (Config, error) {
	if len(h) < headerSize || string(h[:8]) != headerMagic {
		return Config{}, fault.New(fault.Data, "shard: %s: not a token shard (%d bytes without its magic number at byte 0); name shards written by 'data build'", path, len(h))
	}
	if version := binary.LittleEndian.Uint32(h[8:]); version != Version {
		return Config{}, fault.New(fault.Data, "shard: %s: format version %d at byte 8, this program reads %d; build the shards again with 'data build'", path, version, Version)
	}
	if crc32.Checksum(h[:headerSize-4], castagnoli) != binary.LittleEndian.Uint32(h[headerSize-4:]) {
		return Config{}, corrupt(path, "header, bytes 0 to %d: CRC32C mismatch", headerSize)
	}
	config := Config{
		VocabularyHash: hex.EncodeToString(h[24:56]),
		VocabularySize: int(binary.LittleEndian.Uint32(h[16:])),
	}
	want, err := config.header()
	if err != nil || !bytes.Equal(want, h[:headerSize]) {
		return Config{}, corrupt(path, "header, bytes 0 to %d: impossible values", headerSize)
	}
	return config, nil
}

// trailer is the end of a shard: what the index holds and where it lies.
type trailer struct {
	tokens, sentences, documents, blocks uint64
	offset                               uint64 // of the index
}

// encode gives the trailer's bytes; crc is that of the index, continued here over the trailer.
func (t trailer) encode(crc uint32) []byte {
	b := make([]byte, 0, trailerSize)
	for _, v := range []uint64{t.tokens, t.sentences, t.documents, t.blocks, t.offset} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, crc32.Update(crc, castagnoli, b))
	return append(b, trailerMagic...)
}

func parseTrailer(b []byte) trailer {
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	return trailer{tokens: at(0), sentences: at(1), documents: at(2), blocks: at(3), offset: at(4)}
}

// indexSize is the number of bytes that the index must have, given the counts; the counts must be below 2^40.
func (t trailer) indexSize() uint64 {
	return (t.documents+1)*documentSize + t.sentences*4 + t.blocks*4
}

func align8(n uint64) uint64 { return (n + 7) &^ 7 }

func blocksOf(bytes uint64) uint64 { return (bytes + blockSize - 1) / blockSize }

func corrupt(path, format string, args ...any) error {
	return fault.New(fault.Data, "shard: %s: "+format+"; the file is damaged: build it again with 'data build' or leave it out", append([]any{path}, args...)...)
}
