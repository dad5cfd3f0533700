package wordpiece

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// small is a vocabulary with the special tokens out of order and in between.
var small = []string{
	"a", "[MASK]", "want", "##want", "##ed", "wa", "un", "runn", "##ing", ",", "[SEP]", "low", "lowest", "##er", "[PAD]", "[",
	"]", "[CLS]", "sep", "cafe", "café", "CAFÉ", "中", "字", "é", "ß", "!", "[UNK]", "##runn", "i", "##0", "σ", "\u302e", "##\u302e", "##\U0001d165", "cls",
}

func mustVocabulary(t testing.TB, tokens []string) *Vocabulary {
	t.Helper()
	v, err := NewVocabulary(tokens)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVocabularyKnowsItsTokens(t *testing.T) {
	v := mustVocabulary(t, small)
	for want, id := range map[string]int32{PadToken: v.PadID(), UnknownToken: v.UnknownID(), ClassToken: v.ClassID(), SepToken: v.SepID(), MaskToken: v.MaskID()} {
		if got := v.Token(id); got != want {
			t.Errorf("id of %s is that of %q", want, got)
		}
	}
	for i, token := range small {
		if id, ok := v.ID(token); !ok || int(id) != i || v.Token(id) != token {
			t.Errorf("token %q: id %d %t, back to %q; want %d", token, id, ok, v.Token(id), i)
		}
		if got, want := v.IsSpecial(int32(i)), slices.Contains(SpecialTokens(), token); got != want {
			t.Errorf("IsSpecial(%q) = %t", token, got)
		}
		if got, want := v.IsContinuation(int32(i)), strings.HasPrefix(token, "##"); got != want {
			t.Errorf("IsContinuation(%q) = %t", token, got)
		}
	}
	if _, ok := v.ID("absent"); ok {
		t.Error("ID finds a token that is not there")
	}
	if v.Token(-1) != UnknownToken || v.Token(int32(v.Size())) != UnknownToken {
		t.Error("Token outside the vocabulary is not [UNK]")
	}
}

func TestVocabularyFileRoundTrip(t *testing.T) {
	v := mustVocabulary(t, small)
	path := filepath.Join(t.TempDir(), "vocab.txt")
	if err := v.Save(path); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(path)
	forms := map[string]string{
		"as saved": string(text), "without the last line end": strings.TrimSuffix(string(text), "\n"),
		"CRLF": strings.ReplaceAll(string(text), "\n", "\r\n"), "BOM": "\ufeff" + string(text),
	}
	for name, form := range forms {
		got, err := Parse("vocab.txt", []byte(form))
		if err != nil || !slices.Equal(got.Tokens(), small) || got.Hash() != v.Hash() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if other := mustVocabulary(t, append(slices.Clone(small), "more")); other.Hash() == v.Hash() || len(v.Hash()) != 64 {
		t.Errorf("hash %s of other tokens is %s", v.Hash(), other.Hash())
	}
	if err := v.Save(filepath.Join(path, "in a file")); fault.KindOf(err) != fault.Storage {
		t.Errorf("Save where it cannot: %v", err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent.txt")); fault.KindOf(err) != fault.Storage {
		t.Errorf("Load of a missing file: %v", err)
	}
}

func TestBadVocabularyFiles(t *testing.T) {
	good := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
	cases := []struct{ name, text, wants string }{
		{"empty", "", "empty"},
		{"no mask", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", "[MASK] is missing"},
		{"duplicate", good + "a\nb\na\n", `line 8: token "a" is already at line 6`},
		{"empty line", good + "a\n\nb\n", "line 7: empty token"},
		{"empty last line", good + "\n", "line 6: empty token"},
		{"invalid UTF-8", good + "a\xffb\n", "line 6: token \"a\\xffb\" is not valid UTF-8"},
		{"NUL", good + "a\x00\n", "line 6"},
		{"text instead", "In the beginning\nIn the beginning\n", "line 2"},
	}
	for _, c := range cases {
		_, err := Parse("some/vocab.txt", []byte(c.text))
		if fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), c.wants) || !strings.Contains(err.Error(), "some/vocab.txt") {
			t.Errorf("%s: error %v, wants %q", c.name, err, c.wants)
		}
	}
}
