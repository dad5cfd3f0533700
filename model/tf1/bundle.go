// Package tf1 reads ELECTRA models out of the checkpoints that google-research/electra, which is written in
// TensorFlow 1, publishes and saves: tensor bundles of an index (a LevelDB table of protocol buffers) and
// data files. The reader is strict: sums are checked, entries must not overlap, and nothing is allocated for
// bytes that are not there.
package tf1

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"slices"

	"elektron/internal/fault"
)

// bundle is an open checkpoint.
type bundle struct {
	prefix    string // the names of its files begin with it
	variables map[string]variable
	shards    []*os.File
}

func indexFile(prefix string) string { return prefix + ".index" }

func shardFile(prefix string, shard, shards int) string {
	return fmt.Sprintf("%s.data-%05d-of-%05d", prefix, shard, shards)
}

// openBundle reads and checks the index and opens the data files. Errors have kind fault.Data, or
// fault.Storage where a file cannot be read.
func openBundle(prefix string) (*bundle, error) {
	path := indexFile(prefix)
	if info, err := os.Stat(path); err != nil {
		return nil, fault.Wrap(fault.Storage, err, "tf1")
	} else if !info.Mode().IsRegular() { // a pipe would block for ever
		return nil, fault.New(fault.Data, "tf1: %s: not a regular file", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "tf1")
	}
	h, list, err := parseIndex(data)
	if err != nil {
		return nil, fault.New(fault.Data, "tf1: %s: %w", path, err)
	}
	b := &bundle{prefix: prefix, variables: map[string]variable{}}
	for _, v := range list {
		b.variables[v.name] = v
	}
	if err := b.openShards(int(h.shards), list); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// parseIndex reads an index file: the header, then the variables by name.
func parseIndex(data []byte) (h header, list []variable, err error) {
	first := true
	err = readTable(data, func(key, value []byte) (err error) {
		if first {
			if first = false; len(key) > 0 {
				return fmt.Errorf("the first key is %.100q, expected an empty one with the header", key)
			}
			h, err = parseHeader(value)
			return err
		}
		v, err := parseVariable(string(key), value)
		list = append(list, v)
		return err
	})
	if err == nil && first {
		err = fmt.Errorf("it is empty")
	}
	return h, list, err
}

// openShards opens the data files and checks that every variable has bytes of its own in one.
func (b *bundle) openShards(shards int, list []variable) error {
	order := slices.SortedFunc(slices.Values(list), func(x, y variable) int {
		return cmp.Or(cmp.Compare(x.shard, y.shard), cmp.Compare(x.offset, y.offset))
	})
	for shard := range shards {
		path := shardFile(b.prefix, shard, shards)
		info, err := os.Stat(path)
		if err != nil {
			return fault.New(fault.Data, "tf1: %s, one of the checkpoint's %d data files, cannot be read (%w); copy all files of the checkpoint", path, shards, err)
		}
		if !info.Mode().IsRegular() {
			return fault.New(fault.Data, "tf1: %s: not a regular file", path)
		}
		end, last := uint64(0), ""
		for len(order) > 0 && order[0].shard == uint64(shard) {
			v := order[0]
			order = order[1:]
			switch n := uint64(info.Size()); {
			case v.offset < end:
				return fault.New(fault.Data, "tf1: %s: variable %q begins at byte %d, inside %q, which ends at %d", path, v.name, v.offset, last, end)
			case v.offset > n || v.size > n-v.offset:
				return fault.New(fault.Data, "tf1: %s: variable %q would have %d bytes from byte %d on, but the file has %d; it is truncated", path, v.name, v.size, v.offset, n)
			}
			end, last = v.offset+v.size, v.name
		}
		file, err := os.Open(path)
		if err != nil {
			return fault.Wrap(fault.Storage, err, "tf1")
		}
		b.shards = append(b.shards, file)
	}
	if len(order) > 0 {
		return fault.New(fault.Data, "tf1: %s: variable %q is in data file %d, and there are %d", indexFile(b.prefix), order[0].name, order[0].shard, shards)
	}
	return nil
}

func (b *bundle) close() {
	for _, file := range b.shards {
		file.Close()
	}
}

// read gives the bytes of a variable, which the index has, and checks their sum.
func (b *bundle) read(v variable) ([]byte, error) {
	file := b.shards[v.shard]
	data := make([]byte, v.size)
	if _, err := file.ReadAt(data, int64(v.offset)); err != nil {
		return nil, fault.Wrap(fault.Storage, err, "tf1: %s: variable %s", file.Name(), v.name)
	}
	if sum := masked(crc32.Checksum(data, castagnoli)); sum != v.crc {
		return nil, fault.New(fault.Data, "tf1: %s: variable %s has checksum %08x, expected %08x; the file is damaged: fetch it again", file.Name(), v.name, sum, v.crc)
	}
	return data, nil
}

// float32s reads a variable, row-major. Another type is an error of kind fault.Data.
func (b *bundle) float32s(v variable) ([]float32, error) {
	if v.dtype != float32Type {
		return nil, fault.New(fault.Data, "tf1: %s: variable %s is %s, expected %s", indexFile(b.prefix), v.name, v.dtype, float32Type)
	}
	data, err := b.read(v)
	if err != nil {
		return nil, err
	}
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values, nil
}

// int64 reads a variable of one number.
func (b *bundle) int64(v variable) (int64, error) {
	if v.dtype != int64Type || v.size != 8 {
		return 0, fault.New(fault.Data, "tf1: %s: variable %s is %s of shape %v, expected one %s", indexFile(b.prefix), v.name, v.dtype, v.shape, int64Type)
	}
	data, err := b.read(v)
	if err != nil {
		return 0, err
	}
	return int64(binary.LittleEndian.Uint64(data)), nil
}
