package trainer

import (
	"testing"

	"elektron/dataset"
	"elektron/model"
)

// TestOneHash proves that host and graph draw from the same mixing function: the two packages do not know
// each other and hold it twice.
func TestOneHash(t *testing.T) {
	for x := uint32(0); x < 1<<20; x++ {
		if y := x * 0x9e3779b1; dataset.Mix32(y) != model.Mix32(y) {
			t.Fatalf("Mix32(%#x): %#x in dataset, %#x in model", y, dataset.Mix32(y), model.Mix32(y))
		}
	}
}
