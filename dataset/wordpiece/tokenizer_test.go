package wordpiece

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestEncode(t *testing.T) {
	uncased, cased := Options{}, Options{Cased: true}
	cases := []struct {
		name, text string
		options    Options
		want       string // tokens
	}{
		{"nothing", "", uncased, ""},
		{"only spaces", " \t\r\n ", uncased, ""},
		{"pieces", "UNwanted running", uncased, "un ##want ##ed runn ##ing"},
		{"longest first", "lower lowest", uncased, "low ##er lowest"},
		{"punctuation", "want,,low!", uncased, "want , , low !"},
		{"unknown punctuation", "want.", uncased, "want [UNK]"},
		{"unknown word", "unwanting wantx", uncased, "un ##want ##ing [UNK]"},
		{"case kept", "UNwanted want", cased, "[UNK] want"},
		{"accents stripped", "CAFÉ cafe\u0301 café", uncased, "cafe cafe cafe"},
		{"accents kept", "café CAFÉ", cased, "café CAFÉ"},
		{"accents kept, lowercased", "CAFÉ", Options{Accents: KeepAccents}, "café"},
		{"accents stripped, cased", "café", Options{Cased: true, Accents: StripAccents}, "cafe"},
		{"ideographs", "a中字a", uncased, "a 中 字 a"},
		{"sharp s stays", "ß", uncased, "ß"},
		{"dotted capital I", "İ", uncased, "i"},
		{"final sigma is a sigma", "Σ ς", uncased, "σ [UNK]"},
		{"control and format characters", "w\x00a\u200bn\u00adt \ufffd \x7f", uncased, "want"},
		{"vertical tab is no space", "wa\vnt", uncased, "want"},
		{"Unicode spaces", "want\u00a0low\u3000a\u2028a", uncased, "want low a a"},
		{"next line U+0085 is dropped", "wa\u0085nt", uncased, "want"},
		{"Greek question mark is a semicolon", "a\u037ea", uncased, "a [UNK] a"},
		{"a mark that is no accent", "\u302e\u302e", uncased, "\u302e ##\u302e"},
		{"special tokens in the text", "a[SEP]want [MASK]", uncased, "a [SEP] want [MASK]"},
		{"special tokens by exact case", "[sep] [Cls]", uncased, "[ sep ] [ cls ]"},
		{"broken special tokens", "[[SEP]] [SE\u200bP]", uncased, "[ [SEP] ] [ sep ]"},
		{"a continuation's text is no continuation", "##ing", cased, "[UNK] [UNK] [UNK]"},
		{"hundred characters", "i" + strings.Repeat("0", 99), uncased, "i" + strings.Repeat(" ##0", 99)},
		{"hundred and one", "i" + strings.Repeat("0", 100), uncased, "[UNK]"},
		{"hundred and one, normalised", "é" + strings.Repeat("é", 100), uncased, "[UNK]"},
		{"hundred once accents are gone", "I\u0301" + strings.Repeat("0\u0301", 99), uncased, "i" + strings.Repeat(" ##0", 99)},
	}
	v := mustVocabulary(t, small)
	for _, c := range cases {
		tokenizer := New(v, c.options)
		for _, pass := range []string{"first", "from the cache"} {
			if got := display(tokenizer, tokenizer.Encode(c.text)); got != c.want {
				t.Errorf("%s, %s: %q gives %s, want %s", c.name, pass, c.text, got, c.want)
			}
		}
	}
}

func display(t *Tokenizer, ids []int32) string {
	tokens := make([]string, len(ids))
	for i, id := range ids {
		tokens[i] = t.Vocabulary().Token(id)
	}
	return strings.Join(tokens, " ")
}

// The combining classes are 216 for U+1D165 and 224 for U+302E: NFD puts the first before the second.
func TestMarksComeInCanonicalOrder(t *testing.T) {
	tokenizer := New(mustVocabulary(t, append(slices.Clone(small), "0", "##\u302e\U0001d165", "##\U0001d165\u302e")), Options{})
	for text, want := range map[string]string{
		"0\U0001d165\u302e":       "0 ##\U0001d165\u302e",
		"0\u302e\U0001d165":       "0 ##\U0001d165\u302e",
		"0\u302e\u0301\U0001d165": "0 ##\U0001d165\u302e", // a stripped accent in between, of class 230
		"0\u302e\u034f\U0001d165": "0 ##\u302e\U0001d165", // the grapheme joiner has class 0: no sorting across
	} {
		if got := display(tokenizer, tokenizer.Encode(text)); got != want {
			t.Errorf("%+q gives %+q, want %+q", text, got, want)
		}
	}
}

func TestInvalidUTF8IsDroppedAndCounted(t *testing.T) {
	cases := []struct {
		name, text, want string
		replaced         int64
	}{
		{"valid", "want \ufffd", "want", 0},
		{"bytes of no sequence", "wa\xff\xfent", "want", 2},
		{"sequence cut off", "want\xe4\xb8", "want", 1},
		{"cut off by a letter", "wa\xf0\x9f\x98nt", "want", 1},
		{"surrogate", "\xed\xa0\x80want", "want", 3},
		{"overlong", "\xc0\xafwant\xe0\x80\xaf", "want", 5},
		{"above Unicode", "want\xf4\x90\x80\x80", "want", 4},
		{"in a special token", "[SE\xffP]", "[ sep ]", 1},
	}
	v := mustVocabulary(t, small)
	for _, c := range cases {
		tokenizer := New(v, Options{})
		for pass := int64(1); pass <= 2; pass++ {
			got := display(tokenizer, tokenizer.Encode(c.text))
			if got != c.want || tokenizer.Replaced() != pass*c.replaced {
				t.Errorf("%s: %q gives %q with %d replaced after %d times, want %q with %d a time", c.name, c.text, got, tokenizer.Replaced(), pass, c.want, c.replaced)
			}
		}
		if tokenizer.Clone().Replaced() != 0 {
			t.Errorf("%s: a clone begins with a count", c.name)
		}
	}
}

