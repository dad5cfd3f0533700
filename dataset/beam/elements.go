package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"

	"elektron/dataset"
	"elektron/dataset/corpus"
	"elektron/internal/fault"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// What is little or rare travels as Beam encodes structs. Documents and mentions have a shorter encoding of their own.
func init() {
	for _, t := range []reflect.Type{
		reflect.TypeFor[file](), reflect.TypeFor[tally](), reflect.TypeFor[written](), reflect.TypeFor[division](),
		reflect.TypeFor[dataset.HeldOut](), reflect.TypeFor[dataset.Ticket](),
	} {
		beam.RegisterType(t)
	}
	beam.RegisterCoder(reflect.TypeFor[document](), encodeDocument, decodeDocument)
	beam.RegisterCoder(reflect.TypeFor[dataset.Kept](), encodeKept, decodeKept)
	beam.RegisterCoder(reflect.TypeFor[mention](), encodeMention, decodeMention)
}

// file is a file of the corpus.
type file struct {
	Path  string
	Size  int64
	Index int
}

// position is a place in the corpus, which decides what came first.
type position struct {
	File, Number int // index of the file, number of the document in it
}

func (p position) before(o position) bool {
	return cmp.Or(cmp.Compare(p.File, o.File), cmp.Compare(p.Number, o.Number)) < 0
}

// document is a document in tokens and where it stands.
type document struct {
	position
	dataset.Document
}

// mention says that something stands in a document.
type mention struct {
	position
	Index    int    // which one of the document's
	Document uint64 // its hash
}

func (m mention) before(o mention) bool {
	return m.position.before(o.position) || m.position == o.position && m.Index < o.Index
}

// tally is what a part of the pipeline counts.
type tally struct {
	Report dataset.Report
	Counts corpus.Counts
}

// written is what a shard holds.
type written struct {
	Valid bool // held out
	Split dataset.Split
}

// An encoding is a row of unsigned varints, but for hashes, which are 8 bytes.

func encodeDocument(d document) []byte {
	b := binary.AppendUvarint(nil, uint64(d.File))
	b = binary.AppendUvarint(b, uint64(d.Number))
	b = binary.LittleEndian.AppendUint64(b, d.Hash)
	b = binary.AppendUvarint(b, uint64(len(d.Bands)))
	for _, band := range d.Bands {
		b = binary.LittleEndian.AppendUint64(b, band)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Sentences)))
	for _, s := range d.Sentences {
		b = binary.LittleEndian.AppendUint64(b, s.Hash)
		b = binary.AppendUvarint(b, uint64(s.Bytes))
		b = binary.AppendUvarint(b, uint64(s.Unknown))
		b = appendIDs(b, s.IDs)
	}
	return b
}

func decodeDocument(b []byte) (document, error) {
	d := &decoder{rest: b}
	doc := document{position: position{d.int(), d.int()}}
	doc.Hash = d.hash()
	for range d.count() {
		doc.Bands = append(doc.Bands, d.hash())
	}
	doc.Sentences = make([]dataset.Sentence, d.count())
	for i := range doc.Sentences {
		doc.Sentences[i] = dataset.Sentence{Hash: d.hash(), Bytes: d.int(), Unknown: d.int(), IDs: d.ids()}
	}
	return doc, d.err
}

func encodeKept(k dataset.Kept) []byte {
	b := binary.LittleEndian.AppendUint64(nil, k.Hash)
	b = binary.AppendUvarint(b, uint64(len(k.Sentences)))
	for _, ids := range k.Sentences {
		b = appendIDs(b, ids)
	}
	return b
}

func decodeKept(b []byte) (dataset.Kept, error) {
	d := &decoder{rest: b}
	k := dataset.Kept{Hash: d.hash(), Sentences: make([][]int32, d.count())}
	for i := range k.Sentences {
		k.Sentences[i] = d.ids()
	}
	return k, d.err
}

func encodeMention(m mention) []byte {
	b := binary.LittleEndian.AppendUint64(nil, m.Document)
	for _, n := range []int{m.File, m.Number, m.Index} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func decodeMention(b []byte) (mention, error) {
	d := &decoder{rest: b}
	return mention{Document: d.hash(), position: position{d.int(), d.int()}, Index: d.int()}, d.err
}

func appendIDs(b []byte, ids []int32) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id))
	}
	return b
}

// decoder takes numbers off the front of an encoding. After an error it gives zeros.
type decoder struct {
	rest []byte
	err  error
}

var errCut = errors.New("beam: an element's encoding is cut off")

func (d *decoder) fail() {
	d.rest, d.err = nil, errCut
}

func (d *decoder) hash() uint64 {
	if len(d.rest) < 8 {
		d.fail()
		return 0
	}
	h := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return h
}

func (d *decoder) int() int {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return int(v)
}

// count gives the number of things that follow, each of a byte at least.
func (d *decoder) count() int {
	n := d.int()
	if n < 0 || n > len(d.rest) {
		d.fail()
		return 0
	}
	return n
}

func (d *decoder) ids() []int32 {
	ids := make([]int32, d.count())
	for i := range ids {
		ids[i] = int32(d.int())
	}
	return ids
}

// failed marks an error with the exit code of its kind, which only text survives on its way through a runner.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("[exit code %d] %w", fault.ExitCode(err), err)
}

var marked = regexp.MustCompile(`\[exit code (\d+)\] ([^\n]*)`)

// explain gives the error of a pipeline the kind that failed marked.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if found := marked.FindStringSubmatch(err.Error()); found != nil {
		for _, kind := range []fault.Kind{fault.Data, fault.Storage, fault.DiskFull, fault.Usage} {
			if code, _ := strconv.Atoi(found[1]); code == fault.ExitCode(fault.New(kind, "")) {
				return fault.New(kind, "%s", found[2])
			}
		}
	}
	return fault.Wrap(fault.Internal, err, "beam: the pipeline failed")
}
