package tf1

import (
	"fmt"
	"math"
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of tensorflow/core/protobuf/tensor_bundle.proto and the messages that it uses.
const (
	headerShards     = 1
	headerEndianness = 2
	headerVersion    = 3
	versionConsumer  = 2 // the oldest reader that understands the bundle

	entryType   = 1
	entryShape  = 2
	entryShard  = 3
	entryOffset = 4
	entrySize   = 5
	entryCRC    = 6
	entrySlices = 7

	shapeDimension = 2
	shapeUnknown   = 3
	dimensionSize  = 1
)

const (
	bundleVersion = 1   // of the format; what this reader is
	maxRank       = 254 // axes of a tensor in TensorFlow
)

// dtype is TensorFlow's number of an element type (tensorflow/core/framework/types.proto).
type dtype uint64

const (
	float32Type dtype = 1
	int64Type   dtype = 9
)

// typeNames and typeWidths (bytes of an element) are of the types that a training run can have saved.
// Strings have no fixed width.
var (
	typeNames  = map[dtype]string{1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 9: "int64", 10: "bool", 14: "bfloat16", 19: "float16"}
	typeWidths = map[dtype]uint64{1: 4, 2: 8, 3: 4, 4: 1, 5: 2, 6: 1, 9: 8, 10: 1, 14: 2, 19: 2}
)

func (d dtype) String() string {
	if name := typeNames[d]; name != "" {
		return name
	}
	return fmt.Sprintf("type %d", uint64(d))
}

// header is a bundle's first entry, whose key is empty.
type header struct{ shards uint64 }

func parseHeader(message []byte) (header, error) {
	var h header
	err := fields(message, func(f field) error {
		switch {
		case f.is(headerShards, protowire.VarintType):
			h.shards = f.number
		case f.is(headerEndianness, protowire.VarintType) && f.number != 0:
			return fmt.Errorf("it was written on a big-endian machine, which elektron does not read; save it again on a little-endian one")
		case f.is(headerVersion, protowire.BytesType):
			return fields(f.bytes, func(f field) error {
				if f.is(versionConsumer, protowire.VarintType) && f.number > bundleVersion {
					return fmt.Errorf("its format is for readers of version %d and newer; elektron reads version %d", f.number, bundleVersion)
				}
				return nil
			})
		}
		return nil
	})
	if err == nil && (h.shards == 0 || h.shards > math.MaxInt32) {
		err = fmt.Errorf("its header says that it has %d data files", h.shards)
	}
	return h, err
}

// variable is what the index says of one variable.
type variable struct {
	name         string
	dtype        dtype
	shape        []int
	shard        uint64
	offset, size uint64 // bytes in the shard's file
	crc          uint32 // masked CRC32C of those bytes
}

// parseVariable reads and checks an entry: its bytes must be exactly what type and shape ask for. A
// partitioned variable is refused.
func parseVariable(name string, message []byte) (variable, error) {
	v := variable{name: name}
	err := fields(message, func(f field) error {
		switch {
		case f.is(entryType, protowire.VarintType):
			v.dtype = dtype(f.number)
		case f.is(entryShape, protowire.BytesType):
			return v.parseShape(f.bytes)
		case f.is(entryShard, protowire.VarintType):
			v.shard = f.number
		case f.is(entryOffset, protowire.VarintType):
			v.offset = f.number
		case f.is(entrySize, protowire.VarintType):
			v.size = f.number
		case f.is(entryCRC, protowire.Fixed32Type):
			v.crc = uint32(f.number)
		case f.is(entrySlices, protowire.BytesType):
			return fmt.Errorf("it is partitioned over several entries, which elektron does not join; save the model without a partitioner")
		}
		return nil
	})
	if err == nil {
		err = v.checkSize()
	}
	if err != nil {
		return v, fmt.Errorf("variable %.200q: %w", name, err)
	}
	return v, nil
}

func (v *variable) parseShape(message []byte) error {
	v.shape = []int{}
	return fields(message, func(f field) error {
		switch {
		case f.is(shapeUnknown, protowire.VarintType) && f.number != 0:
			return fmt.Errorf("its shape is not known")
		case f.is(shapeDimension, protowire.BytesType):
			size := uint64(0)
			err := fields(f.bytes, func(f field) error {
				if f.is(dimensionSize, protowire.VarintType) {
					size = f.number
				}
				return nil
			})
			if err != nil {
				return err
			}
			if size > math.MaxInt64 || len(v.shape) == maxRank {
				return fmt.Errorf("its shape has a dimension of unknown size, or more than %d", maxRank)
			}
			v.shape = append(v.shape, int(size))
		}
		return nil
	})
}

// checkSize holds the size against type and shape. Of a type without a known width it is not known.
func (v *variable) checkSize() error {
	width, ok := typeWidths[v.dtype]
	if !ok {
		return nil
	}
	size := width
	for _, dim := range v.shape {
		high, low := bits.Mul64(size, uint64(dim))
		if high != 0 {
			return fmt.Errorf("its shape %v is larger than any file", v.shape)
		}
		size = low
	}
	if size != v.size {
		return fmt.Errorf("%s of shape %v takes %d bytes, the index says %d", v.dtype, v.shape, size, v.size)
	}
	return nil
}

// field is one field of a protocol buffer: a number, or the bytes of a text or message.
type field struct {
	id     protowire.Number
	kind   protowire.Type
	number uint64
	bytes  []byte
}

func (f field) is(id protowire.Number, kind protowire.Type) bool { return f.id == id && f.kind == kind }

// fields calls visit for every field of a message, in order.
func fields(message []byte, visit func(field) error) error {
	for len(message) > 0 {
		id, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("not a protocol buffer: %w", protowire.ParseError(n))
		}
		message = message[n:]
		f := field{id: id, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var number uint32
			number, n = protowire.ConsumeFixed32(message)
			f.number = uint64(number)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(id, kind, message)
		}
		if n < 0 {
			return fmt.Errorf("not a protocol buffer: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}
