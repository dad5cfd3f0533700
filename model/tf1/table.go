package tf1

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/klauspost/compress/snappy"
)

// The index of a tensor bundle is a table in LevelDB's format: blocks of sorted keys with their values, a
// block that lists those blocks, and a footer that says where that one lies.
const (
	footerSize   = 48                 // two handles, zero bytes up to 40, then the magic number
	tableMagic   = 0xdb4775248b80fb57 // little-endian, the file's last eight bytes
	trailerSize  = 5                  // behind each block: one byte of compression and a CRC32C
	maxKey       = 1024               // bytes of a variable's name
	snappyGrowth = 22                 // three bytes of snappy name at most 64 bytes of text
)

// Compression of a block.
const (
	blockPlain  = 0
	blockSnappy = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is a CRC32C as TensorFlow and LevelDB store it: turned and shifted, so that the sum of data that
// hold their own sum is not a constant.
func masked(sum uint32) uint32 { return (sum>>15 | sum<<17) + 0xa282ead8 }

// handle is where a block lies, its trailer not counted.
type handle struct{ offset, size uint64 }

// readTable calls visit for every key and value of a table in their order, which must be strictly ascending.
// What it allocates is at most snappyGrowth times as large as data.
func readTable(data []byte, visit func(key, value []byte) error) error {
	if len(data) < footerSize {
		return fmt.Errorf("%d bytes are too few for a table; the file is truncated or no index of a TensorFlow checkpoint", len(data))
	}
	footer := data[len(data)-footerSize:]
	if magic := binary.LittleEndian.Uint64(footer[40:]); magic != tableMagic {
		return fmt.Errorf("the last eight bytes are %#x, expected %#x; the file is truncated or no index of a TensorFlow checkpoint", magic, uint64(tableMagic))
	}
	meta, rest, err := parseHandle(footer[:40])
	if err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	index, rest, err := parseHandle(rest)
	if err != nil || len(bytes.Trim(rest, "\x00")) > 0 {
		return fmt.Errorf("footer: it is not two places of blocks and zeros")
	}
	t := table{data: data[:len(data)-footerSize], visit: visit}
	if _, err := t.block(meta); err != nil {
		return fmt.Errorf("metaindex block: %w", err)
	}
	list, err := t.block(index)
	if err != nil {
		return fmt.Errorf("index block: %w", err)
	}
	return readBlock(list, t.dataBlock)
}

// table is the state of one pass over the data blocks.
type table struct {
	data  []byte // without the footer
	visit func(key, value []byte) error
	end   uint64 // of the last block
	last  []byte // the last key
	some  bool   // there was one
}

// dataBlock reads the block that an entry of the index block names. bound is no smaller than the block's
// keys and smaller than those of the next.
func (t *table) dataBlock(bound, value []byte) error {
	place, rest, err := parseHandle(value)
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("index block: the entry %.100q is no place of a block", bound)
	}
	if place.offset < t.end {
		return fmt.Errorf("the block at byte %d overlaps the one before it, which ends at %d", place.offset, t.end)
	}
	content, err := t.block(place)
	if err != nil {
		return err
	}
	t.end = place.offset + place.size + trailerSize
	err = readBlock(content, func(key, value []byte) error {
		if t.some && bytes.Compare(key, t.last) <= 0 {
			return fmt.Errorf("the key %.100q comes after %.100q: twice, or not in order", key, t.last)
		}
		t.last, t.some = append(t.last[:0], key...), true
		return t.visit(key, value)
	})
	if err != nil {
		return err
	}
	if bytes.Compare(t.last, bound) > 0 {
		return fmt.Errorf("the key %.100q lies behind its block's bound %.100q", t.last, bound)
	}
	t.last = append(t.last[:0], bound...)
	return nil
}

