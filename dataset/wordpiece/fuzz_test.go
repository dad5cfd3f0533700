package wordpiece

import (
	"slices"
	"testing"
	"unicode/utf8"
)

// FuzzEncode: ids in range, the same through every way in, and independent of what was encoded before.
func FuzzEncode(f *testing.F) {
	for _, text := range []string{"unwanted running", "CAFÉ[SEP]中字 \xff\xe2\x82", "İ\u0301\u302e\U0001d165 각 [MASK", "\u1fef\u037e\ufb01\x00\u200b"} {
		f.Add(text, "a pair")
	}
	v := mustVocabulary(f, small)
	used := []*Tokenizer{New(v, Options{}), New(v, Options{Cased: true})}
	f.Fuzz(func(t *testing.T, text, other string) {
		for _, tokenizer := range used {
			ids := tokenizer.Encode(text)
			for _, id := range ids {
				if id < 0 || int(id) >= v.Size() {
					t.Fatalf("id %d of %d", id, v.Size())
				}
			}
			prefix := []int32{7, 8}
			if got := tokenizer.AppendEncode(prefix, text); !slices.Equal(got[:2], prefix) || !slices.Equal(got[2:], ids) {
				t.Fatalf("AppendEncode gives %v, Encode %v", got, ids)
			}
			fresh := tokenizer.Clone()
			if got := fresh.Encode(text); !slices.Equal(got, ids) {
				t.Fatalf("an unused tokenizer gives %v, a used one %v", got, ids)
			}
			if (fresh.Replaced() > 0) == utf8.ValidString(text) {
				t.Fatalf("%d replaced", fresh.Replaced())
			}
			pair, segments := tokenizer.EncodePair(text, other, 9)
			if len(pair) > 9 || len(pair) != len(segments) {
				t.Fatalf("pair of %d ids, %d segment ids", len(pair), len(segments))
			}
			if !utf8.ValidString(tokenizer.Decode(ids)) {
				t.Fatal("Decode gives invalid UTF-8")
			}
		}
	})
}

// FuzzParse: a file gives an error or a vocabulary that stands on its own and survives its vocab.txt.
func FuzzParse(f *testing.F) {
	f.Add([]byte("[PAD]\n[UNK]\n[CLS]\r\n[SEP]\n[MASK]\na\n##\n##b\n"), false)
	f.Add([]byte(tokenizerJSON), true)
	f.Fuzz(func(t *testing.T, data []byte, json bool) {
		name := "vocab.txt"
		if json {
			name = "tokenizer.json"
		}
		v, err := Parse(name, data)
		if err != nil {
			return
		}
		again, err := Parse("vocab.txt", v.Text())
		if err != nil || again.Hash() != v.Hash() {
			t.Fatalf("read again from its vocab.txt: %v", err)
		}
		New(v, v.Options()).Encode("ab [SEP] <ent> ##b ü")
	})
}

// FuzzTrie: the longest token at the start of a text, compared with looking at all of them.
func FuzzTrie(f *testing.F) {
	f.Add("abcab", "ab", "abc", "b")
	f.Fuzz(func(t *testing.T, text, a, b, c string) {
		tokens := slices.DeleteFunc([]string{a, b, c, "##" + c}, func(s string) bool { return s == "" })
		slices.Sort(tokens)
		tokens = slices.Compact(tokens)
		trie := newTrie(tokens)
		wantID, wantLength := int32(0), 0
		for id, token := range tokens {
			if len(token) > wantLength && len(token) <= len(text) && text[:len(token)] == token {
				wantID, wantLength = int32(id), len(token)
			}
		}
		id, length := trie.longest(wordStart, []byte(text))
		if length != wantLength || length > 0 && tokens[id] != tokens[wantID] {
			t.Fatalf("%q in %q: %d bytes, want %d", text, tokens, length, wantLength)
		}
	})
}
