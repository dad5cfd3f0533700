package dataset

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"elektron/dataset/tfrecord"
	"elektron/dataset/wordpiece"
	"elektron/internal/fault"
)

// recordsFolder is where the official code looks for its examples, in the folder that also holds the vocabulary.
const recordsFolder = "pretrain_tfrecords"

// Export writes every example of the dataset once (of a mixture: as many as there are), in the order of the first epoch, as the official code's
// pre-training examples: folder/pretrain_tfrecords/pretrain_data.tfrecord-I-of-N and folder/vocab.txt, which is
// what its --data-dir names. The folder appears whole or not at all; one that is there already is an error.
func (d *Dataset) Export(ctx context.Context, folder string, v *wordpiece.Vocabulary, files int) error {
	if files < 1 || int64(files) > d.Examples() {
		return fault.New(fault.Usage, "dataset: %d examples cannot fill %d files; choose 1 to %d", d.Examples(), files, d.Examples())
	}
	made, err := BeginFolder(ctx, folder)
	if err != nil {
		return err
	}
	defer made.Abandon(ctx)
	records := filepath.Join(made.Work, recordsFolder)
	if err := os.Mkdir(records, 0o777); err != nil {
		return fault.Wrap(fault.Storage, err, "dataset: no place for the examples")
	}
	for i := range files {
		path := filepath.Join(records, fmt.Sprintf("pretrain_data.tfrecord-%d-of-%d", i, files))
		n := d.Examples()
		if err := d.exportFile(ctx, path, n*int64(i)/int64(files), n*int64(i+1)/int64(files)); err != nil {
			return fault.Wrap(fault.Storage, err, "dataset: examples cannot be written")
		}
	}
	if err := v.Save(filepath.Join(made.Work, vocabularyFile)); err != nil {
		return err
	}
	return made.Publish()
}

// exportFile writes the examples at places [from, to) of the first epoch.
func (d *Dataset) exportFile(ctx context.Context, path string, from, to int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close() // a second time after success, which does nothing
	out := bufio.NewWriterSize(f, 256<<10)
	b := d.newBatch()
	order := d.cursor()
	var data, record []byte
	for place := from; place < to && ctx.Err() == nil; place++ {
		b.Examples[0] = order.example(place)
		if err := d.fillText(b, 0); err != nil {
			return err
		}
		e := tfrecord.Example{IDs: b.IDs[:b.Lengths[0]], Second: slices.Index(b.SegmentIDs[:b.Lengths[0]], 1)}
		if e.Second < 0 {
			e.Second = len(e.IDs)
		}
		data = e.AppendData(data[:0], b.SeqLen, d.special.pad)
		record = tfrecord.Append(record[:0], data)
		out.Write(record) // bufio keeps the first error for Flush
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