// Far more segments than the cache holds, each three times, of every length that it takes and beyond.
func TestCacheNeverChangesIDs(t *testing.T) {
	v := mustVocabulary(t, append(slices.Clone(small), "b", "##a", "##b"))
	tokenizer := New(v, Options{})
	for range 3 {
		for i := range uint32(60000) {
			segment := []byte("á")
			for j := range i % 30 {
				segment = append(segment, 'a'+byte((i*2654435761)>>j)&1)
			}
			want, _ := tokenizer.appendUncached(nil, string(segment))
			if got := tokenizer.Encode(string(segment)); !slices.Equal(got, want) {
				t.Fatalf("%s: %v from the cache, %v without", segment, got, want)
			}
		}
	}
}

func TestCacheKeyHoldsAllBytes(t *testing.T) {
	text := "abcdefghijklmnopqrstuvwxyz"[:cacheKeySize]
	for n := 1; n <= cacheKeySize; n++ {
		key := cacheKey(text[:n])
		for i := range cacheKeySize {
			want := byte(0)
			if i < n {
				want = text[i]
			}
			if got := byte(key[i/8] >> (8 * (i % 8))); got != want {
				t.Errorf("byte %d of the key of %q is %q, want %q", i, text[:n], got, want)
			}
		}
	}
}

func TestClonesWorkAtOnce(t *testing.T) {
	tokenizer := New(mustVocabulary(t, small), Options{})
	want := tokenizer.Encode("unwanted café running 中字 lower!")
	var group sync.WaitGroup
	for range 4 {
		clone := tokenizer.Clone()
		group.Go(func() {
			for range 100 {
				if got := clone.Encode("unwanted café running 中字 lower!"); !slices.Equal(got, want) {
					t.Errorf("a clone gives %v, want %v", got, want)
				}
			}
		})
	}
	group.Wait()
}

func TestAppendEncodeDoesNotAllocate(t *testing.T) {
	tokenizer := New(mustVocabulary(t, small), Options{})
	text := strings.Repeat("unwanted café 각 Ǖ a\xffb running-lower [SEP] averyveryverylongwordthatisnotcached ", 20)
	ids := make([]int32, 0, 4096)
	if n := testing.AllocsPerRun(5, func() { ids = tokenizer.AppendEncode(ids[:0], text) }); n > 0 {
		t.Errorf("%v allocations for %d ids", n, len(ids))
	}
}

func TestTruncatePair(t *testing.T) {
	cases := []struct{ a, b, room, wantA, wantB int }{
		{3, 4, 7, 3, 4}, {3, 4, 100, 3, 4},
		{3, 8, 9, 3, 6}, {8, 3, 9, 6, 3},
		{8, 8, 9, 4, 5}, {9, 8, 9, 5, 4}, {8, 9, 9, 4, 5},
		{8, 8, 8, 4, 4}, {5, 0, 3, 3, 0}, {0, 5, 3, 0, 3},
		{5, 5, 0, 0, 0}, {5, 5, -2, 0, 0}, {1, 9, 1, 0, 1}, {9, 1, 1, 1, 0},
	}
	for _, c := range cases {
		a, b := TruncatePair(make([]int32, c.a), make([]int32, c.b), c.room)
		if len(a) != c.wantA || len(b) != c.wantB {
			t.Errorf("%d and %d to %d: %d and %d, want %d and %d", c.a, c.b, c.room, len(a), len(b), c.wantA, c.wantB)
		}
	}
}

func TestEncodeSingleAndPair(t *testing.T) {
	tokenizer := New(mustVocabulary(t, small), Options{})
	ids, segments := tokenizer.EncodePair("running lower", "a, want", 8)
	if got, want := display(tokenizer, ids), "[CLS] runn ##ing low [SEP] a , [SEP]"; got != want {
		t.Errorf("pair: %s, want %s", got, want)
	}
	if want := []int32{0, 0, 0, 0, 0, 1, 1, 1}; !slices.Equal(segments, want) {
		t.Errorf("pair: segments %v, want %v", segments, want)
	}
	ids, segments = tokenizer.EncodeSingle("running lower", 5)
	if got, want := display(tokenizer, ids), "[CLS] runn ##ing low [SEP]"; got != want || !slices.Equal(segments, make([]int32, 5)) {
		t.Errorf("single: %s %v, want %s", got, segments, want)
	}
}

func TestDecode(t *testing.T) {
	tokenizer := New(mustVocabulary(t, small), Options{})
	for text, want := range map[string]string{
		"":                       "",
		"Unwanted, running LOW!": "unwanted, running low!",
		"[CLS] a 中字 [SEP]":       "[CLS] a 中 字 [SEP]",
	} {
		if got := tokenizer.Decode(tokenizer.Encode(text)); got != want {
			t.Errorf("%q decodes to %q, want %q", text, got, want)
		}
	}
}
