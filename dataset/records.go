package dataset

import (
	"elektron/dataset/corpus"
	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
)

// documentOf makes a document of a pre-training example that is in tokens already: a sentence each of its one or
// two segments, without the special tokens, which the index puts back. An example that this vocabulary
// cannot have made is a fault.Data error.
func documentOf(v *wordpiece.Vocabulary, d corpus.Document) (document, error) {
	bad := func(reason string, args ...any) (document, error) {
		return document{}, fault.New(fault.Data, "dataset: %s: record %d: "+reason+"; name with --vocab the vocabulary that the examples were made with",
			append([]any{d.Source, d.Line}, args...)...)
	}
	made := document{hash: textSeed}
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
		s := sentence{ids: ids[:len(ids)-1], hash: textSeed}
		for _, id := range s.ids {
			if int(id) >= v.Size() {
				return bad("token id %d is outside the vocabulary of %d", id, v.Size())
			}
			if id == v.UnknownID() {
				s.unknown++
			}
			s.hash = mix64(s.hash + uint64(id))
		}
		made.hash = mix64(made.hash + s.hash)
		made.sentences = append(made.sentences, s) // its bytes stay 0: no part of an example is dropped as repeated
	}
	return made, nil
}
