package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"elektron/internal/fault"
)

// node is a file (data not nil) or a folder of the simulated disk. A sync copies what is in memory to what would survive.
type node struct {
	data    []byte           // nil for a folder
	synced  []byte           // the file's content on the platter
	entries map[string]*node // a folder's names, in memory
	durable map[string]*node // the folder's names on the platter
}

func folder() *node { return &node{entries: map[string]*node{}, durable: map[string]*node{}} }

func (root *node) find(path string) *node {
	for _, name := range split(path) {
		root = root.entries[name]
	}
	return root
}

func split(path string) []string {
	if path == "" || path == "." {
		return nil
	}
	return append(split(filepath.Dir(path)), filepath.Base(path))
}

func (root *node) apply(op operation) {
	parent, name := root.find(filepath.Dir(op.path)), filepath.Base(op.path)
	switch op.kind {
	case "mkdir":
		parent.entries[name] = folder()
	case "create":
		parent.entries[name] = &node{data: []byte{}, synced: []byte{}}
	case "write":
		file := parent.entries[name]
		if need := int(op.at) + len(op.data); need > len(file.data) {
			file.data = append(file.data, make([]byte, need-len(file.data))...)
		}
		copy(file.data[op.at:], op.data)
	case "sync":
		parent.entries[name].synced = bytes.Clone(parent.entries[name].data)
	case "rename":
		root.find(filepath.Dir(op.to)).entries[filepath.Base(op.to)] = parent.entries[name]
		delete(parent.entries, name)
	case "remove":
		delete(parent.entries, name)
	case "syncdir":
		target := root.find(op.path)
		target.durable = map[string]*node{}
		for name, child := range target.entries {
			target.durable[name] = child
		}
	}
}

// A crash is what of the memory's state reaches the platter beyond what was synced.
type crash struct{ names, data bool }

// write puts what a crash leaves of the folder onto the real disk.
func (n *node) write(t *testing.T, path string, c crash) {
	if n.data != nil {
		content := n.synced
		if c.data {
			content = n.data
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	names := n.durable
	if c.names {
		names = n.entries
	}
	for name, child := range names {
		child.write(t, filepath.Join(path, name), c)
	}
}

// record saves and retains, replaces one step, and returns every operation.
func record(t *testing.T) []operation {
	root := t.TempDir()
	r := &recorder{root: root}
	dir := filepath.Join(root, "run", "checkpoints")
	saveStep := func(state *State) {
		if _, err := save(context.Background(), r, dir, state); err != nil {
			t.Fatal(err)
		}
		r.acknowledge(state.Step)
	}
	for step := int64(1); step <= 4; step++ {
		saveStep(testState(step))
		if _, err := retain(r, dir, Retention{Last: 2}); err != nil {
			t.Fatal(err)
		}
	}
	again := testState(4)
	again.Meta = nil
	saveStep(again)
	return r.log
}

// TestEveryCrashRestores replays every prefix of the operations, as a process that was killed (all of the memory's state
// survives) and as a machine that lost power (unsynced names or data are gone), then cleans and restores as a new process would.
func TestEveryCrashRestores(t *testing.T) {
	log := record(t)
	for _, c := range []crash{{names: true, data: true}, {names: true}, {data: true}, {}} {
		root, acknowledged := folder(), int64(0)
		for i, op := range log {
			if op.kind == "acknowledged" {
				acknowledged = op.step
			} else {
				root.apply(op)
			}
			image := t.TempDir()
			root.write(t, image, c)
			what := fmt.Sprintf("%+v after operation %d (%s %s)", c, i, op.kind, op.path)
			checkImage(t, filepath.Join(image, "run", "checkpoints"), acknowledged, what)
			os.RemoveAll(image)
		}
	}
}

func checkImage(t *testing.T, dir string, acknowledged int64, what string) {
	t.Helper()
	if err := Clean(dir); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	state, _, warnings, err := Restore(dir)
	if errors.Is(err, ErrNone) && acknowledged == 0 {
		return
	}
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%s: restore gives %v, warnings %q", what, err, warnings)
	}
	if state.Step < acknowledged || state.Step > acknowledged+1 {
		t.Fatalf("%s: restored step %d, acknowledged was %d", what, state.Step, acknowledged)
	}
	if want := testState(state.Step); !reflect.DeepEqual(state.Tensors, want.Tensors) {
		t.Fatalf("%s: step %d came back changed", what, state.Step)
	}
	children, err := os.ReadDir(dir)
	if err != nil || len(children) > 4 {
		t.Fatalf("%s: %d entries left after Clean (%v)", what, len(children), err)
	}
}

// TestEveryFailedOperation lets each operation of a save fail in turn, with a full disk and with a broken one.
func TestEveryFailedOperation(t *testing.T) {
	for cause, exit := range map[error]int{errFull: 74, errBroken: 69} {
		for failAt := 1; ; failAt++ {
			root := t.TempDir()
			dir := filepath.Join(root, "checkpoints")
			mustSave(t, dir, testState(1))
			mustSave(t, dir, testState(2))
			r := &recorder{root: root, failAt: failAt, err: cause}
			path, err := save(context.Background(), r, dir, testState(2+int64(failAt%2))) // replaces step 2 or adds step 3
			if err == nil && r.seen < failAt {
				break
			}
			checkFailedSave(t, dir, path, err, exit, fmt.Sprintf("%v at operation %d", cause, failAt))
		}
	}
}

func checkFailedSave(t *testing.T, dir, path string, err error, exit int, what string) {
	t.Helper()
	if err != nil && (fault.ExitCode(err) != exit || path != "") {
		t.Errorf("%s: path %q, error %v with exit code %d, want %d", what, path, err, fault.ExitCode(err), exit)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, temporaryPrefix+"*")); len(left) > 0 {
		t.Errorf("%s: left %q", what, left)
	}
	for range 2 { // before and after Clean
		if state, _, warnings, err := Restore(dir); err != nil || state.Step < 2 || len(warnings) > 0 {
			t.Errorf("%s: Restore gives %v, %q", what, err, warnings)
		}
		if err := Clean(dir); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSaveStopsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	mustSave(t, dir, testState(1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Save(ctx, dir, testState(2)); !errors.Is(err, context.Canceled) {
		t.Errorf("Save gives %v", err)
	}
	children, _ := os.ReadDir(dir)
	if state, _, _, err := Restore(dir); err != nil || state.Step != 1 || len(children) != 1 {
		t.Errorf("%d entries left, Restore gives %v", len(children), err)
	}
}
