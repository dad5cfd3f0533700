package checkpoint

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is a CRC32C; in JSON it is eight lower-case hexadecimal digits.
type checksum uint32

func (c checksum) String() string { return fmt.Sprintf("%08x", uint32(c)) }

// MarshalJSON writes the digits as a JSON string.
func (c checksum) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// UnmarshalJSON accepts exactly what MarshalJSON writes.
func (c *checksum) UnmarshalJSON(text []byte) error {
	var value uint32
	if _, err := fmt.Sscanf(string(text), `"%08x"`, &value); err != nil || `"`+checksum(value).String()+`"` != string(text) {
		return fmt.Errorf("a CRC32C is eight lower-case hexadecimal digits, not %.40q", text)
	}
	*c = checksum(value)
	return nil
}

// extend returns the checksum of a text followed by bytes.
func (c checksum) extend(bytes []byte) checksum {
	return checksum(crc32.Update(uint32(c), castagnoli, bytes))
}

// join returns the checksum of a text (c) followed by a second text of n bytes whose checksum is d. A CRC is
// a remainder of polynomials over GF(2), so c only has to be multiplied by x^(8n). It lets tensors be
// summed in parallel and still gives the sum of the whole file.
func (c checksum) join(d checksum, n int64) checksum {
	power, square := uint32(1)<<31, uint32(1)<<(31-8) // x^0 and x^8; the highest bit is the lowest power
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			power = multiply(power, square)
		}
		square = multiply(square, square)
	}
	return checksum(multiply(power, uint32(c))) ^ d
}

// multiply is the product of two polynomials modulo Castagnoli's.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a>>31 == 1 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry == 1 {
			b ^= crc32.Castagnoli
		}
	}
	return product
}

var zeros [alignment]byte

// fileChecksum is the checksum of the whole data file: the tensors with the zero bytes between them.
func fileChecksum(entries []TensorEntry) (sum checksum) {
	var end int64
	for _, e := range entries {
		sum = sum.extend(zeros[:e.Offset-end]).join(e.CRC32C, e.Size)
		end = e.Offset + e.Size
	}
	return sum
}
