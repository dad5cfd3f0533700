package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"unsafe"

	"elektron/dataset/shard"
	"elektron/internal/blob"
	"elektron/internal/fault"
)

// An index file is a header of 64 bytes (magic, key, zeros), the examples, 8 bytes each, little-endian, and the CRC32C
// of all that, with as many zeros. The key says what it was made from; a file with another one, or a damaged one, is
// made again. Like shards it is read through the operating system's page cache: memory does not grow with it.
const (
	indexMagic       = "ELKINDX2"
	indexHeaderSize  = 64
	indexTrailerSize = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// index is an opened index file.
type index struct {
	examples []example
	unmap    func() error
}

// indexKey identifies an index: everything that cutAll depends on. The trailer of a shard holds
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

// loadIndex gives the index of a set of shards: from its file in folder or, where there is none that fits, from a new
// one. Where folder cannot be written, the file is a temporary one and is made again at the next start; note is told.
func loadIndex(ctx context.Context, set *shard.Set, o BatchOptions, folder string, note func(string)) (*index, error) {
	key, err := indexKey(set, o)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("index-s%d-%x.idx", o.SeqLen, key[:8])
	if opened, err := openIndex(filepath.Join(folder, name), key); err == nil {
		return opened, nil
	}
	err = writeIndex(ctx, filepath.Join(folder, name), key, set, o)
	if fault.KindOf(err) == fault.Storage && ctx.Err() == nil {
		note(fmt.Sprintf("the example index is not kept for the next start: %v", err))
		if folder, err = os.MkdirTemp("", "elektron-index-"); err == nil {
			defer os.RemoveAll(folder) // what is mapped stays readable
			err = writeIndex(ctx, filepath.Join(folder, name), key, set, o)
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var opened *index
	if err == nil {
		opened, err = openIndex(filepath.Join(folder, name), key)
	}
	return opened, fault.Wrap(fault.Storage, err, "dataset: no example index")
}

// openIndex checks an index file and maps it. Close it.
func openIndex(path string, key [sha256.Size]byte) (*index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping outlives it
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := int(info.Size()) - indexHeaderSize - indexTrailerSize
	if size < 0 || size%8 != 0 {
		return nil, fault.New(fault.Data, "dataset: %s: %d bytes are no example index", path, info.Size())
	}
	if err := verifyIndex(f, key, size); err != nil {
		return nil, fault.Wrap(fault.Data, err, "dataset: %s", path)
	}
	data, unmap, err := shard.MapFile(f, int(info.Size()))
	if err != nil {
		return nil, err
	}
	return &index{examplesIn(data[indexHeaderSize : indexHeaderSize+size]), unmap}, nil
}

// verifyIndex reads an index file once, past the mapping, whose pages would count as the process's memory.
func verifyIndex(f io.Reader, key [sha256.Size]byte, size int) error {
	header := make([]byte, indexHeaderSize)
	if _, err := io.ReadFull(f, header); err != nil {
		return err
	}
	if !bytes.Equal(header, indexHeader(key)) {
		return fault.New(fault.Data, "made from something else")
	}
	sum := crc32.New(castagnoli)
	sum.Write(header) // a hash never fails
	if _, err := io.CopyN(sum, f, int64(size)); err != nil {
		return err
	}
	trailer := make([]byte, indexTrailerSize)
	if _, err := io.ReadFull(f, trailer); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(trailer) != uint64(sum.Sum32()) {
		return fault.New(fault.Data, "CRC32C mismatch")
	}
	return nil
}

func indexHeader(key [sha256.Size]byte) []byte {
	h := append([]byte(indexMagic), key[:]...)
	return append(h, make([]byte, indexHeaderSize-len(h))...)
}

// examplesIn is the examples of mapped bytes, where they lie if this machine is little-endian as well.
func examplesIn(data []byte) []example {
	if len(data) == 0 {
		return nil
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return unsafe.Slice((*example)(unsafe.Pointer(unsafe.SliceData(data))), len(data)/8)
	}
	examples := make([]example, len(data)/8)
	for i := range examples {
		examples[i] = example(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return examples
}

// writeIndex makes an index file piece by piece; it appears whole or not at all.
func writeIndex(ctx context.Context, path string, key [sha256.Size]byte, from source, o BatchOptions) error {
	f, err := blob.Create(ctx, path)
	if err != nil {
		return err
	}
	defer f.Abort()
	sum := crc32.New(castagnoli)
	out := io.MultiWriter(f, sum)
	if _, err := out.Write(indexHeader(key)); err != nil {
		return err
	}
	var data []byte
	for examples, err := range cutAll(ctx, from, o, runtime.GOMAXPROCS(0)) {
		if err != nil {
			return err
		}
		data = data[:0]
		for _, e := range examples {
			data = binary.LittleEndian.AppendUint64(data, uint64(e))
		}
		if _, err := out.Write(data); err != nil {
			return err
		}
	}
	if _, err := f.Write(binary.LittleEndian.AppendUint64(nil, uint64(sum.Sum32()))); err != nil {
		return err
	}
	return f.Close()
}
