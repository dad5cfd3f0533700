// Package tf1test writes tensor bundles as TensorFlow does, and on request wrong ones, so that tests of
// reading them need no TensorFlow.
package tf1test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"elektron/model"
)

// Numbers of TensorFlow's element types.
const (
	Float32 = 1
	Float64 = 2
	Int64   = 9
)

// Variable is what the index says of a variable, and its bytes. Write fills in the place and the sum.
type Variable struct {
	Name         string
	DType        uint64
	Shape        []int
	Data         []byte
	Shard        uint64
	Offset, Size uint64
	CRC          uint32 // masked
	Slices       int    // parts that it says it is partitioned into
}

// Floats makes a variable of float32.
func Floats(name string, shape []int, values []float32) Variable {
	v := Variable{Name: name, DType: Float32, Shape: shape}
	for _, x := range values {
		v.Data = binary.LittleEndian.AppendUint32(v.Data, math.Float32bits(x))
	}
	return v
}

// Integer makes a variable of one int64.
func Integer(name string, n int64) Variable {
	return Variable{Name: name, DType: Int64, Shape: []int{}, Data: binary.LittleEndian.AppendUint64(nil, uint64(n))}
}

// officialNames turns the names of elektron's weights into those of google-research/electra's variables.
var officialNames = strings.NewReplacer(
	"discriminator.electra.", "electra/", "generator.electra.", "generator/",
	"discriminator.discriminator_predictions.", "discriminator_predictions/", "dense_prediction", "dense_1",
	"generator.generator_predictions.", "generator_predictions/", "generator.generator_lm_head.bias", "generator_predictions/output_bias",
	".layer.", "/layer_", "LayerNorm.weight", "LayerNorm/gamma", "LayerNorm.bias", "LayerNorm/beta",
	"_embeddings.weight", "_embeddings", ".weight", "/kernel", ".", "/",
)

// Model are the variables of a model as the official code saves them, kernels [in, out], with suffix behind
// their names.
func Model(c *model.Config, weights map[string][]float32, suffix string) []Variable {
	var list []Variable
	for _, w := range c.Weights() {
		name, shape, values := officialNames.Replace(w.Name), w.Shape, weights[w.Name]
		if strings.HasSuffix(name, "/kernel") {
			shape = []int{w.Shape[1], w.Shape[0]}
			values = make([]float32, 0, len(weights[w.Name]))
			for i := range shape[0] {
				for o := range shape[1] {
					values = append(values, weights[w.Name][o*shape[0]+i])
				}
			}
		}
		list = append(list, Floats(name+suffix, shape, values))
	}
	return list
}

// Options say how a bundle is laid out.
type Options struct {
	Shards    int             // data files; 0 for one
	BlockSize int             // bytes after which a block ends; 0 for one block
	Snappy    bool            // compress every second block
	BigEndian bool            // say that the numbers are big-endian
	Consumer  uint64          // oldest version of a reader
	Edit      func(*Variable) // changes what the index says
}

// Write stores a bundle of variables, dealt to the data files in turn.
func Write(t testing.TB, prefix string, o Options, variables ...Variable) {
	t.Helper()
	o.Shards = max(1, o.Shards)
	shards := make([][]byte, o.Shards)
	list := slices.SortedStableFunc(slices.Values(variables), func(a, b Variable) int { return cmp.Compare(a.Name, b.Name) })
	for i := range list {
		v := &list[i]
		v.Shard = uint64(i % o.Shards)
		v.Offset, v.Size, v.CRC = uint64(len(shards[v.Shard])), uint64(len(v.Data)), masked(v.Data)
		shards[v.Shard] = append(shards[v.Shard], v.Data...)
		if o.Edit != nil {
			o.Edit(v)
		}
	}
	for i, data := range shards {
		save(t, fmt.Sprintf("%s.data-%05d-of-%05d", prefix, i, o.Shards), data)
	}
	save(t, prefix+".index", Index(o, list))
}

