package dataset

import (
	"elektron/dataset/corpus"
	"elektron/dataset/wordpiece"
)

// Document is a document in tokens, with what decides about it: whether it came before, and on which side of the split
// it stands.
type Document struct {
	Hash      uint64 // of its text; evenly spread over all numbers
	Sentences []Sentence
	Bands     []uint64 // of MinHash, where near-duplicates are searched for: documents that share one resemble each other
}

// Sentence is a sentence or paragraph in tokens.
type Sentence struct {
	Hash    uint64 // of its text
	Bytes   int    // of its text; 0 in a pre-training example, whose parts are never dropped as repeated
	IDs     []int32
	Unknown int // [UNK] among them
}

// Encoder turns documents of a corpus into tokens. It is for one goroutine; Clone makes more.
type Encoder struct {
	tokenizer *wordpiece.Tokenizer
	near      *minhash // nil: near-duplicates are not searched for
}

// NewEncoder makes an encoder with the vocabulary and options of a build.
func NewEncoder(o BuildOptions) *Encoder {
	e := &Encoder{tokenizer: wordpiece.New(o.Vocabulary, o.text())}
	if o.NearDuplicates {
		e.near = newMinhash()
	}
	return e
}

// Clone gives an encoder for another goroutine.
func (e *Encoder) Clone() *Encoder {
	clone := &Encoder{tokenizer: e.tokenizer.Clone()}
	if e.near != nil {
		clone.near = newMinhash()
	}
	return clone
}

// Encode turns a document into tokens. A pre-training example that the vocabulary cannot have made is a fault.Data
// error; text gives none.
func (e *Encoder) Encode(d corpus.Document) (encoded Document, err error) {
	if len(d.Segments) > 0 {
		encoded, err = documentOf(e.tokenizer.Vocabulary(), d)
	} else {
		encoded = e.tokenize(d.Sentences)
	}
	if e.near != nil && err == nil {
		encoded.Bands = e.near.bands(encoded.Sentences)
	}
	return encoded, err
}

// tokenize tokenises sentences into one piece of memory.
func (e *Encoder) tokenize(texts []string) Document {
	d := Document{Hash: textSeed, Sentences: make([]Sentence, len(texts))}
	var ids []int32
	ends := make([]int, len(texts))
	for i, text := range texts {
		h := textHash(text)
		d.Hash = mix64(d.Hash + h)
		d.Sentences[i] = Sentence{Hash: h, Bytes: len(text)}
		ids = e.tokenizer.AppendEncode(ids, text)
		ends[i] = len(ids)
	}
	start, unknown := 0, e.tokenizer.Vocabulary().UnknownID()
	for i := range d.Sentences {
		s := &d.Sentences[i]
		s.IDs, start = ids[start:ends[i]], ends[i]
		for _, id := range s.IDs {
			if id == unknown {
				s.Unknown++
			}
		}
	}
	return d
}

// textSeed keeps the hash of a document of one sentence apart from that of the sentence.
const textSeed = 0x656c656b74726f6e

// textHash is FNV-1a (64 bits) with a final mix: the same on every machine and at every run. At a hundred million
// different paragraphs the chance that any two collide is 0.03 %.
func textHash(text string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 0x100000001b3
	}
	return mix64(h)
}

// Kept is what is left of a document for the shards.
type Kept struct {
	Hash      uint64 // the document's
	Sentences [][]int32
}

// Tokens counts the tokens.
func (k Kept) Tokens() (n int) {
	for _, ids := range k.Sentences {
		n += len(ids)
	}
	return n
}

// Draw is the document's ticket in the choice of those that are held out: it depends on its text alone, so neither
// other files nor another order of them move a document from one side to the other.
func (k Kept) Draw() uint64 { return drawOf(k.Hash) }

func drawOf(documentHash uint64) uint64 { return hash(0, 0, siteSplit, documentHash) }

// Keep drops the sentences of a document that have no token and those that came before, and counts what it keeps and
// what it drops. repeated tells whether sentence i came before: it is asked in order, and only about sentences that
// are Repeatable. Where nothing is left the result has no sentences.
func (r *Report) Keep(d Document, repeated func(i int) bool) Kept {
	kept := Kept{Hash: d.Hash}
	unknown := 0
	for i, s := range d.Sentences {
		switch {
		case len(s.IDs) == 0:
			r.EmptySentences++
		case s.Repeatable() && repeated(i):
			r.DuplicateSentences++
		default:
			kept.Sentences = append(kept.Sentences, s.IDs)
			r.SentenceLengths.add(len(s.IDs))
			unknown += s.Unknown
		}
	}
	tokens := kept.Tokens()
	if tokens == 0 {
		r.EmptyDocuments++
		return kept
	}
	r.Tokens += int64(tokens)
	r.UnknownTokens += int64(unknown)
	r.DocumentLengths.add(tokens)
	return kept
}

// Repeatable tells whether the sentence is to be dropped where it came before. Short ones (headings, "Yes.") are a part
// of their text wherever they stand.
func (s Sentence) Repeatable() bool { return len(s.IDs) > 0 && s.Bytes >= MinDuplicateBytes }
