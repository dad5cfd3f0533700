// Package tfrecord reads and writes TensorFlow's record files, and in them the pre-training examples of the
// official ELECTRA and BERT code: token ids with a mask and segments, padded to one length.
//
// A file is records one after the other, all numbers little-endian (tensorflow/core/lib/io/record_writer.h):
//
//	uint64 length of the data
//	uint32 masked CRC32C of these 8 bytes
//	byte   data[length]
//	uint32 masked CRC32C of the data
package tfrecord

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// MaxRecord is the longest record that is read, in bytes. An example of 512 tokens has less than 10 KB.
const MaxRecord = 64 << 20

const (
	headerSize = 12 // length and its CRC
	footerSize = 4  // CRC of the data
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of the format: a CRC over data that holds CRCs itself would be weak, so they are
// rotated and moved by a constant.
func masked(b []byte) uint32 {
	crc := crc32.Checksum(b, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}

// DamageError says where a file is not what a writer can have written.
type DamageError struct {
	Record int64 // from 1
	Byte   int64 // where the record begins
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("record %d at byte %d: %s", e.Record, e.Byte, e.Reason)
}

// Reader reads records. Its memory is that of the longest record.
type Reader struct {
	in     *bufio.Reader
	record int64 // of the last one, from 1
	at     int64 // byte where the next one begins
	buffer []byte
}

// NewReader reads the records of a stream.
func NewReader(r io.Reader) *Reader { return &Reader{in: bufio.NewReaderSize(r, 256<<10)} }

// Next gives the data of the next record, good until the next call; io.EOF after the last one. Both checksums are
// checked before the data is trusted. Errors: a *DamageError, also where the file ends inside a record, or
// what the stream itself says.
func (r *Reader) Next() ([]byte, error) {
	r.record++
	var header [headerSize]byte
	if n, err := io.ReadFull(r.in, header[:]); err == io.EOF {
		return nil, io.EOF
	} else if err != nil {
		return nil, r.readError(n, headerSize, err)
	}
	length := binary.LittleEndian.Uint64(header[:])
	if masked(header[:8]) != binary.LittleEndian.Uint32(header[8:]) {
		return nil, r.damaged("checksum of its length does not agree")
	}
	if length > MaxRecord {
		return nil, r.damaged("%d bytes long, at most %d are read", length, MaxRecord)
	}
	size := int(length) + footerSize
	if size > cap(r.buffer) {
		r.buffer = make([]byte, size)
	}
	r.buffer = r.buffer[:size]
	if n, err := io.ReadFull(r.in, r.buffer); err != nil {
		return nil, r.readError(n, size, err)
	}
	data := r.buffer[:length]
	if masked(data) != binary.LittleEndian.Uint32(r.buffer[length:]) {
		return nil, r.damaged("checksum of its data does not agree")
	}
	r.at += headerSize + int64(size)
	return data, nil
}

// Record is the number of the record that Next gave last, from 1.
func (r *Reader) Record() int64 { return r.record }

func (r *Reader) readError(got, want int, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return r.damaged("the file ends inside it (%d of %d bytes)", got, want)
	}
	return err
}

func (r *Reader) damaged(reason string, args ...any) error {
	return &DamageError{Record: r.record, Byte: r.at, Reason: fmt.Sprintf(reason, args...)}
}

// Append appends a record with this data to dst.
func Append(dst, data []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(data)))
	dst = binary.LittleEndian.AppendUint32(dst, masked(dst[start:]))
	dst = append(dst, data...)
	return binary.LittleEndian.AppendUint32(dst, masked(data))
}
