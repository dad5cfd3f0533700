package wordpiece

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"elektron/internal/fault"
)

// hfTokenizer is the part of tokenizer.json that decides ids.
type hfTokenizer struct {
	AddedTokens  []hfAddedToken  `json:"added_tokens"`
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	Model        struct {
		Type     string  `json:"type"`
		Prefix   *string `json:"continuing_subword_prefix"`
		Unknown  *string `json:"unk_token"`
		MaxRunes *int    `json:"max_input_chars_per_word"`
		Vocab    idTable `json:"vocab"`
	} `json:"model"`
}

type hfAddedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LeftStrip  bool   `json:"lstrip"`
	RightStrip bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// idTable is a JSON object of token to id, in the order of the file, duplicates kept.
type idTable []idOf

type idOf struct {
	token string
	id    int64
}

// UnmarshalJSON reads the object; encoding/json's maps would hide a token that is there twice.
func (table *idTable) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("model.vocab is not an object of token to id (found %v)", t)
	}
	for d.More() {
		var entry idOf
		key, err := d.Token()
		if err != nil {
			return err
		}
		entry.token = key.(string)
		if err := d.Decode(&entry.id); err != nil {
			return fmt.Errorf("model.vocab: the id of %q: %w", entry.token, err)
		}
		*table = append(*table, entry)
	}
	return nil
}

// parseJSON reads Hugging Face's tokenizer.json with a WordPiece model.
func parseJSON(name string, data []byte) (*Vocabulary, error) {
	if !utf8.Valid(data) {
		return nil, fault.New(fault.Data, "wordpiece: %s: line %d is not valid UTF-8; save it again as UTF-8", name, brokenLine(data))
	}
	var file hfTokenizer
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fault.New(fault.Data, "wordpiece: %s: %snot a readable tokenizer.json: %w; save it again with tokenizers or transformers, or use the model's vocab.txt", name, errorLine(data, err), err)
	}
	options, err := file.options()
	if err != nil {
		return nil, fault.New(fault.Data, "wordpiece: %s: %w; only BERT's WordPiece tokenizers can be read", name, err)
	}
	tokens, err := file.tokens()
	if err != nil {
		return nil, fault.New(fault.Data, "wordpiece: %s: %w", name, err)
	}
	place := func(i int) string { return "id " + strconv.Itoa(i) + tokenLine(data, tokens[i]) }
	v, err := newVocabulary(name, tokens, place)
	if err != nil {
		return nil, err
	}
	v.options = options
	for _, added := range file.AddedTokens {
		if !slices.Contains(v.literal, added.ID) {
			v.literal = append(v.literal, added.ID)
		}
		v.special[added.ID] = v.special[added.ID] || added.Special
	}
	return v, nil
}

// brokenLine is the line of the first invalid UTF-8.
func brokenLine(data []byte) int {
	line := 0
	for text := range bytes.Lines(data) {
		if line++; !utf8.Valid(text) {
			break
		}
	}
	return line
}

// errorLine says on which line a JSON error is, as "line 7: ", where the error knows.
func errorLine(data []byte, err error) string {
	var offset int64
	switch e := err.(type) {
	case *json.SyntaxError:
		offset = e.Offset
	case *json.UnmarshalTypeError:
		offset = e.Offset
	default:
		return ""
	}
	offset = min(max(offset, 0), int64(len(data)))
	return fmt.Sprintf("line %d: ", 1+bytes.Count(data[:offset], []byte("\n")))
}

// tokenLine says on which line a token of the file is, as " (line 7)", where it is written as Go would write it.
func tokenLine(data []byte, token string) string {
	quoted, err := json.Marshal(token)
	if err != nil {
		return ""
	}
	at := bytes.LastIndex(data, append(quoted, ':'))
	if at < 0 {
		return ""
	}
	return fmt.Sprintf(" (line %d)", 1+bytes.Count(data[:at], []byte("\n")))
}

