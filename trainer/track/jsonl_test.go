package track

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"elektron/internal/fault"
)

// The test binary runs itself again as a process that writes lines until it is killed.
const childVariable = "ELEKTRON_TRACK_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		os.Exit(writeForEver(path))
	}
	os.Exit(m.Run())
}

func writeForEver(path string) int {
	lines, err := OpenJSONL(path, math.MaxInt64)
	if err != nil {
		return 1
	}
	for step := int64(1); ; step++ {
		if lines.Log(example(step, "")) != nil {
			return 1
		}
		fmt.Println(step)
	}
}

// session logs the given steps in a run that goes on after step from.
func session(t *testing.T, path string, from int64, steps ...int64) {
	t.Helper()
	lines, err := OpenJSONL(path, from)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if err := lines.Log(example(step, "")); err != nil {
			t.Fatal(err)
		}
	}
	if err := lines.Finish(); err != nil {
		t.Fatal(err)
	}
}

func readSteps(t *testing.T, path string) []int64 {
	t.Helper()
	all, err := ReadMetrics(path)
	if err != nil {
		t.Fatal(err)
	}
	steps := []int64{}
	for _, m := range all {
		steps = append(steps, m.Step)
		if !same(m, example(m.Step, m.Split)) {
			t.Errorf("step %d was read as %+v", m.Step, m)
		}
	}
	return steps
}

func TestJSONLResume(t *testing.T) {
	cases := []struct {
		name   string
		from   int64
		spoil  string // put after lines 1 to 4
		append []int64
		want   []int64
	}{
		{"nothing lost", 4, "", []int64{5}, []int64{1, 2, 3, 4, 5}},
		{"back to 2", 2, "", []int64{3, 4}, []int64{1, 2, 3, 4}},
		{"torn line", 4, `{"step":5,"lo`, []int64{5}, []int64{1, 2, 3, 4, 5}},
		{"torn at the line break", 4, `{"step":4,"loss":1}`, []int64{5}, []int64{1, 2, 3, 4, 5}},
		{"zero bytes after power loss", 4, strings.Repeat("\x00", 5000), []int64{5}, []int64{1, 2, 3, 4, 5}},
		{"a line that is no metrics", 4, "hello\n", []int64{5}, []int64{1, 2, 3, 4, 5}},
		{"fresh", 0, "", []int64{1}, []int64{1}},
		{"fresh, nothing logged", 0, "", nil, []int64{}},
	}
	for _, c := range cases {
		path := filepath.Join(t.TempDir(), "metrics.jsonl")
		session(t, path, 0, 1, 2, 3, 4)
		text, _ := os.ReadFile(path)
		os.WriteFile(path, append(text, c.spoil...), 0o644)
		session(t, path, c.from, c.append...)
		if got := readSteps(t, path); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: steps %v, want %v", c.name, got, c.want)
		}
	}
}

func TestReadMetricsNamesBadLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	os.WriteFile(path, []byte("{\"step\":1}\n{\"loss\":1}\n{\"step\":3}\n{\"st"), 0o644)
	if _, err := ReadMetrics(path); fault.ExitCode(err) != 65 || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), path) {
		t.Errorf("ReadMetrics gives %v", err)
	}
	if _, err := ReadMetrics(path + "x"); fault.ExitCode(err) != 69 {
		t.Errorf("a missing file: %v", err)
	}
}

func TestKilledWhileLogging(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "metrics.jsonl")
	for trial := range 5 {
		command := exec.Command(self)
		command.Env = append(os.Environ(), childVariable+"="+path)
		output, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 1) // the child is under way
		if _, err := output.Read(first); err != nil {
			t.Fatalf("trial %d: the child said nothing: %v", trial, err)
		}
		timer := time.AfterFunc(time.Duration(trial*7)*time.Millisecond, func() { command.Process.Kill() })
		rest, _ := io.ReadAll(output)
		said := append(first, rest...)
		command.Wait()
		timer.Stop()
		told, logged := strings.Count(string(said), "\n"), len(readSteps(t, path))
		if logged < told {
			t.Fatalf("trial %d: %d lines were logged, %d are there", trial, told, logged)
		}
		os.Remove(path)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	run := Run{Title: "tiny"}
	first, err := OpenFolder(dir, 0, run)
	if err != nil {
		t.Fatal(err)
	}
	logRun(t, first)
	resumed, err := OpenFolder(dir, 1200, run)
	if err != nil {
		t.Fatal(err)
	}
	if got := resumed.ElapsedS(); math.Abs(got-1200*0.085) > 0.01 {
		t.Errorf("%v s in earlier sessions", got)
	}
	m := example(1210, "")
	if err := resumed.Log(m); err != nil {
		t.Fatal(err)
	}
	if err := resumed.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := resumed.Finish(); err != nil {
		t.Fatal(err)
	}
	all, err := ReadMetrics(filepath.Join(dir, "metrics.jsonl"))
	if err != nil || len(all) != 126 || all[125].Step != 1210 {
		t.Errorf("%d lines, %v", len(all), err)
	}
	if page, _ := os.ReadFile(filepath.Join(dir, "report.html")); !strings.Contains(string(page), ">1,210<") || !strings.Contains(string(page), ">1,200<") {
		t.Error("the report lacks the earlier session or the new one")
	}
	if files := eventFiles(t, filepath.Join(dir, "tb", "train")); len(files) != 2 {
		t.Errorf("%d event files", len(files))
	}
	if _, err := OpenFolder(filepath.Join(dir, "missing"), 0, run); fault.ExitCode(err) != 69 {
		t.Errorf("no such folder: %v", err)
	}
}
