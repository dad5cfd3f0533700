package wordpiece

// A segment is what stands between ASCII spaces and punctuation. Plain ASCII makes one word of it, other
// text perhaps several or none. No normalisation looks across such a border, so what becomes of a segment depends
// on nothing else: it may be cached and counted as it stands.

// byteKind is what a byte is to the split into segments. The order matters: up to otherByte a segment goes on.
type byteKind uint8

const (
	plainByte   byteKind = iota // ASCII letter or digit
	otherByte                   // ASCII control, or part of a code point above ASCII
	spaceByte                   // a space, tab or line end
	punctByte                   // ASCII punctuation
	literalByte                 // ASCII punctuation that may begin a literal token such as [SEP]
)

var byteKinds = newByteKinds()

func newByteKinds() (kinds [256]byteKind) {
	for b := range kinds {
		kinds[b] = otherByte
		if b >= 0x80 {
			continue
		}
		switch searchClass(rune(b)) & classMask {
		case letter:
			kinds[b] = plainByte
		case space:
			kinds[b] = spaceByte
		case punct:
			kinds[b] = punctByte
		}
	}
	return kinds
}

// segmentLength returns the length of the segment that text begins with, and whether all of it is plain ASCII.
func segmentLength(text string) (length int, plain bool) {
	kinds := plainByte
	for length < len(text) && byteKinds[text[length]] <= otherByte {
		kinds |= byteKinds[text[length]]
		length++
	}
	return length, kinds == plainByte
}
