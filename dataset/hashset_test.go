package dataset

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// The set agrees with a map as long as nothing is forgotten, and afterwards knows at least its reach.
func TestHashSet(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	s, want := newHashSet(4<<20), map[uint64]bool{}
	defer s.close()
	var order []uint64
	for s.generations == 0 {
		h := random.Uint64() % 200_000 // some again, 0 among them
		if got := s.add(h); got != (want[h] || h <= 1 && (want[0] || want[1])) && s.generations == 0 {
			t.Fatalf("hash %d: known %v, want %v", h, got, want[h])
		}
		if !want[h] {
			order = append(order, h)
		}
		want[h] = true
		if len(order) == 190_000 { // then all new ones
			break
		}
	}
	for range 3 * s.reach() {
		h := mix64(uint64(len(order)) + 1<<40)
		order = append(order, h)
		if s.add(h) {
			t.Fatalf("new hash %d is known", h)
		}
	}
	if s.generations < 2 {
		t.Fatalf("%d generations after %d hashes of reach %d", s.generations, len(order), s.reach())
	}
	for _, h := range order[len(order)-s.reach():] {
		if !s.young.has(h) && !s.old.has(h) {
			t.Fatalf("one of the latest %d hashes is not known", s.reach())
		}
	}
	if s.most*bytesASlot*2 > 4<<20 || len(s.young.slots) != s.most || len(s.old.slots) != s.most {
		t.Errorf("two generations of %d slots in 4 MiB", s.most)
	}
}

// The share of pairs that are found is that of the formula, at any resemblance.
func TestMinhashFindsResemblance(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	m := newMinhash()
	const pairs, tokens = 300, 400
	for _, changed := range []int{0, 3, 8, 20, 80} {
		found, expected := 0, 0.0
		for range pairs {
			a := make([]int32, tokens)
			for i := range a {
				a[i] = int32(random.IntN(30000))
			}
			b := append([]int32(nil), a...)
			for range changed {
				b[random.IntN(tokens)] = int32(random.IntN(30000))
			}
			s := resemblance(a, b)
			expected += (1 - math.Pow(1-math.Pow(s, bandRows), bands)) / pairs
			first, second := m.bands([]Sentence{{IDs: a}}), m.bands([]Sentence{{IDs: b[:100]}, {IDs: b[100:]}}) // sentences do not matter
			for i := range first {
				if first[i] == second[i] {
					found++
					break
				}
			}
		}
		if got := float64(found) / pairs; math.Abs(got-expected) > 4*math.Sqrt(max(expected*(1-expected), 0.002)/pairs) {
			t.Errorf("%d of %d tokens changed: %.3f found, the formula says %.3f", changed, tokens, got, expected)
		}
	}
}

// resemblance is the shared part of the shingles, counted plainly.
func resemblance(a, b []int32) float64 {
	shingles := func(ids []int32) map[[shingleTokens]int32]bool {
		set := map[[shingleTokens]int32]bool{}
		for i := range len(ids) - shingleTokens + 1 {
			set[[shingleTokens]int32(ids[i:])] = true
		}
		return set
	}
	first, second := shingles(a), shingles(b)
	both := 0
	for s := range first {
		if second[s] {
			both++
		}
	}
	return float64(both) / float64(len(first)+len(second)-both)
}

func TestBuildDropsNearDuplicates(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	var text strings.Builder
	var documents []string
	for range 20 {
		var sentences []string
		for range 12 {
			sentences = append(sentences, prose(random, 20))
		}
		documents = append(documents, strings.Join(sentences, "\n"))
	}
	for _, d := range documents {
		text.WriteString(d + "\n\n")
	}
	for _, d := range documents { // the same with one word more in the last sentence
		text.WriteString(strings.TrimSuffix(d, ".") + " amber.\n\n")
	}
	path := filepath.Join(t.TempDir(), "text.txt")
	writeFile(t, path, text.String())
	for near, want := range map[bool]int64{false: 0, true: 20} {
		m, _, err := buildTest(t, path, func(o *BuildOptions) { o.NearDuplicates = near })
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Report.NearDuplicateDocuments; got != want || m.Report.DuplicateDocuments != 0 {
			t.Errorf("near-duplicates asked for: %v; %d found, want %d", near, got, want)
		}
	}
}

// A build that has more text than its memory holds says so, and still finds what is near.
func TestBuildForgets(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	var text strings.Builder
	for range 9000 {
		line := prose(random, 12)
		text.WriteString(line + "\n" + line + "\n\n")
	}
	path := filepath.Join(t.TempDir(), "text.txt")
	writeFile(t, path, text.String())
	m, _, err := buildTest(t, path, func(o *BuildOptions) { o.DuplicateMemory = 1 })
	if err != nil {
		t.Fatal(err)
	}
	if m.Report.DuplicateSentences < 9000 || !strings.Contains(strings.Join(m.Report.Warnings, "\n"), "--duplicate-memory") {
		t.Errorf("%d of 9000 repeated sentences found, warnings %q", m.Report.DuplicateSentences, m.Report.Warnings)
	}
}

func BenchmarkMinhash(b *testing.B) {
	m, ids := newMinhash(), make([]int32, 1000)
	for i := range ids {
		ids[i] = int32(mix64(uint64(i)) % 30000)
	}
	b.SetBytes(int64(len(ids)))
	for b.Loop() {
		m.bands([]Sentence{{IDs: ids}})
	}
}

func BenchmarkHashSet(b *testing.B) {
	s := newHashSet(DefaultDuplicateMemory)
	defer s.close()
	for i := range b.N {
		s.add(mix64(uint64(i)))
	}
}