// options checks that the file describes the tokenizer that this package implements, and reads its options.
func (file *hfTokenizer) options() (o Options, err error) {
	m := &file.Model
	switch {
	case m.Type != "WordPiece":
		return o, fmt.Errorf("model.type is %q, not \"WordPiece\"", m.Type)
	case m.Prefix != nil && *m.Prefix != ContinuationPrefix:
		return o, fmt.Errorf("model.continuing_subword_prefix is %q, not %q", *m.Prefix, ContinuationPrefix)
	case m.Unknown != nil && *m.Unknown != UnknownToken:
		return o, fmt.Errorf("model.unk_token is %q, not %q", *m.Unknown, UnknownToken)
	case m.MaxRunes != nil && *m.MaxRunes != maxWordRunes:
		return o, fmt.Errorf("model.max_input_chars_per_word is %d, not %d", *m.MaxRunes, maxWordRunes)
	}
	var pre struct{ Type string }
	if err := json.Unmarshal(orNull(file.PreTokenizer), &pre); err != nil || pre.Type != "BertPreTokenizer" {
		return o, fmt.Errorf("pre_tokenizer is %.60s, not BertPreTokenizer", orNull(file.PreTokenizer))
	}
	return normalizerOptions(orNull(file.Normalizer))
}

func normalizerOptions(data []byte) (o Options, err error) {
	normalizer := struct {
		Type      string `json:"type"`
		Clean     bool   `json:"clean_text"`
		CJK       bool   `json:"handle_chinese_chars"`
		Strip     *bool  `json:"strip_accents"`
		Lowercase bool   `json:"lowercase"`
	}{Clean: true, CJK: true, Lowercase: true}
	if err := json.Unmarshal(data, &normalizer); err != nil || normalizer.Type != "BertNormalizer" {
		return o, fmt.Errorf("normalizer is %.60s, not BertNormalizer", data)
	}
	if !normalizer.Clean || !normalizer.CJK {
		return o, fmt.Errorf("normalizer has clean_text %t and handle_chinese_chars %t, not true for both", normalizer.Clean, normalizer.CJK)
	}
	o.Cased = !normalizer.Lowercase
	if normalizer.Strip != nil {
		o.Accents = KeepAccents
		if *normalizer.Strip {
			o.Accents = StripAccents
		}
	}
	return o, nil
}

func orNull(data json.RawMessage) []byte {
	if len(data) == 0 {
		return []byte("null")
	}
	return data
}

// tokens puts the model's and the added tokens in the order of their ids, which must be 0 to n-1.
func (file *hfTokenizer) tokens() ([]string, error) {
	all := file.Model.Vocab
	known := make(map[string]int64, len(all))
	for _, entry := range all {
		known[entry.token] = entry.id
	}
	for _, added := range file.AddedTokens {
		if err := added.check(); err != nil {
			return nil, err
		}
		id, ok := known[added.Content]
		if ok && id != int64(added.ID) {
			return nil, fmt.Errorf("token %q has id %d in model.vocab and %d in added_tokens; they must be equal", added.Content, id, added.ID)
		}
		if !ok {
			all = append(all, idOf{added.Content, int64(added.ID)})
		}
	}
	return inOrder(all)
}

func inOrder(all idTable) ([]string, error) {
	tokens, taken := make([]string, len(all)), make([]bool, len(all))
	for _, entry := range all {
		if entry.id < 0 || entry.id >= int64(len(all)) {
			return nil, fmt.Errorf("token %q has id %d, but %d tokens need the ids 0 to %d; number them without gaps", entry.token, entry.id, len(all), len(all)-1)
		}
		if taken[entry.id] {
			return nil, fmt.Errorf("tokens %q and %q both have id %d; give every token its own", tokens[entry.id], entry.token, entry.id)
		}
		tokens[entry.id], taken[entry.id] = entry.token, true
	}
	return tokens, nil
}

// check says whether the tokenizer can find an added token as HF does: literally, before normalisation.
func (added hfAddedToken) check() error {
	if added.SingleWord || added.LeftStrip || added.RightStrip || added.Normalized {
		return fmt.Errorf("added token %q has single_word, lstrip, rstrip or normalized set, which is not supported; set them to false, or use vocab.txt", added.Content)
	}
	if added.Content == "" || added.Content[0] >= 0x80 || searchClass(rune(added.Content[0]))&classMask != punct {
		return fmt.Errorf("added token %q does not begin with ASCII punctuation such as [ or <, which is not supported; rename it, or use vocab.txt", added.Content)
	}
	return nil
}
