package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// bytesOf gives the bytes of a shard.
func bytesOf(t testing.TB, config Config, docs [][][]int32) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a"+Extension)
	write(t, path, config, docs)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// check opens a shard of these bytes, as a file, and touches all of it.
func check(t testing.TB, path string, data []byte) error {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Verify(t.Context())
}

// TestEveryFlippedBitIsDetected flips each bit of each byte of small shards, padding included.
func TestEveryFlippedBitIsDetected(t *testing.T) {
	for name, config := range map[string]Config{"narrow": narrow, "wide": wide} {
		t.Run(name, func(t *testing.T) {
			data := bytesOf(t, config, documents(7, 100))
			for i := range data {
				for bit := range 8 {
					data[i] ^= 1 << bit
					if err := parseAndVerify(t, data); fault.KindOf(err) != fault.Data {
						t.Fatalf("byte %d of %d, bit %d: error %v", i, len(data), bit, err)
					}
					data[i] ^= 1 << bit
				}
			}
			if err := parseAndVerify(t, data); err != nil {
				t.Fatalf("the shard itself: %v", err)
			}
		})
	}
}

func parseAndVerify(t testing.TB, data []byte) error {
	r := &Reader{path: "a.shard"}
	if err := r.parse(data); err != nil {
		return err
	}
	return r.Verify(t.Context())
}

// TestDamageIsNamed: which shard, which block and which byte.
func TestDamageIsNamed(t *testing.T) {
	docs := [][][]int32{{make([]int32, 2*blockSize)}} // 4 blocks
	sound := bytesOf(t, narrow, docs)
	size := len(sound)
	cases := []struct {
		name   string
		damage func([]byte) []byte
		want   string
	}{
		{"first block", func(b []byte) []byte { b[headerSize] ^= 1; return b }, "block 0 at byte 64: CRC32C mismatch"},
		{"last block", func(b []byte) []byte { b[headerSize+4*blockSize-1] ^= 128; return b }, "block 3 at byte 196672: CRC32C mismatch"},
		{"header", func(b []byte) []byte { b[30] ^= 1; return b }, "header, bytes 0 to 64"},
		{"index", func(b []byte) []byte { b[size-trailerSize-1] ^= 1; return b }, "index, bytes 262208 to"},
		{"counts", func(b []byte) []byte { b[size-trailerSize] ^= 1; return b }, fmt.Sprintf("trailer, byte %d", size-trailerSize)},
		{"version", func(b []byte) []byte { b[8] = 2; return b }, "format version 2 at byte 8, this program reads 1"},
		{"magic", func(b []byte) []byte { b[0] = 'X'; return b }, "not a token shard"},
		{"a byte short", func(b []byte) []byte { return b[:size-1] }, "no index at its end"},
		{"half", func(b []byte) []byte { return b[:size/2] }, "no index at its end"},
		{"a byte too many", func(b []byte) []byte { return append(b, 0) }, "no index at its end"},
		{"a piece missing", func(b []byte) []byte { return append(b[:1000], b[2000:]...) }, "counts do not agree"},
		{"header only", func(b []byte) []byte { return b[:headerSize] }, "not a complete token shard (64 bytes)"},
		{"empty", func(b []byte) []byte { return nil }, "not a complete token shard (0 bytes)"},
		{"text", func(b []byte) []byte { return []byte(strings.Repeat("a text file ", 99)) }, "not a token shard"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "00007"+Extension)
			err := check(t, path, c.damage(append([]byte(nil), sound...)))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("error %v, want one with %q and the path", err, c.want)
			}
			if fault.ExitCode(err) != 65 {
				t.Errorf("exit code %d", fault.ExitCode(err))
			}
		})
	}
}

