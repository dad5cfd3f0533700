package wordpiece

import (
	"slices"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// tokenizerJSON is a file as HF writes it, shortened.
const tokenizerJSON = `{
  "version": "1.0",
  "added_tokens": [
    {"id": 1, "content": "[PAD]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 8, "content": "<ent>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false}
  ],
  "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
  "pre_tokenizer": {"type": "BertPreTokenizer"},
  "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
    "vocab": {
      "[UNK]": 0,
      "[PAD]": 1,
      "[CLS]": 4,
      "[SEP]": 3,
      "[MASK]": 2,
      "a": 5,
      "##b": 6,
      "<": 7
    }
  }
}`

func TestTokenizerJSON(t *testing.T) {
	v, err := Parse("tokenizer.json", []byte(tokenizerJSON))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"[UNK]", "[PAD]", "[MASK]", "[SEP]", "[CLS]", "a", "##b", "<", "<ent>"}; !slices.Equal(v.Tokens(), want) {
		t.Errorf("tokens %q, want %q", v.Tokens(), want)
	}
	if got, want := New(v, v.Options()).Encode("AB<ent>a<en[CLS]"), []int32{5, 6, 8, 5, 7, 0, 4}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if v.IsSpecial(8) || !v.IsSpecial(1) {
		t.Error("special is not what the file says")
	}
}

func TestTokenizerJSONOptions(t *testing.T) {
	cases := []struct {
		strip, lowercase string
		want             Options
	}{
		{"null", "true", Options{}},
		{"null", "false", Options{Cased: true}},
		{"false", "true", Options{Accents: KeepAccents}},
		{"true", "false", Options{Cased: true, Accents: StripAccents}},
	}
	for _, c := range cases {
		text := strings.Replace(tokenizerJSON, `"strip_accents": null, "lowercase": true`, `"strip_accents": `+c.strip+`, "lowercase": `+c.lowercase, 1)
		v, err := Parse("tokenizer.json", []byte(text))
		if err != nil || v.Options() != c.want {
			t.Errorf("strip_accents %s, lowercase %s: %+v, %v; want %+v", c.strip, c.lowercase, v, err, c.want)
		}
	}
}

func TestBadTokenizerJSON(t *testing.T) {
	cases := []struct{ name, from, to, wants string }{
		{"id left out", `"##b": 6,`, "", `"<ent>" has id 8`},
		{"no JSON", `"version": "1.0",`, `"version" "1.0",`, "line 2"},
		{"invalid UTF-8", `"a": 5`, "\"\xff\": 5", "line 16"},
		{"BPE", `"type": "WordPiece"`, `"type": "BPE"`, `"BPE"`},
		{"other prefix", `"##",`, `"@@",`, `"@@"`},
		{"other limit", `100,`, `200,`, "200"},
		{"other unknown", `"unk_token": "[UNK]"`, `"unk_token": "<unk>"`, "<unk>"},
		{"other normaliser", "BertNormalizer", "NFC", "NFC"},
		{"no cleaning", `"clean_text": true`, `"clean_text": false`, "clean_text"},
		{"other pre-tokenizer", `{"type": "BertPreTokenizer"}`, "null", "null"},
		{"vocab list", `"vocab": {`, `"vocab": [], "other": {`, "model.vocab"},
		{"id is text", `"a": 5`, `"a": "5"`, `"a"`},
		{"gap", `"a": 5`, `"a": 50`, `"a" has id 50`},
		{"negative", `"a": 5`, `"a": -5`, `"a" has id -5`},
		{"id twice", `"a": 5`, `"a": 6`, "both have id 6"},
		{"token twice", `"a": 5`, `"##b": 5`, `"##b"`},
		{"empty token", `"a": 5`, `"": 5`, "line 16"},
		{"no mask", `"[MASK]"`, `"[MUSK]"`, "[MASK] is missing"},
		{"two ids", `"id": 1,`, `"id": 2,`, `"[PAD]" has id 1`},
		{"stripping token", `"lstrip": false`, `"lstrip": true`, "lstrip"},
		{"token of letters", `"<ent>"`, `"ent"`, `"ent"`},
	}
	for _, c := range cases {
		text := strings.Replace(tokenizerJSON, c.from, c.to, 1)
		_, err := Parse("some/tokenizer.json", []byte(text))
		if fault.KindOf(err) != fault.Data || !strings.Contains(err.Error(), c.wants) || !strings.Contains(err.Error(), "some/tokenizer.json") {
			t.Errorf("%s: error %v, wants %q", c.name, err, c.wants)
		}
	}
}
