// Package checkpoint keeps a training run's state on disk so that nothing acknowledged is ever lost: not by
// kill -9, not by a full disk, not by a flipped bit.
//
// A checkpoint is a folder, step-00012000, of two files: state-00000-of-00001.bin holds the tensors (raw,
// little-endian, each begun at a multiple of 64 bytes) and manifest.json says what they are, with a CRC32C
// of each tensor, of the whole file and of the manifest itself. The folder is written under another name,
// synced and then renamed, so that a folder of this name is always complete.
package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"encoding/json"

	"elektron/internal/fault"
)

// Tensor is one array of the state.
type Tensor struct {
	Name  string // unique in a state; printable, without path separators
	DType string // float64, float32, float16, bfloat16, int64, int32, uint64 or uint32
	Shape []int  // every dimension at least 1; empty for a scalar
	Data  []byte // little-endian, row-major; the shape's elements times the type's width
}

// State is what a run needs to go on as if it had never stopped.
type State struct {
	Step    int64           // steps done
	Meta    json.RawMessage // the trainer's own facts (configuration, vocabulary hash, …), any JSON value or nil
	Tensors []Tensor        // in the trainer's order, which is kept
}

// ErrNone says that a folder holds no checkpoint at all, so that a run may start fresh.
var ErrNone = errors.New("no checkpoint")

// Entry is one checkpoint found in a folder.
type Entry struct {
	Step int64
	Path string
}

// The names inside a checkpoints folder. A name with a leading dot is never a checkpoint.
const (
	stepPrefix      = "step-"
	temporaryPrefix = ".tmp-"   // being written
	replacedPrefix  = ".old-"   // an earlier checkpoint of the same step, while its successor takes its place
	trashPrefix     = ".trash-" // being deleted
)

func stepName(step int64) string { return fmt.Sprintf("%s%08d", stepPrefix, step) }

// parseStepName accepts only what stepName writes, so that step-12 or step-+0000012 is no checkpoint.
func parseStepName(name string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, stepPrefix)
	if !ok {
		return 0, false
	}
	step, err := strconv.ParseInt(digits, 10, 64)
	return step, err == nil && step >= 0 && stepName(step) == name
}

// List names the checkpoints in dir, oldest first, without opening them. A dir that does not exist holds none.
func List(dir string) ([]Entry, error) {
	children, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "checkpoint: cannot list %s; check the path and its permissions", dir)
	}
	var found []Entry
	for _, child := range children {
		if step, ok := parseStepName(child.Name()); ok && child.IsDir() {
			found = append(found, Entry{Step: step, Path: filepath.Join(dir, child.Name())})
		}
	}
	slices.SortFunc(found, func(a, b Entry) int { return int(min(1, max(-1, a.Step-b.Step))) })
	return found, nil
}
