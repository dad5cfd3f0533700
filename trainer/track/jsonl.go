package track

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"

	"elektron/internal/blob"
	"elektron/internal/fault"
)

// JSONL writes metrics.jsonl, one object a line. Each line is one write to the file, so that a killed process leaves at
// most its last line torn.
type JSONL struct{ out *appender }

// OpenJSONL opens the file for a run that goes on after the given step, 0 for a fresh one. Lines past that step, which
// the resumed run will write again, and torn lines are dropped. Log a step's metrics and validation before its checkpoint is saved: then nothing is
// missing after a resume.
func OpenJSONL(path string, step int64) (*JSONL, error) {
	if err := keepUpTo(path, step); err != nil {
		return nil, fault.Wrap(fault.Storage, err, "track: cannot prepare %s", path)
	}
	out, err := openAppender(path, 0)
	if err != nil {
		return nil, err
	}
	return &JSONL{out}, nil
}

// Log appends one line.
func (j *JSONL) Log(m Metrics) error {
	line, err := m.MarshalJSON()
	if err != nil {
		return err
	}
	return j.out.add(append(line, '\n'))
}

// Sync makes the lines so far durable, should the machine itself stop. Call it before a checkpoint.
func (j *JSONL) Sync() error { return j.out.sync() }

// Finish makes every line durable and closes the file.
func (j *JSONL) Finish() error { return errors.Join(j.out.sync(), j.out.close()) }

// keepUpTo rewrites the file at once without the lines past step and without those that are no metrics.
func keepUpTo(path string, step int64) error {
	var kept bytes.Buffer
	dropped, err := scan(path, func(line []byte, m Metrics) {
		if m.Step <= step && step > 0 {
			kept.Write(line)
		}
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	info, statErr := os.Stat(path)
	if err = errors.Join(err, statErr); err != nil {
		return err
	}
	if dropped == 0 && info.Size() == int64(kept.Len()) {
		return nil
	}
	return blob.WriteFile(path, kept.Bytes())
}

// ReadMetrics reads a metrics.jsonl. A torn last line, as a killed process leaves it, is left out; any other line that is no
// metrics is an error that names it.
func ReadMetrics(path string) ([]Metrics, error) {
	var all []Metrics
	dropped, err := scan(path, func(_ []byte, m Metrics) { all = append(all, m) })
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "track: cannot read %s", path)
	}
	if dropped > 0 {
		return nil, fault.New(fault.Data, "track: %s: line %d is not a line of metrics; remove it", path, dropped)
	}
	return all, nil
}

// scan calls each for every whole, readable line (its line break included). It returns the number of the first bad line
// that is not just the torn last one, 0 if there is none.
func scan(path string, each func(line []byte, m Metrics)) (bad int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	reader := bufio.NewReaderSize(file, 1<<16)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return bad, nil // what is left has no line break
		}
		if err != nil {
			return bad, err
		}
		var m Metrics
		if m.UnmarshalJSON(line) == nil {
			each(line, m)
		} else if bad == 0 {
			bad = number
		}
	}
}