func save(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Index is the index file of variables, in the order given.
func Index(o Options, variables []Variable) []byte {
	w := writer{Options: o}
	w.add("", header(o))
	for _, v := range variables {
		w.add(v.Name, v.entry())
	}
	w.flush()
	return w.finish()
}

// Seal is an index file of one block whose content, under a compression, is given: right but for what is in it.
func Seal(content []byte, compression byte) []byte {
	w := writer{}
	w.index = []pair{{strings.Repeat("\xff", 16), w.append(content, compression)}}
	return w.finish()
}

func (w *writer) finish() []byte {
	meta, index := w.block(nil), w.block(w.index)
	footer := slices.Concat(meta, index)
	footer = append(footer, make([]byte, 40-len(footer))...)
	return binary.LittleEndian.AppendUint64(append(w.out, footer...), 0xdb4775248b80fb57)
}

func header(o Options) []byte {
	b := protowire.AppendTag(nil, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(max(1, o.Shards)))
	if o.BigEndian {
		b = protowire.AppendTag(b, 2, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
	}
	version := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	version = protowire.AppendVarint(protowire.AppendTag(version, 2, protowire.VarintType), o.Consumer)
	return protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), version)
}

func (v *Variable) entry() []byte {
	number := func(b []byte, id protowire.Number, n uint64) []byte {
		if n == 0 { // as proto3 leaves it out
			return b
		}
		return protowire.AppendVarint(protowire.AppendTag(b, id, protowire.VarintType), n)
	}
	var shape []byte
	for _, dim := range v.Shape {
		shape = protowire.AppendBytes(protowire.AppendTag(shape, 2, protowire.BytesType), number(nil, 1, uint64(dim)))
	}
	b := number(nil, 1, v.DType)
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), shape)
	b = number(number(number(b, 3, v.Shard), 4, v.Offset), 5, v.Size)
	b = protowire.AppendFixed32(protowire.AppendTag(b, 6, protowire.Fixed32Type), v.CRC)
	for range v.Slices {
		b = protowire.AppendBytes(protowire.AppendTag(b, 7, protowire.BytesType), nil)
	}
	return b
}

type pair struct {
	key   string
	value []byte
}

// writer writes a LevelDB table.
type writer struct {
	Options
	out   []byte
	pairs []pair // of the block that is being filled
	size  int    // of it
	index []pair
	count int // blocks written
}

func (w *writer) add(key string, value []byte) {
	w.pairs = append(w.pairs, pair{key, value})
	if w.size += len(key) + len(value); w.BlockSize > 0 && w.size >= w.BlockSize {
		w.flush()
	}
}

func (w *writer) flush() {
	if len(w.pairs) > 0 {
		place := w.block(w.pairs)
		w.index = append(w.index, pair{w.pairs[len(w.pairs)-1].key, place})
		w.pairs, w.size = nil, 0
	}
}

// block appends a block and gives its place. Every fourth key is whole.
func (w *writer) block(pairs []pair) []byte {
	var body, restarts []byte
	last := ""
	for i, p := range pairs {
		shared := 0
		if i%4 == 0 {
			restarts = binary.LittleEndian.AppendUint32(restarts, uint32(len(body)))
		} else {
			for shared < len(last) && shared < len(p.key) && last[shared] == p.key[shared] {
				shared++
			}
		}
		for _, n := range []int{shared, len(p.key) - shared, len(p.value)} {
			body = binary.AppendUvarint(body, uint64(n))
		}
		body = append(append(body, p.key[shared:]...), p.value...)
		last = p.key
	}
	if len(pairs) == 0 {
		restarts = make([]byte, 4)
	}
	body = binary.LittleEndian.AppendUint32(append(body, restarts...), uint32(len(restarts)/4))
	kind := byte(0)
	if w.Snappy && w.count%2 == 0 {
		body, kind = snappy.Encode(nil, body), 1
	}
	w.count++
	return w.append(body, kind)
}

func (w *writer) append(body []byte, kind byte) (place []byte) {
	place = binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(w.out))), uint64(len(body)))
	w.out = append(append(w.out, body...), kind)
	w.out = binary.LittleEndian.AppendUint32(w.out, masked(slices.Concat(body, []byte{kind})))
	return place
}

func masked(data []byte) uint32 {
	sum := crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))
	return (sum>>15 | sum<<17) + 0xa282ead8
}
