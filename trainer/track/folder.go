package track

import (
	"errors"
	"path/filepath"
)

// Folder is everything that a run writes about its metrics in its output directory: metrics.jsonl, tb/ and report.html.
type Folder struct {
	lines   *JSONL
	all     All
	elapsed float64
}

// OpenFolder opens the files in dir, an existing folder, for a run that goes on after the given step, 0 for a fresh one.
// What earlier sessions logged up to that step stays, what they logged later goes.
func OpenFolder(dir string, step int64, run Run) (*Folder, error) {
	path := filepath.Join(dir, "metrics.jsonl")
	lines, err := OpenJSONL(path, step)
	if err != nil {
		return nil, err
	}
	history, err := ReadMetrics(path)
	if err != nil {
		return nil, errors.Join(err, lines.Finish())
	}
	events, err := OpenTensorBoard(filepath.Join(dir, "tb"), step)
	if err != nil {
		return nil, errors.Join(err, lines.Finish())
	}
	f := &Folder{lines: lines, all: All{lines, events, NewReport(filepath.Join(dir, "report.html"), run, history)}}
	for _, m := range history {
		f.elapsed = max(f.elapsed, m.ElapsedS)
	}
	return f, nil
}

// Log passes one line to all files.
func (f *Folder) Log(m Metrics) error { return f.all.Log(m) }

// Finish writes the last report and closes the files.
func (f *Folder) Finish() error { return f.all.Finish() }

// Sync makes metrics.jsonl durable. Call it before a checkpoint is saved, so that a machine that loses power does not keep the checkpoint
// and lose the lines.
func (f *Folder) Sync() error { return f.lines.Sync() }

// ElapsedS is the training time of earlier sessions up to the resumed step, in seconds.
func (f *Folder) ElapsedS() float64 { return f.elapsed }