// block checks the sum of a block and decompresses it.
func (t *table) block(place handle) ([]byte, error) {
	n := uint64(len(t.data))
	if place.offset > n || place.size > n-place.offset || n-place.offset-place.size < trailerSize {
		return nil, fmt.Errorf("a block would lie at bytes %d to %d of %d; the file is truncated or damaged", place.offset, place.offset+place.size, n)
	}
	content, trailer := t.data[place.offset:place.offset+place.size], t.data[place.offset+place.size:][:trailerSize]
	sum := masked(crc32.Update(crc32.Checksum(content, castagnoli), castagnoli, trailer[:1]))
	if want := binary.LittleEndian.Uint32(trailer[1:]); sum != want {
		return nil, fmt.Errorf("the block at byte %d has checksum %08x, expected %08x; the file is damaged", place.offset, sum, want)
	}
	switch trailer[0] {
	case blockPlain:
		return content, nil
	case blockSnappy:
		return unsnappy(content)
	}
	return nil, fmt.Errorf("the block at byte %d has the unknown compression %d", place.offset, trailer[0])
}

func unsnappy(content []byte) ([]byte, error) {
	size, err := snappy.DecodedLen(content)
	if err != nil || size > snappyGrowth*len(content) {
		return nil, fmt.Errorf("a compressed block of %d bytes says that it holds %d; the file is damaged", len(content), size)
	}
	plain, err := snappy.Decode(nil, content)
	if err != nil {
		return nil, fmt.Errorf("a compressed block is damaged: %w", err)
	}
	return plain, nil
}

// readBlock calls visit for every entry of a block. Keys leave out what they share with the one before, but
// for those that the list of restarts at the block's end names.
func readBlock(block []byte, visit func(key, value []byte) error) error {
	entries, restarts, err := splitBlock(block)
	if err != nil {
		return err
	}
	var key []byte
	for at := 0; at < len(entries); {
		shared, fresh, size, head := entryHead(entries[at:])
		rest := uint64(len(entries) - at - head)
		if head == 0 || shared > uint64(len(key)) || fresh > rest || size > rest-fresh || shared+fresh > maxKey {
			return fmt.Errorf("the entry at byte %d of a block shares %d bytes of a key of %d, adds %d (a key has at most %d) and a value of %d, with %d bytes left; the file is damaged",
				at, shared, len(key), fresh, maxKey, size, rest)
		}
		if len(restarts) > 0 && binary.LittleEndian.Uint32(restarts) == uint32(at) {
			if restarts = restarts[4:]; shared != 0 {
				return fmt.Errorf("the entry at byte %d of a block is a restart and has no whole key; the file is damaged", at)
			}
		}
		from := at + head
		key = append(key[:shared], entries[from:from+int(fresh)]...)
		from += int(fresh)
		at = from + int(size)
		if err := visit(key, entries[from:at]); err != nil {
			return err
		}
	}
	if len(restarts) > 0 && !(len(entries) == 0 && len(restarts) == 4) {
		return fmt.Errorf("%d restarts of a block are no beginnings of entries; the file is damaged", len(restarts)/4)
	}
	return nil
}

// splitBlock cuts a block into its entries and the little-endian uint32 offsets of its restarts.
func splitBlock(block []byte) (entries, restarts []byte, err error) {
	if len(block) < 8 || len(block) > math.MaxUint32 {
		return nil, nil, fmt.Errorf("a block has %d bytes; the file is damaged", len(block))
	}
	body := block[:len(block)-4]
	count := uint64(binary.LittleEndian.Uint32(block[len(body):]))
	if count == 0 || count > uint64(len(body)/4) {
		return nil, nil, fmt.Errorf("a block of %d bytes would have %d restarts; the file is damaged", len(block), count)
	}
	cut := len(body) - 4*int(count)
	return body[:cut], body[cut:], nil
}

// entryHead reads the three numbers before an entry's bytes: how much of the last key it shares, how much
// it adds and the size of its value. head is the bytes that they take, 0 where they are none.
func entryHead(data []byte) (shared, fresh, size uint64, head int) {
	var numbers [3]uint64
	for i := range numbers {
		n, width := binary.Uvarint(data[head:])
		if width <= 0 || n > math.MaxUint32 {
			return 0, 0, 0, 0
		}
		numbers[i], head = n, head+width
	}
	return numbers[0], numbers[1], numbers[2], head
}

func parseHandle(data []byte) (h handle, rest []byte, err error) {
	var width int
	if h.offset, width = binary.Uvarint(data); width <= 0 {
		return h, nil, fmt.Errorf("no place of a block")
	}
	data = data[width:]
	if h.size, width = binary.Uvarint(data); width <= 0 {
		return h, nil, fmt.Errorf("no place of a block")
	}
	return h, data[width:], nil
}
