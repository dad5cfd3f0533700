package dataset

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"elektron/dataset/shard"
	"elektron/internal/fault"

	"github.com/google/renameio/v2"
)

// An index file is a header of 64 bytes (magic, number of examples, key, CRC32C of the examples, zeros) and the
// examples, 8 bytes each, little-endian. The key says what it was made from; a file with another one, or a
// damaged one, is made again.
const (
	indexMagic      = "ELKINDX1"
	indexHeaderSize = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// indexKey identifies an index: everything that buildIndex depends on. The trailer of a shard holds
// the CRC of its sentence lengths and of its block CRCs, so it stands for the shard's content.
func indexKey(set *shard.Set, o BatchOptions) (key [sha256.Size]byte, err error) {
	h := sha256.New()
	fmt.Fprintln(h, indexMagic, o.SeqLen, o.Seed, o.OneSegment, o.examples)
	for _, s := range set.Shards() {
		trailer, err := lastBytes(s.Path(), 64)
		if err != nil {
			return key, fault.Wrap(fault.Storage, err, "dataset: shard cannot be read")
		}
		fmt.Fprintln(h, s.NumTokens(), s.NumDocuments(), trailer)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

func lastBytes(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = f.ReadAt(b, info.Size()-n)
	return b, err
}

// loadIndex gives the index of a set of shards: from its file in folder or, where there is none that fits, a
// new one, which it writes there. A folder that cannot be written costs only the time to build it again;
// note is told.
func loadIndex(ctx context.Context, set *shard.Set, o BatchOptions, folder string, note func(string)) ([]example, error) {
	key, err := indexKey(set, o)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, fmt.Sprintf("index-s%d-%x.idx", o.SeqLen, key[:8]))
	if examples, ok := readIndex(path, key); ok {
		return examples, nil
	}
	examples, err := buildIndex(ctx, set, o, 0)
	if err != nil {
		return nil, err
	}
	if err := writeIndex(path, key, examples); err != nil {
		note(fmt.Sprintf("the example index is not kept for the next start: %v", err))
	}
	return examples, nil
}

// readIndex reads an index file. It is not ok where the file is missing, damaged, or of another key.
func readIndex(path string, key [sha256.Size]byte) (examples []example, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	info, err := f.Stat()
	header := make([]byte, indexHeaderSize)
	if _, readErr := io.ReadFull(f, header); err != nil || readErr != nil {
		return nil, false
	}
	count := binary.LittleEndian.Uint64(header[8:])
	if info.Size() != indexHeaderSize+int64(count)*8 || !bytes.Equal(header, indexHeader(int(count), key, binary.LittleEndian.Uint32(header[48:]))) {
		return nil, false
	}
	examples = make([]example, 0, count)
	crc, block := uint32(0), make([]byte, 1<<20)
	for len(examples) < int(count) {
		block = block[:min(len(block), 8*(int(count)-len(examples)))]
		if _, err := io.ReadFull(f, block); err != nil {
			return nil, false
		}
		crc = crc32.Update(crc, castagnoli, block)
		for b := block; len(b) > 0; b = b[8:] {
			examples = append(examples, example(binary.LittleEndian.Uint64(b)))
		}
	}
	return examples, crc == binary.LittleEndian.Uint32(header[48:])
}

func indexHeader(count int, key [sha256.Size]byte, crc uint32) []byte {
	h := binary.LittleEndian.AppendUint64([]byte(indexMagic), uint64(count))
	h = binary.LittleEndian.AppendUint32(append(h, key[:]...), crc)
	return append(h, make([]byte, indexHeaderSize-len(h))...)
}

// writeIndex writes an index file; it appears whole or not at all.
func writeIndex(path string, key [sha256.Size]byte, examples []example) error {
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	crc, word := uint32(0), make([]byte, 8)
	for _, e := range examples {
		binary.LittleEndian.PutUint64(word, uint64(e))
		crc = crc32.Update(crc, castagnoli, word)
	}
	out := bufio.NewWriterSize(f, 1<<20)
	out.Write(indexHeader(len(examples), key, crc)) // bufio keeps the first error for Flush
	for _, e := range examples {
		binary.LittleEndian.PutUint64(word, uint64(e))
		out.Write(word)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
