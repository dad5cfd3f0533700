package main

import (
	"elektron/dataset"
	"elektron/dataset/corpus"
	"elektron/dataset/shard"
	"elektron/dataset/wordpiece"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// settings are what every worker must know. They travel inside the steps.
type settings struct {
	Folder         string // where to write
	Text           corpus.Options
	VocabularyName string // the vocabulary itself is a side input
	Cased          bool
	NearDuplicates bool
	ValidShare     float64
	ShardTokens    int
	Examples       bool // the text is finished pre-training examples
	Shard          shard.Config
}

// options are the same as package dataset takes them.
func (s settings) options(vocabulary []byte) (dataset.BuildOptions, error) {
	v, err := wordpiece.Parse(s.VocabularyName, vocabulary)
	if err != nil {
		return dataset.BuildOptions{}, err
	}
	return dataset.BuildOptions{
		Vocabulary: v, Cased: s.Cased, NearDuplicates: s.NearDuplicates, ValidShare: s.ValidShare, ShardTokens: s.ShardTokens,
	}.Resolved()
}

// newPipeline makes the pipeline that builds shards of a text:
//
//	files -> documents in tokens, by hash -> the first of each -> without repeated paragraphs -> shards, by hash
//
// The hash of a document's text is its key throughout, so the order of the documents in the shards is a shuffle that
// depends on the text alone, and so does every byte of a shard. Only the counts know all documents: how
// many tokens there are decides the number of shards, the draws of all documents decide which ones are held out.
func newPipeline(text *corpus.Corpus, vocabulary []byte, s settings) (*beam.Pipeline, error) {
	o, err := s.options(vocabulary)
	if err != nil {
		return nil, err
	}
	s.ValidShare, s.ShardTokens, s.Examples = o.ValidShare, o.ShardTokens, text.HoldsTokens()
	s.Shard = shard.Config{VocabularyHash: o.Vocabulary.Hash(), VocabularySize: o.Vocabulary.Size()}
	var files []file
	for _, f := range text.Files() {
		files = append(files, file{Path: f.Path, Size: f.Size, Index: f.Index})
	}

	p, root := beam.NewPipelineWithRoot()
	vocab := beam.Create(root, vocabulary)
	read, counts := beam.ParDo2(root.Scope("Tokenise"), &encode{Settings: s}, beam.Reshuffle(root, beam.CreateList(root, files)),
		beam.SideInput{Input: vocab})
	documents, duplicates := beam.ParDo2(root.Scope("First"), &first{}, beam.GroupByKey(root, read))
	reports := []beam.PCollection{counts, duplicates}
	if s.NearDuplicates {
		resembling := laterMentions(root.Scope("Resembling"), &bandMentions{}, documents)
		var near beam.PCollection
		documents, near = beam.ParDo2(root.Scope("Unlike"), &unlike{}, beam.CoGroupByKey(root, documents, resembling))
		reports = append(reports, near)
	}
	repeated := laterMentions(root.Scope("Repeated"), &sentenceMentions{}, documents)
	kept, dropped := beam.ParDo2(root.Scope("Keep"), &keep{}, beam.CoGroupByKey(root, documents, repeated))
	report := beam.Combine(root.Scope("Report"), &addTallies{}, beam.Flatten(root, append(reports, dropped)...))

	draws := beam.ParDo(root.Scope("Draw"), ticket, kept)
	rule := beam.Combine(root.Scope("HoldOut"), &holdOut{Share: s.ValidShare}, draws)
	placed := beam.ParDo(root.Scope("Place"), &place{ShardTokens: s.ShardTokens}, kept, beam.SideInput{Input: rule})
	written := beam.ParDo(root.Scope("Write"), &write{Settings: s}, beam.GroupByKey(root, placed))
	beam.ParDo0(root.Scope("Finish"), &finish{Settings: s}, beam.Impulse(root),
		beam.SideInput{Input: vocab}, beam.SideInput{Input: report}, beam.SideInput{Input: written})
	return p, nil
}

// laterMentions groups what find says of the documents by its hash. Of each group all but the earliest are given as
// (document, index).
func laterMentions(scope beam.Scope, find any, documents beam.PCollection) beam.PCollection {
	return beam.ParDo(scope, later, beam.GroupByKey(scope, beam.ParDo(scope, find, documents)))
}
