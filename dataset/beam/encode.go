package main

import (
	"context"

	"elektron/dataset"
	"elektron/dataset/corpus"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"
)

func init() {
	register.DoFn5x1[context.Context, file, []byte, func(uint64, document), func(tally), error](&encode{})
	register.Emitter2[uint64, document]()
	register.Emitter1[tally]()
}

// encode reads a file and gives its documents in tokens, by hash, and what it has counted.
type encode struct {
	Settings settings

	encoder *dataset.Encoder
}

// ProcessElement reads one file.
func (e *encode) ProcessElement(ctx context.Context, f file, vocabulary []byte, emit func(uint64, document), count func(tally)) error {
	if e.encoder == nil {
		o, err := e.Settings.options(vocabulary)
		if err != nil {
			return failed(err)
		}
		e.encoder = dataset.NewEncoder(o)
	}
	text, report := corpus.Single(f.Path, f.Size, e.Settings.Text), dataset.Report{}
	for d, err := range text.Files()[0].Documents(ctx) {
		if err != nil {
			return failed(err)
		}
		encoded, err := e.encoder.Encode(d)
		if err != nil {
			return failed(err)
		}
		report.Documents++
		report.Sentences += int64(len(encoded.Sentences))
		emit(encoded.Hash, document{position{f.Index, d.Number}, encoded})
	}
	count(tally{report, text.Counts()})
	return nil
}
