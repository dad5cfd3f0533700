package track

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"elektron/internal/fault"
)

// TensorBoard writes event files into two folders, train and valid, which TensorBoard shows as two runs in the same
// charts.
type TensorBoard struct{ train, valid *appender }

// OpenTensorBoard begins new event files under dir for a run that goes on after the given step, 0 for a fresh one. TensorBoard
// then hides what earlier files say about later steps.
func OpenTensorBoard(dir string, step int64) (*TensorBoard, error) {
	train, err := createEvents(filepath.Join(dir, "train"), step)
	if err != nil {
		return nil, err
	}
	valid, err := createEvents(filepath.Join(dir, "valid"), step)
	if err != nil {
		return nil, errors.Join(err, train.close())
	}
	return &TensorBoard{train, valid}, nil
}

// Log writes every finite value as a scalar named after its group and key, such as losses/mlm_loss.
func (t *TensorBoard) Log(m Metrics) error {
	var summary []byte
	for _, f := range fields {
		value := *f.value(&m)
		if f.training && m.Split != "" || f.key == "elapsed_s" || math.IsNaN(value) || math.IsInf(value, 0) {
			continue
		}
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, scalar(f.group+"/"+f.key, value))
	}
	event := newEvent(m.Step, eventSummary, summary)
	if m.Split == Valid {
		return t.valid.add(event)
	}
	return t.train.add(event)
}

// Finish closes the files.
func (t *TensorBoard) Finish() error {
	return errors.Join(t.train.close(), t.valid.close())
}

// Field numbers of TensorFlow's event.proto and summary.proto.
const (
	eventWallTime    protowire.Number = 1 // double, seconds since 1970
	eventStep        protowire.Number = 2 // int64
	eventFileVersion protowire.Number = 3 // string
	eventSummary     protowire.Number = 5 // message
	eventSessionLog  protowire.Number = 7 // message
	summaryValue     protowire.Number = 1 // repeated message
	valueTag         protowire.Number = 1 // string
	valueSimple      protowire.Number = 2 // float
	sessionStatus    protowire.Number = 1 // enum; START is 1
	sessionStart                      = 1
)

func scalar(tag string, value float64) []byte {
	message := protowire.AppendTag(nil, valueTag, protowire.BytesType)
	message = protowire.AppendString(message, tag)
	message = protowire.AppendTag(message, valueSimple, protowire.Fixed32Type)
	return protowire.AppendFixed32(message, math.Float32bits(float32(value)))
}

// createEvents begins an event file in dir.
func createEvents(dir string, step int64) (*appender, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fault.Wrap(fault.Storage, err, "track: cannot make %s", dir)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	// TensorBoard reads the files of a folder in the order of their names.
	name := fmt.Sprintf("events.out.tfevents.%020d.%s", time.Now().UnixNano(), filepath.Base(host))
	events, err := openAppender(filepath.Join(dir, name), os.O_EXCL)
	if err != nil {
		return nil, err
	}
	err = events.add(newEvent(0, eventFileVersion, []byte("brain.Event:2")))
	if err == nil && step > 0 {
		session := protowire.AppendTag(nil, sessionStatus, protowire.VarintType)
		err = events.add(newEvent(step+1, eventSessionLog, protowire.AppendVarint(session, sessionStart)))
	}
	if err != nil {
		return nil, errors.Join(err, events.close())
	}
	return events, nil
}

// newEvent is one event, whose content is a string or a message, framed.
func newEvent(step int64, kind protowire.Number, content []byte) []byte {
	now := float64(time.Now().UnixMicro()) / 1e6
	event := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	event = protowire.AppendFixed64(event, math.Float64bits(now))
	event = protowire.AppendTag(event, eventStep, protowire.VarintType)
	event = protowire.AppendVarint(event, uint64(step))
	event = protowire.AppendTag(event, kind, protowire.BytesType)
	return frame(protowire.AppendBytes(event, content))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame wraps a record as TFRecord does: length, its checksum, data, its checksum, all little-endian.
func frame(data []byte) []byte {
	record := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	record = binary.LittleEndian.AppendUint32(record, maskedCRC(record))
	record = append(record, data...)
	return binary.LittleEndian.AppendUint32(record, maskedCRC(data))
}

// maskedCRC is TFRecord's checksum: a rotated CRC32C plus a constant, so that a sum of data that holds sums stays strong.
func maskedCRC(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}
