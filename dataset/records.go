package dataset

import (
	"elektron/dataset/corpus"
	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
)

// documentOf makes a document of a pre-training example that is in tokens already: a sentence each of its one or
// two segments, without the special tokens, which the index puts back. An example that this vocabulary
// cannot have made is a fault.Data error.
func documentOf(v *wordpiece.Vocabulary, d corpus.Document) (Document, error) {
	bad := func(reason string, args ...any) (Document, error) {
		return Document{}, fault.New(fault.Data, "dataset: %s: record %d: "+reason+"; name with --vocab the vocabulary that the examples were made with",
			append([]any{d.Source, d.Line}, args...)...)
	}
	made := Document{Hash: textSeed}
	for i, ids := range d.Segments {
		if i == 0 && (len(ids) == 0 || ids[0] != v.ClassID()) {
			return bad("does not begin with [CLS], which is %d", v.ClassID())
		}
		if i == 0 {
			ids = ids[1:]
		}
		if len(ids) < 2 || ids[len(ids)-1] != v.SepID() {
			return bad("segment %d does not end with [SEP], which is %d, after at least one token", i+1, v.SepID())
		}
		s := Sentence{IDs: ids[:len(ids)-1], Hash: textSeed}
		for _, id := range s.IDs {
			if int(id) >= v.Size() {
				return bad("token id %d is outside the vocabulary of %d", id, v.Size())
			}
			if id == v.UnknownID() {
				s.Unknown++
			}
			s.Hash = mix64(s.Hash + uint64(id))
		}
		made.Hash = mix64(made.Hash + s.Hash)
		made.Sentences = append(made.Sentences, s) // its bytes stay 0: no part of an example is dropped as repeated
	}
	return made, nil
}
