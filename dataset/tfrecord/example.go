package tfrecord

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Example is a pre-training example of the official code, special tokens included, padding not:
// [CLS] A [SEP] or [CLS] A [SEP] B [SEP].
type Example struct {
	IDs    []int32
	Second int // index in IDs of the first token of segment B; len(IDs) where there is none
}

// Names of the features that google-research/electra's build_pretraining_dataset.py writes, all of one length.
const (
	inputIDs   = "input_ids"
	inputMask  = "input_mask"  // 1 for tokens, then 0 for padding
	segmentIDs = "segment_ids" // 0 for [CLS] A [SEP] and padding, 1 for B [SEP]
)

// Field numbers of tensorflow/core/example/{example,feature}.proto.
const (
	exampleFeatures = 1
	featuresEntry   = 1
	entryKey        = 1
	entryValue      = 2
	featureInt64s   = 3
	int64sValue     = 1
)

// Parse reads an example from the data of a record. It takes only what the official code can have written:
// three features of one length, a mask that is ones and then zeros, segments that are zeros and then ones.
func Parse(data []byte) (Example, error) {
	lists, err := features(data)
	if err != nil {
		return Example{}, err
	}
	for _, name := range []string{inputIDs, inputMask, segmentIDs} {
		if _, ok := lists[name]; !ok {
			return Example{}, fmt.Errorf("no feature %q (it has %s): not a pre-training example", name, names(lists))
		}
		if len(lists[name]) != len(lists[inputIDs]) {
			return Example{}, fmt.Errorf("%d values of %q, but %d of %q", len(lists[name]), name, len(lists[inputIDs]), inputIDs)
		}
	}
	length, err := steps(inputMask, lists[inputMask], 1, 0)
	if err != nil {
		return Example{}, err
	}
	second, err := steps(segmentIDs, lists[segmentIDs][:length], 0, 1)
	if err != nil {
		return Example{}, err
	}
	e := Example{IDs: make([]int32, length), Second: second}
	for i, id := range lists[inputIDs][:length] {
		if id < 0 || id > math.MaxInt32 {
			return Example{}, fmt.Errorf("%d among %q is no token id", id, inputIDs)
		}
		e.IDs[i] = int32(id)
	}
	return e, nil
}

// steps gives the number of leading values first, when all others are then.
func steps(name string, values []int64, first, then int64) (int, error) {
	n := 0
	for n < len(values) && values[n] == first {
		n++
	}
	for i, v := range values[n:] {
		if v != then {
			return 0, fmt.Errorf("%q is %d at place %d, after %d values %d; want only %d there", name, v, n+i, n, first, then)
		}
	}
	return n, nil
}

func names(lists map[string][]int64) string {
	if len(lists) == 0 {
		return "none of integers"
	}
	return strings.Join(slices.Sorted(maps.Keys(lists)), ", ")
}

// features gives the integer lists of a tf.train.Example by name. Other lists are left out.
func features(data []byte) (map[string][]int64, error) {
	lists := map[string][]int64{}
	err := fields(data, func(number protowire.Number, message []byte) error {
		if number != exampleFeatures {
			return nil
		}
		return fields(message, func(number protowire.Number, entry []byte) error {
			if number != featuresEntry {
				return nil
			}
			name, values, err := feature(entry)
			if values != nil {
				lists[name] = values
			}
			return err
		})
	})
	return lists, err
}

// feature reads an entry of the map of features. values is nil where it holds no integers.
func feature(entry []byte) (name string, values []int64, err error) {
	err = fields(entry, func(number protowire.Number, value []byte) error {
		switch number {
		case entryKey:
			name = string(value)
		case entryValue:
			return fields(value, func(number protowire.Number, list []byte) error {
				if number != featureInt64s {
					return nil
				}
				values, err = int64s(list)
				return err
			})
		}
		return nil
	})
	return name, values, err
}

// fields calls visit for each field of a message that holds bytes; others do not occur down to lists.
func fields(message []byte, visit func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return broken(n)
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
				return broken(n)
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return broken(n)
		}
		if err := visit(number, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

// int64s reads the values of an Int64List, packed as TensorFlow writes them or one by one as the format allows.
func int64s(list []byte) ([]int64, error) {
	values := make([]int64, 0, min(len(list), 512))
	for len(list) > 0 {
		number, kind, n := protowire.ConsumeTag(list)
		if n < 0 {
			return nil, broken(n)
		}
		list = list[n:]
		packed := list
		switch {
		case number == int64sValue && kind == protowire.BytesType:
			packed, n = protowire.ConsumeBytes(list)
		default:
			if n = protowire.ConsumeFieldValue(number, kind, list); n >= 0 {
				packed = list[:n]
			}
		}
		if n < 0 {
			return nil, broken(n)
		}
		list = list[n:]
		if number != int64sValue {
			continue
		}
		for len(packed) > 0 {
			v, n := protowire.ConsumeVarint(packed)
			if n < 0 {
				return nil, broken(n)
			}
			values = append(values, int64(v))
			packed = packed[n:]
		}
	}
	return values, nil
}

func broken(code int) error {
	return fmt.Errorf("not a tf.train.Example: %w", protowire.ParseError(code))
}

// AppendData appends the example as the data of a record, padded to length with the id pad. The order of the
// features is fixed, so the same examples give the same bytes.
func (e Example) AppendData(dst []byte, length int, pad int32) []byte {
	value := func(name string, i int) uint64 {
		switch {
		case name == inputIDs && i < len(e.IDs):
			return uint64(e.IDs[i])
		case name == inputIDs:
			return uint64(pad)
		case i < len(e.IDs) && (name == inputMask || i >= e.Second):
			return 1
		}
		return 0
	}
	var all []byte
	for _, name := range []string{inputIDs, inputMask, segmentIDs} {
		var packed []byte
		for i := range max(length, len(e.IDs)) {
			packed = protowire.AppendVarint(packed, value(name, i))
		}
		list := appendMessage(nil, int64sValue, packed)
		entry := appendMessage(appendMessage(nil, entryKey, []byte(name)), entryValue, appendMessage(nil, featureInt64s, list))
		all = appendMessage(all, featuresEntry, entry)
	}
	return appendMessage(dst, exampleFeatures, all)
}

func appendMessage(dst []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), message)
}
