package wordpiece

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// sequence yields texts without errors.
func sequence(texts ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, text := range texts {
			if !yield(text, nil) {
				return
			}
		}
	}
}

func train(t testing.TB, o TrainOptions, texts ...string) *Vocabulary {
	t.Helper()
	v, err := Train(context.Background(), sequence(texts...), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The expected lists are worked out by hand: counts of pairs, ties to the lower ids.
func TestTrainByHand(t *testing.T) {
	special := strings.Join(SpecialTokens(), " ") + " "
	cases := []struct {
		name, text string
		options    TrainOptions
		want       string
	}{
		{"most frequent pair first", "ab ab ab cb cb", TrainOptions{Size: 100}, special + "a b c ##b ab cb"},
		{"size is a limit", "ab ab ab cb cb", TrainOptions{Size: 10}, special + "a b c ##b ab"},
		{"minimum frequency", "ab ab ab cb cb", TrainOptions{Size: 100, MinFrequency: 3}, special + "a b c ##b ab"},
		{"once is not enough", "ab", TrainOptions{Size: 100}, special + "a b ##b"},
		// ("##b","##c") 4, then ("a","##bc") 2 before ("d","##bc") 2.
		{"ties go to the lower ids", "abc dbc abc dbc", TrainOptions{Size: 100}, special + "a b c d ##b ##c ##bc abc dbc"},
		// ("##a","##a") stands at two overlapping places; joining it leaves a ##aa ##a.
		{"overlapping pairs", "aaaa aaaa", TrainOptions{Size: 9}, special + "a ##a ##aa aaa"},
		{"lowercased, split, accents stripped", "Àb, ab,AB", TrainOptions{Size: 100}, special + ", a b ##b ab"},
		{"cased", "AB ab ab", TrainOptions{Size: 100, Text: Options{Cased: true}}, special + "A B a b ##B ##b ab"},
		{"alphabet limit", "ab ab ab cb cb", TrainOptions{Size: 100, AlphabetLimit: 2}, special + "a b ##b ab"},
		{"alphabet in the order of frequency when there is no room", "ab ab ab cb cb", TrainOptions{Size: 8}, special + "a b ##b"},
		{"words of special tokens are split", "[SEP] [SEP]", TrainOptions{Size: 100}, special + "[ ] e p s ##e ##p se sep"},
		{"too long to be a word", strings.Repeat("a", 101) + " " + strings.Repeat("é", 101) + " b", TrainOptions{Size: 100}, special + "b"},
	}
	for _, c := range cases {
		if got := strings.Join(train(t, c.options, c.text).Tokens(), " "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// manyTexts is repeatable nonsense with a few frequent and many rare words.
func manyTexts(n int) []string {
	random := rand.New(rand.NewPCG(1, 2))
	syllables := []string{"ta", "ri", "Mo", "kén", "stru", "o", "中", "ing", "ß", "x", "Д", "."}
	texts := make([]string, n)
	for i := range texts {
		var words []string
		for range 30 {
			word := ""
			for range 1 + random.IntN(4) {
				word += syllables[min(random.IntN(len(syllables)), random.IntN(len(syllables)))]
			}
			words = append(words, word)
		}
		texts[i] = strings.Join(words, " ")
	}
	return texts
}

func TestTrainIsDeterministic(t *testing.T) {
	texts := manyTexts(2000)
	want := train(t, TrainOptions{Size: 300, Workers: 1}, texts...)
	if want.Size() != 300 {
		t.Fatalf("%d tokens, want 300", want.Size())
	}
	for _, workers := range []int{1, 2, 5, 0} {
		slices.Reverse(texts)
		if got := train(t, TrainOptions{Size: 300, Workers: workers}, texts...); !slices.Equal(got.Tokens(), want.Tokens()) {
			t.Errorf("%d workers, other order: another vocabulary", workers)
		}
	}
	parts := []*Counter{NewCounter(Options{}), NewCounter(Options{}), NewCounter(Options{})}
	for i, text := range texts {
		parts[i%3].Add(text)
	}
	parts[2].Merge(parts[0])
	parts[2].Merge(parts[1])
	got, err := TrainCounted(context.Background(), parts[2], TrainOptions{Size: 300})
	if err != nil || !slices.Equal(got.Tokens(), want.Tokens()) {
		t.Errorf("counted in parts: another vocabulary, %v", err)
	}
}

// The same algorithm with all counts taken anew before each join.
func TestTrainEqualsCountingAnew(t *testing.T) {
	texts := manyTexts(60)
	for _, size := range []int{40, 90, 400} {
		got := train(t, TrainOptions{Size: size}, texts...).Tokens()
		if want := trainAnew(texts, size); !slices.Equal(got, want) {
			t.Errorf("size %d:\n got %q\nwant %q", size, got, want)
		}
	}
}

func trainAnew(texts []string, size int) []string {
	counter := NewCounter(Options{})
	for _, text := range texts {
		counter.Add(text)
	}
	words := counter.Words()
	tokens := append(SpecialTokens(), alphabet(words, 1000, size-5)...)
	split := map[string][]int{}
	for word := range words {
		for i, r := range word {
			token := string(r)
			if i > 0 {
				token = "##" + token
			}
			split[word] = append(split[word], slices.Index(tokens, token))
		}
	}
	for len(tokens) < size {
		counts := map[[2]int]int64{}
		for word, pieces := range split {
			for i := 1; i < len(pieces); i++ {
				counts[[2]int{pieces[i-1], pieces[i]}] += words[word]
			}
		}
		best, most := [2]int{}, int64(1)
		for p, count := range counts {
			if count > most || count == most && count > 1 && slices.Compare(p[:], best[:]) < 0 {
				best, most = p, count
			}
		}
		if most < 2 {
			break
		}
		token := tokens[best[0]] + strings.TrimPrefix(tokens[best[1]], "##")
		id := slices.Index(tokens, token)
		if id < 0 {
			id = len(tokens)
			tokens = append(tokens, token)
		}
		for word, pieces := range split {
			for i := 1; i < len(pieces); i++ {
				if pieces[i-1] == best[0] && pieces[i] == best[1] {
					pieces = append(append(slices.Clone(pieces[:i-1]), id), pieces[i+1:]...)
				}
			}
			split[word] = pieces
		}
	}
	return tokens
}

func TestTrainedVocabularyEncodesItsText(t *testing.T) {
	texts := manyTexts(500)
	v := train(t, TrainOptions{Size: 200}, texts...)
	if !slices.Equal(v.Tokens()[:5], SpecialTokens()) {
		t.Errorf("begins with %q", v.Tokens()[:5])
	}
	tokenizer := New(v, v.Options())
	for _, text := range texts {
		ids := tokenizer.Encode(text)
		if slices.Contains(ids, v.UnknownID()) {
			t.Fatalf("%q has unknown words", text)
		}
		letters := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got, want := letters(tokenizer.Decode(ids)), letters(strings.ReplaceAll(strings.ToLower(text), "é", "e")); got != want {
			t.Fatalf("%q decodes to %q", text, tokenizer.Decode(ids))
		}
	}
}

func TestTrainLongSegmentsCountAsShortOnes(t *testing.T) {
	long := strings.Repeat("中文字", 50)
	got := train(t, TrainOptions{Size: 100}, long+" "+strings.Repeat("b", 70)+" "+strings.Repeat("b", 70)).Tokens()
	want := train(t, TrainOptions{Size: 100}, strings.Join(strings.Split(long, ""), " ")+" "+strings.Repeat("b", 70)+" "+strings.Repeat("b", 70)).Tokens()
	if !slices.Equal(got, want) || !slices.Contains(got, "中") || !slices.Contains(got, "##bb") {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTrainErrors(t *testing.T) {
	broken := errors.New("broken.gz: unexpected end")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	cases := []struct {
		name  string
		ctx   context.Context
		texts iter.Seq2[string, error]
		size  int
		wants error
		kind  fault.Kind
	}{
		{"no text", t.Context(), sequence(), 100, nil, fault.Data},
		{"no words", t.Context(), sequence(" \n", "\x00"), 100, nil, fault.Data},
		{"no room", t.Context(), sequence("a b"), 5, nil, fault.Usage},
		{"broken corpus", t.Context(), func(yield func(string, error) bool) { _ = yield("a", nil) && yield("", broken) }, 100, broken, fault.Internal},
		{"cancelled", cancelled, sequence("a a"), 100, context.Canceled, fault.Internal},
	}
	for _, c := range cases {
		v, err := Train(c.ctx, c.texts, TrainOptions{Size: c.size})
		if err == nil || v != nil || fault.KindOf(err) != c.kind || c.wants != nil && !errors.Is(err, c.wants) {
			t.Errorf("%s: %v, %v", c.name, v, err)
		}
	}
	if _, err := Train(t.Context(), sequence("a"), TrainOptions{Size: 10, Workers: -1}); fault.KindOf(err) != fault.Usage {
		t.Errorf("negative workers: %v", err)
	}
}

func TestQueueTakesTheMostFrequentFirst(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var q queue
	var want []candidate
	for range 500 {
		c := candidate{int64(random.IntN(20)), &pairCount{pair: pair{int32(random.IntN(9)), int32(random.IntN(9))}}}
		q.push(c)
		want = append(want, c)
	}
	slices.SortFunc(want, func(a, b candidate) int {
		if a.before(b) {
			return -1
		} else if b.before(a) {
			return 1
		}
		return 0
	})
	for i, w := range want {
		if got := q.pop(); got.count != w.count || got.pair.pair != w.pair.pair {
			t.Fatalf("place %d: %v, want %v", i, fmt.Sprint(got.count, got.pair.pair), fmt.Sprint(w.count, w.pair.pair))
		}
	}
}
