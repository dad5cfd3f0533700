package dataset

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
)

// The sample has its share and does not depend on the order; errors pass.
func TestSampled(t *testing.T) {
	const n = 20_000
	sentences := make([]string, n)
	for i := range sentences {
		sentences[i] = fmt.Sprintf("amber number %d", i)
	}
	broken := errors.New("broken")
	of := func(all []string, share float64) (taken []string) {
		var sentences iter.Seq2[string, error] = func(yield func(string, error) bool) {
			for _, s := range all {
				if !yield(s, nil) {
					return
				}
			}
			yield("", broken)
		}
		failed := false
		for s, err := range sampled(sentences, share) {
			if failed = err != nil; !failed {
				taken = append(taken, s)
			}
		}
		if !failed {
			t.Errorf("share %v: the error is lost", share)
		}
		slices.Sort(taken)
		return taken
	}
	for _, share := range []float64{0.001, 0.3, 1} {
		taken := of(sentences, share)
		expectShare(t, "sentences", float64(len(taken))/n, share, n)
		slices.Reverse(sentences)
		if !slices.Equal(of(sentences, share), taken) {
			t.Errorf("share %v: other sentences in another order", share)
		}
	}
}
