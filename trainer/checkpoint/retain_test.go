package checkpoint

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"elektron/internal/fault"
)

// steps lists what is left in dir, hidden names included.
func steps(t *testing.T, dir string) (found []int64) {
	t.Helper()
	entries, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, e.Step)
	}
	if children, _ := os.ReadDir(dir); len(children) != len(found) {
		t.Errorf("%s holds %v beside the checkpoints", dir, children)
	}
	return found
}

func TestRetain(t *testing.T) {
	cases := []struct {
		name         string
		steps        []int64
		policy       Retention
		want         []int64
		removedCount int
	}{
		{"default keeps three", []int64{10, 20, 30, 40, 50}, Retention{}, []int64{30, 40, 50}, 2},
		{"last one", []int64{10, 20, 30}, Retention{Last: 1}, []int64{30}, 2},
		{"every 20th too", []int64{10, 20, 30, 40, 50, 60, 70}, Retention{Last: 2, Every: 20}, []int64{20, 40, 60, 70}, 3},
		{"fewer than kept", []int64{10, 20}, Retention{Last: 5}, []int64{10, 20}, 0},
		{"none", nil, Retention{}, nil, 0},
		{"in order of steps, not of names", []int64{99999999, 100000000, 5}, Retention{Last: 1}, []int64{100000000}, 2},
	}
	for _, c := range cases {
		dir := t.TempDir()
		for _, step := range c.steps {
			mustSave(t, dir, testState(step))
		}
		removed, err := Retain(dir, c.policy)
		if got := steps(t, dir); err != nil || !reflect.DeepEqual(got, c.want) || len(removed) != c.removedCount {
			t.Errorf("%s: left %v, removed %v, error %v; want %v", c.name, got, removed, err, c.want)
		}
	}
}

func TestRetainNeverDeletesTheOnlyGoodOne(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for step := int64(1); step <= 4; step++ {
		paths = append(paths, mustSave(t, dir, testState(step)))
	}
	for _, path := range paths[2:] {
		os.Truncate(filepath.Join(path, dataName), 10)
	}
	if _, err := Retain(dir, Retention{Last: 2}); fault.KindOf(err) != fault.Data {
		t.Errorf("Retain gives %v", err)
	}
	if got := steps(t, dir); len(got) != 4 {
		t.Errorf("only %v left", got)
	}
	if _, err := Retain(dir, Retention{Last: 3}); err != nil { // step 2 is good and stays
		t.Error(err)
	}
	if got := steps(t, dir); !reflect.DeepEqual(got, []int64{2, 3, 4}) {
		t.Errorf("left %v", got)
	}
}

func TestClean(t *testing.T) {
	dir := t.TempDir()
	mustSave(t, dir, testState(2))
	for _, name := range []string{".tmp-step-00000003", ".trash-step-00000001", ".old-step-00000002"} {
		os.Mkdir(filepath.Join(dir, name), 0o755)
		os.WriteFile(filepath.Join(dir, name, dataName), []byte("x"), 0o644)
	}
	other := filepath.Join(dir, ".notes")
	os.WriteFile(other, nil, 0o644)
	if err := Clean(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("Clean removed a file that is not its own")
	}
	os.Remove(other)
	if got := steps(t, dir); !reflect.DeepEqual(got, []int64{2}) {
		t.Errorf("left %v", got)
	}
	if err := Clean(filepath.Join(dir, "nothing")); err != nil {
		t.Errorf("no folder, nothing to clean: %v", err)
	}
}
