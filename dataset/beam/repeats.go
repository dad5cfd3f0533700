package main

import (
	"elektron/dataset"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
)

func init() {
	register.DoFn4x0[uint64, func(*document) bool, func(uint64, document), func(tally)](&first{})
	register.DoFn3x0[uint64, document, func(uint64, mention)](&bandMentions{})
	register.DoFn3x0[uint64, document, func(uint64, mention)](&sentenceMentions{})
	register.Function3x0(later)
	register.DoFn5x0[uint64, func(*document) bool, func(*int) bool, func(uint64, document), func(tally)](&unlike{})
	register.DoFn5x0[uint64, func(*document) bool, func(*int) bool, func(uint64, dataset.Kept), func(tally)](&keep{})
	register.Emitter2[uint64, mention]()
	register.Emitter2[uint64, int]()
	register.Emitter2[uint64, dataset.Kept]()
	register.Iter1[document]()
	register.Iter1[mention]()
	register.Iter1[int]()
}

// first keeps of documents with the same text the one that comes first in the corpus.
type first struct{ bundle }

// ProcessElement gets all documents of one text.
func (f *first) ProcessElement(hash uint64, documents func(*document) bool, emit func(uint64, document), _ func(tally)) {
	var earliest, d document
	for n := 0; documents(&d); n++ {
		if n > 0 {
			f.report.DuplicateDocuments++
		}
		if n == 0 || d.before(earliest.position) {
			earliest = d
		}
	}
	emit(hash, earliest)
}

// FinishBundle gives the counts.
func (f *first) FinishBundle(_ func(uint64, document), count func(tally)) { f.flush(count) }

// bandMentions gives the bands of a document: where another one has one of them, they resemble each other.
type bandMentions struct{}

// ProcessElement gets one document.
func (*bandMentions) ProcessElement(hash uint64, d document, emit func(uint64, mention)) {
	for _, band := range d.Bands {
		emit(band, mention{d.position, 0, hash})
	}
}

// sentenceMentions gives the sentences of a document that are to be dropped where they came before.
type sentenceMentions struct{}

// ProcessElement gets one document.
func (*sentenceMentions) ProcessElement(hash uint64, d document, emit func(uint64, mention)) {
	for i, s := range d.Sentences {
		if s.Repeatable() {
			emit(s.Hash, mention{d.position, i, hash})
		}
	}
}

// later gives all mentions of something but the earliest.
func later(_ uint64, mentions func(*mention) bool, emit func(document uint64, index int)) {
	var earliest, m mention
	for n := 0; mentions(&m); n++ {
		if n > 0 && m.before(earliest) {
			m, earliest = earliest, m
		}
		if n == 0 {
			earliest = m
			continue
		}
		emit(m.Document, m.Index)
	}
}

// unlike drops the documents that resemble an earlier one.
type unlike struct{ bundle }

// ProcessElement gets one document, and an index for each of its bands that came before.
func (u *unlike) ProcessElement(hash uint64, documents func(*document) bool, bands func(*int) bool, emit func(uint64, document), _ func(tally)) {
	var d document
	documents(&d)
	var band int
	if bands(&band) {
		u.report.NearDuplicateDocuments++
		return
	}
	emit(hash, d)
}

// FinishBundle gives the counts.
func (u *unlike) FinishBundle(_ func(uint64, document), count func(tally)) { u.flush(count) }

// keep drops the sentences of documents that came before, and documents of which nothing is left.
type keep struct{ bundle }

// ProcessElement gets one document, and the indexes of its sentences that came before.
func (k *keep) ProcessElement(hash uint64, documents func(*document) bool, repeated func(*int) bool, emit func(uint64, dataset.Kept), _ func(tally)) {
	var d document
	documents(&d)
	came, i := map[int]bool{}, 0
	for repeated(&i) {
		came[i] = true
	}
	if kept := k.report.Keep(d.Document, func(i int) bool { return came[i] }); len(kept.Sentences) > 0 {
		emit(hash, kept)
	}
}

// FinishBundle gives the counts.
func (k *keep) FinishBundle(_ func(uint64, dataset.Kept), count func(tally)) { k.flush(count) }

// bundle counts what a step does with a bundle of elements.
type bundle struct{ report dataset.Report }

// flush gives the counts and begins anew.
func (b *bundle) flush(count func(tally)) {
	count(tally{Report: b.report})
	b.report = dataset.Report{}
}
