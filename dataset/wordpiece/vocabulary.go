// Package wordpiece turns text into BERT's WordPiece ids and trains WordPiece vocabularies.
//
// The ids are those of Hugging Face's tokenizers (BertNormalizer, BertPreTokenizer, the WordPiece model, the
// usual special tokens), for cased and uncased vocabularies, valid and invalid UTF-8. Ids are int32 throughout.
package wordpiece

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// The special tokens that every vocabulary has, at any position.
const (
	PadToken     = "[PAD]"
	UnknownToken = "[UNK]"
	ClassToken   = "[CLS]"
	SepToken     = "[SEP]"
	MaskToken    = "[MASK]"
)

// ContinuationPrefix marks the tokens that go on inside a word.
const ContinuationPrefix = "##"

// SpecialTokens returns the special tokens in the order in which a trained vocabulary begins with them.
func SpecialTokens() []string {
	return []string{PadToken, UnknownToken, ClassToken, SepToken, MaskToken}
}

// Vocabulary is an immutable list of tokens; a token's id is its place in the list.
type Vocabulary struct {
	tokens  []string
	ids     map[string]int32
	special map[int32]bool // left alone by masking
	literal []int32        // tokens that text may hold as they stand, such as "[SEP]"
	options Options

	pad, unknown, class, sep, mask int32
}

// NewVocabulary makes a vocabulary of tokens in the order of their ids. It needs the five special tokens
// and takes no duplicate, empty, broken (newline, NUL) or non-UTF-8 token.
func NewVocabulary(tokens []string) (*Vocabulary, error) {
	return newVocabulary("vocabulary", tokens, func(i int) string { return "token " + strconv.Itoa(i) })
}

// newVocabulary validates tokens. Errors begin with name, the file or "vocabulary", and place(i), where token i stands.
func newVocabulary(name string, tokens []string, place func(int) string) (*Vocabulary, error) {
	v := &Vocabulary{tokens: slices.Clone(tokens), ids: make(map[string]int32, len(tokens)), special: map[int32]bool{}}
	for i, token := range tokens {
		if why := malformed(i, token); why != "" {
			return nil, fault.New(fault.Data, "wordpiece: %s: %s: %s; remove or repair it (tokens after it change their ids if it is removed)", name, place(i), why)
		}
		if first, ok := v.ids[token]; ok {
			return nil, fault.New(fault.Data, "wordpiece: %s: %s: token %q is already at %s; every token may be there once", name, place(i), token, place(int(first)))
		}
		v.ids[token] = int32(i)
	}
	for _, s := range []struct {
		token string
		id    *int32
	}{{PadToken, &v.pad}, {UnknownToken, &v.unknown}, {ClassToken, &v.class}, {SepToken, &v.sep}, {MaskToken, &v.mask}} {
		id, ok := v.ids[s.token]
		if !ok {
			return nil, fault.New(fault.Data, "wordpiece: %s: special token %s is missing among its %d tokens; ELECTRA needs %s: use a BERT WordPiece vocabulary or train one with `data vocab`",
				name, s.token, len(tokens), strings.Join(SpecialTokens(), " "))
		}
		*s.id = id
		v.special[id] = true
		v.literal = append(v.literal, id)
	}
	return v, nil
}

// malformed says what is wrong with token i, "" if nothing is: a vocab.txt must be able to hold it.
func malformed(i int, token string) string {
	switch {
	case token == "":
		return "empty token"
	case !utf8.ValidString(token):
		return "token " + strconv.Quote(token) + " is not valid UTF-8"
	case strings.ContainsAny(token, "\n\r\x00"):
		return "token " + strconv.Quote(token) + " holds a line break or NUL"
	case i == 0 && strings.HasPrefix(token, byteOrderMark):
		return "token " + strconv.Quote(token) + " begins with a byte order mark"
	}
	return ""
}

// Load reads a vocabulary file: Hugging Face's tokenizer.json where the name ends in .json, else vocab.txt
// with one token a line. An unreadable file is a fault.Storage error, a bad one a fault.Data error with its line.
func Load(path string) (*Vocabulary, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "wordpiece: reading the vocabulary")
	}
	return Parse(path, data)
}

const byteOrderMark = "\ufeff"

// Parse is Load for a file that was read already. The name decides the format and stands in errors.
func Parse(name string, data []byte) (*Vocabulary, error) {
	if strings.EqualFold(filepath.Ext(name), ".json") {
		return parseJSON(name, data)
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	text := strings.TrimSuffix(string(data), "\n")
	if text == "" {
		return nil, fault.New(fault.Data, "wordpiece: %s: the file is empty; a vocabulary has one token a line", name)
	}
	tokens := strings.Split(text, "\n")
	for i, token := range tokens {
		tokens[i] = strings.TrimSuffix(token, "\r")
	}
	return newVocabulary(name, tokens, func(i int) string { return "line " + strconv.Itoa(i+1) })
}

// Save writes vocab.txt, one token a line. The file appears whole or not at all.
func (v *Vocabulary) Save(path string) error {
	return fault.Wrap(fault.Storage, blob.WriteFile(path, v.Text()), "wordpiece: writing the vocabulary")
}

// Text is the content of vocab.txt: one token a line.
func (v *Vocabulary) Text() []byte {
	return []byte(strings.Join(v.tokens, "\n") + "\n")
}

// Hash identifies the list of tokens: the SHA-256 in hex of its vocab.txt with "\n" line ends. The Options are
// not part of it.
func (v *Vocabulary) Hash() string {
	sum := sha256.Sum256(v.Text())
	return hex.EncodeToString(sum[:])
}

// Size is the number of tokens; ids are 0 to Size-1.
func (v *Vocabulary) Size() int { return len(v.tokens) }

// Token returns the token of an id, [UNK] for an id outside the vocabulary.
func (v *Vocabulary) Token(id int32) string {
	if id < 0 || int(id) >= len(v.tokens) {
		return UnknownToken
	}
	return v.tokens[id]
}

// Tokens returns a copy of the list of tokens.
func (v *Vocabulary) Tokens() []string { return slices.Clone(v.tokens) }

// ID returns a token's id and whether the vocabulary has it.
func (v *Vocabulary) ID(token string) (int32, bool) {
	id, ok := v.ids[token]
	return id, ok
}

// PadID is the id of [PAD].
func (v *Vocabulary) PadID() int32 { return v.pad }

// UnknownID is the id of [UNK].
func (v *Vocabulary) UnknownID() int32 { return v.unknown }

// ClassID is the id of [CLS].
func (v *Vocabulary) ClassID() int32 { return v.class }

// SepID is the id of [SEP].
func (v *Vocabulary) SepID() int32 { return v.sep }

// MaskID is the id of [MASK].
func (v *Vocabulary) MaskID() int32 { return v.mask }

// IsSpecial says whether an id is one of the special tokens, which masking leaves alone.
func (v *Vocabulary) IsSpecial(id int32) bool { return v.special[id] }

// IsContinuation says whether an id's token goes on inside a word ("##ing"), which whole-word masking asks.
func (v *Vocabulary) IsContinuation(id int32) bool {
	return strings.HasPrefix(v.Token(id), ContinuationPrefix) && len(v.Token(id)) > len(ContinuationPrefix)
}

// Options are the text options that the vocabulary's file states. A vocab.txt states none: it gets the
// defaults, an uncased tokenizer.
func (v *Vocabulary) Options() Options { return v.options }