// TestForgedShards have sound CRCs over impossible values, as a hostile file would.
func TestForgedShards(t *testing.T) {
	sound := bytesOf(t, narrow, [][][]int32{{{1, 2, 3}, {4}}, {{5, 6}}})
	offset := int(parseTrailer(sound[len(sound)-trailerSize:]).offset)
	lengths := offset + 3*documentSize
	cases := []struct {
		name string
		at   int // byte of the shard
		put  uint64
		size int // bytes of put
		want string
	}{
		{"first document does not begin at 0", offset, 1, 8, "document 0"},
		{"documents out of order", offset + documentSize, 7, 8, "document 1"},
		{"document without a sentence", offset + documentSize + 8, 0, 8, "document 0: impossible number of sentences"},
		{"document of too many sentences", offset + documentSize + 8, 1 << 60, 8, "document 0: impossible number of sentences"},
		{"sentence without a token", lengths, 0, 4, "sentence 0: impossible length 0"},
		{"sentence of too many tokens", lengths, 1 << 31, 4, "sentence 0: impossible length"},
		{"lengths that do not add up", lengths, 2, 4, "document 1: does not begin"},
		{"last length", lengths + 8, 3, 4, "document 2: does not begin"},
		{"fewer documents", len(sound) - trailerSize + 16, 1, 8, "counts do not agree"},
		{"very many tokens", len(sound) - trailerSize, 1 << 63, 8, "counts do not agree"},
		{"sum that overflows", len(sound) - trailerSize + 8, 1<<62 + 3, 8, "counts do not agree"},
		{"id outside the vocabulary", headerSize, 30522, 2, "token id 30522 outside the vocabulary of 30522"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			data := append([]byte(nil), sound...)
			var value [8]byte
			binary.LittleEndian.PutUint64(value[:], c.put)
			copy(data[c.at:c.at+c.size], value[:])
			seal(data, offset)
			err := parseAndVerify(t, data)
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Data {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// seal makes the CRCs of block 0 and of the index agree with the bytes.
func seal(data []byte, offset int) {
	tokens := data[headerSize : headerSize+12]
	crcs := data[len(data)-trailerSize-4:]
	binary.LittleEndian.PutUint32(crcs, crc32.Checksum(tokens, castagnoli))
	end := len(data) - 12
	binary.LittleEndian.PutUint32(data[end:], crc32.Checksum(data[offset:end], castagnoli))
}

// TestCutWhileMapped: a file that shrinks under the reader is an error, not a crash.
func TestCutWhileMapped(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a memory map and a file system that lets mapped files shrink")
	}
	path := filepath.Join(t.TempDir(), "a"+Extension)
	write(t, path, narrow, [][][]int32{{make([]int32, 8*blockSize)}})
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(path, blockSize); err != nil {
		t.Fatal(err)
	}
	_, err = r.AppendTokens(nil, 7*blockSize, 10)
	if fault.KindOf(err) != fault.Storage || !strings.Contains(err.Error(), "cut while in use") {
		t.Errorf("error %v", err)
	}
}

func TestOpenWhatIsNoShard(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "missing.shard")); !errors.Is(err, os.ErrNotExist) || fault.KindOf(err) != fault.Storage {
		t.Errorf("missing: %v", err)
	}
	if _, err := Open(t.TempDir()); fault.KindOf(err) != fault.Data {
		t.Errorf("folder: %v", err)
	}
}

// FuzzOpen: whatever the bytes, an error or a shard all of whose parts can be read.
func FuzzOpen(f *testing.F) {
	f.Add(bytesOf(f, narrow, documents(5, 100)))
	f.Add(bytesOf(f, wide, documents(2, 70000)))
	f.Add(bytesOf(f, narrow, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > headerSize+trailerSize { // let mutations get past the CRCs
			fixed := append([]byte(nil), data...)
			binary.LittleEndian.PutUint32(fixed[headerSize-4:], crc32.Checksum(fixed[:headerSize-4], castagnoli))
			end := len(fixed) - 12
			if offset := parseTrailer(fixed[len(fixed)-trailerSize:]).offset; offset < uint64(end) {
				binary.LittleEndian.PutUint32(fixed[end:], crc32.Checksum(fixed[offset:end], castagnoli))
			}
			touch(t, fixed)
		}
		touch(t, data)
	})
}

func touch(t *testing.T, data []byte) {
	r := &Reader{path: "a.shard"}
	if err := r.parse(data); err != nil {
		if fault.KindOf(err) != fault.Data {
			t.Errorf("kind %v of %v", fault.KindOf(err), err)
		}
		return
	}
	if r.Verify(t.Context()) == nil {
		read(t, r)
	}
}
