package wordpiece

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// SaveHF writes what transformers and tokenizers load a tokenizer from into a folder that exists: vocab.txt,
// tokenizer.json and tokenizer_config.json. o is how text is normalised, maxLength the longest input in
// tokens. Errors have kind fault.Storage.
func (v *Vocabulary) SaveHF(folder string, o Options, maxLength int) error {
	if err := v.Save(filepath.Join(folder, "vocab.txt")); err != nil {
		return err
	}
	for name, content := range map[string]any{
		"tokenizer.json":        v.tokenizerJSON(o),
		"tokenizer_config.json": v.tokenizerConfig(o, maxLength),
	} {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(content); err != nil {
			return fault.Wrap(fault.Internal, err, "wordpiece: %s", name)
		}
		path := filepath.Join(folder, name)
		if err := blob.WriteFile(path, text.Bytes()); err != nil {
			return fault.Wrap(fault.Storage, err, "wordpiece: writing the tokenizer")
		}
	}
	return nil
}

// MarshalJSON writes the object in the order of the table.
func (table idTable) MarshalJSON() ([]byte, error) {
	text := bytes.NewBufferString("{")
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	for i, entry := range table {
		if i > 0 {
			text.WriteByte(',')
		}
		if err := encoder.Encode(entry.token); err != nil {
			return nil, err
		}
		text.WriteByte(':')
		if err := encoder.Encode(entry.id); err != nil {
			return nil, err
		}
	}
	text.WriteByte('}')
	return text.Bytes(), nil
}

// object is a JSON object whose keys may stand in any order.
type object = map[string]any

func (v *Vocabulary) tokenizerJSON(o Options) any {
	table := make(idTable, len(v.tokens))
	for i, token := range v.tokens {
		table[i] = idOf{token, int64(i)}
	}
	return object{
		"version": "1.0", "truncation": nil, "padding": nil,
		"added_tokens": v.addedTokens(),
		"normalizer": object{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
			"strip_accents": o.stripAccents(), "lowercase": !o.Cased},
		"pre_tokenizer":  object{"type": "BertPreTokenizer"},
		"post_processor": v.template(),
		"decoder":        object{"type": "WordPiece", "prefix": ContinuationPrefix, "cleanup": true},
		"model": object{"type": "WordPiece", "unk_token": UnknownToken, "continuing_subword_prefix": ContinuationPrefix,
			"max_input_chars_per_word": maxWordRunes, "vocab": table},
	}
}

// stripAccents is HF's value: nil (null) where accents go with the case.
func (o Options) stripAccents() any {
	if o.Accents == AccentsAsCase {
		return nil
	}
	return o.Accents == StripAccents
}

// addedTokens are the tokens that text may hold as they stand, by id.
func (v *Vocabulary) addedTokens() []hfAddedToken {
	var list []hfAddedToken
	for _, id := range slices.Sorted(slices.Values(v.literal)) {
		list = append(list, hfAddedToken{ID: id, Content: v.tokens[id], Special: v.special[id]})
	}
	return list
}

// template puts [CLS] before a text and [SEP] behind each one; the second text is segment 1.
func (v *Vocabulary) template() any {
	special := func(token string, segment int) object {
		return object{"SpecialToken": object{"id": token, "type_id": segment}}
	}
	sequence := func(name string, segment int) object {
		return object{"Sequence": object{"id": name, "type_id": segment}}
	}
	token := func(token string, id int32) object {
		return object{"id": token, "ids": []int32{id}, "tokens": []string{token}}
	}
	single := []object{special(ClassToken, 0), sequence("A", 0), special(SepToken, 0)}
	return object{"type": "TemplateProcessing", "single": single,
		"pair":           append(slices.Clone(single), sequence("B", 1), special(SepToken, 1)),
		"special_tokens": object{ClassToken: token(ClassToken, v.class), SepToken: token(SepToken, v.sep)}}
}

// tokenizerConfig names a class that transformers has for ELECTRA and ALBERT with a BERT vocabulary alike.
func (v *Vocabulary) tokenizerConfig(o Options, maxLength int) any {
	return object{
		"tokenizer_class": "BertTokenizer", "model_max_length": maxLength,
		"do_lower_case": !o.Cased, "strip_accents": o.stripAccents(), "tokenize_chinese_chars": true,
		"cls_token": ClassToken, "sep_token": SepToken, "pad_token": PadToken, "unk_token": UnknownToken, "mask_token": MaskToken,
		"clean_up_tokenization_spaces": true,
	}
}
