package corpus

import (
	"errors"
	"io"

	"elektron/dataset/tfrecord"
)

// tfrecordExtension ends the names of TFRecord files, or stands before their number.
const tfrecordExtension = ".tfrecord"

// readTFRecord reads pre-training examples of the official code, each a document of one or two segments.
func readTFRecord(p *pass) error {
	stream, err := p.stream()
	if err != nil {
		return err
	}
	defer stream.Close()
	records := tfrecord.NewReader(stream)
	for {
		data, err := records.Next()
		if err == io.EOF {
			return nil
		}
		if damage := (*tfrecord.DamageError)(nil); errors.As(err, &damage) {
			return p.bad(": %w; get the file again, or leave it out", damage)
		}
		if err != nil {
			return p.readError(int(records.Record())-1, err)
		}
		example, err := tfrecord.Parse(data)
		if err != nil {
			return p.bad(": record %d: %w; name the official code's pre-training examples", records.Record(), err)
		}
		segments := [][]int32{example.IDs[:example.Second]}
		if example.Second < len(example.IDs) {
			segments = append(segments, example.IDs[example.Second:])
		}
		p.counts.Sentences += int64(len(segments))
		if err := p.hand(Document{Line: int(records.Record()), Segments: segments}); err != nil {
			return err
		}
	}
}
