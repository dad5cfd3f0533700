package checkpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"elektron/internal/fault"
)

// The test binary runs itself again as the process to be killed; this variable says what it shall do there, in which folder.
const childVariable = "ELEKTRON_CHECKPOINT_CHILD"

func TestMain(m *testing.M) {
	if task, dir, ok := strings.Cut(os.Getenv(childVariable), ":"); ok {
		os.Exit(child(task, dir))
	}
	os.Exit(m.Run())
}

// child saves for ever, or takes a lock and keeps it until its input ends.
func child(task, dir string) int {
	lock, err := LockDir(dir)
	if err != nil {
		fmt.Println(err)
		return fault.ExitCode(err)
	}
	if task == "lock" {
		fmt.Println("locked")
		io.Copy(io.Discard, os.Stdin)
		if err := lock.Release(); err != nil {
			return 1
		}
		return 0
	}
	checkpoints := filepath.Join(dir, "checkpoints")
	start := int64(0)
	state, _, warnings, err := Restore(checkpoints)
	if err == nil {
		start = state.Step
	}
	if err := Clean(checkpoints); err != nil || len(warnings) > 0 {
		return 1
	}
	for step := start + 1; ; step++ {
		if _, err := Save(context.Background(), checkpoints, killState(step)); err != nil {
			return 1
		}
		fmt.Println(step) // acknowledged
		if _, err := Retain(checkpoints, Retention{Last: 2}); err != nil {
			return 1
		}
	}
}

// killState is large enough that a kill often lands inside a save.
func killState(step int64) *State {
	state := testState(step)
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(int64(i) * step >> 3)
	}
	state.Tensors = append(state.Tensors, Tensor{"large", "int32", []int{len(data) / 4}, data})
	return state
}

func startChild(t *testing.T, task, dir string) (*exec.Cmd, io.WriteCloser, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), childVariable+"="+task+":"+dir)
	input, err1 := command.StdinPipe()
	output, err2 := command.StdoutPipe()
	if err := errors.Join(err1, err2, command.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill(); command.Wait() })
	return command, input, bufio.NewScanner(output)
}

// TestKilledWhileSaving kills a process that saves all the time, at random moments, and starts it again in the same folder.
func TestKilledWhileSaving(t *testing.T) {
	trials := 30
	if text := os.Getenv("ELEKTRON_KILLS"); text != "" {
		trials, _ = strconv.Atoi(text)
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	acknowledged, inside := int64(0), 0
	for trial := range trials {
		command, _, output := startChild(t, "save", dir)
		if !output.Scan() {
			t.Fatalf("trial %d: the child ended: %s", trial, output.Text())
		}
		timer := time.AfterFunc(time.Duration(random.IntN(60_000))*time.Microsecond, func() { command.Process.Kill() })
		for more := true; more; more = output.Scan() {
			if step, err := strconv.ParseInt(output.Text(), 10, 64); err == nil {
				acknowledged = max(acknowledged, step)
			}
		}
		command.Wait()
		timer.Stop()
		checkpoints := filepath.Join(dir, "checkpoints")
		if left, _ := filepath.Glob(filepath.Join(checkpoints, ".*")); len(left) > 0 {
			inside++
		}
		state, _, warnings, err := Restore(checkpoints)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("trial %d: %v, warnings %q", trial, err, warnings)
		}
		if state.Step < acknowledged || !reflect.DeepEqual(state, killState(state.Step)) {
			t.Fatalf("trial %d: restored step %d, acknowledged was %d", trial, state.Step, acknowledged)
		}
	}
	t.Logf("%d kills, %d of them inside a save or a deletion; %d saves acknowledged, none lost", trials, inside, acknowledged)
}

func TestLockNamesItsOwnerAndDiesWithIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	command, _, output := startChild(t, "lock", dir)
	if !output.Scan() || output.Text() != "locked" {
		t.Fatalf("the child says %q", output.Text())
	}
	_, err := LockDir(dir)
	host, _ := os.Hostname()
	for _, part := range []string{dir, fmt.Sprintf("process %d", command.Process.Pid), host, strconv.Itoa(time.Now().Year())} {
		if fault.ExitCode(err) != 73 || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	command.Process.Kill()
	command.Wait()
	lock, err := LockDir(dir)
	if err != nil {
		t.Fatalf("after kill -9: %v", err)
	}
	if _, err := LockDir(dir); fault.KindOf(err) != fault.Locked {
		t.Errorf("twice in one process: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
	again, err := LockDir(dir)
	if err != nil {
		t.Fatalf("after Release: %v", err)
	}
	again.Release()
}

func TestLockRaceHasOneWinner(t *testing.T) {
	for range 10 {
		dir := filepath.Join(t.TempDir(), "run")
		const racers = 4
		var inputs [racers]io.WriteCloser
		var answers [racers]chan string
		for i := range racers {
			_, input, output := startChild(t, "lock", dir)
			inputs[i], answers[i] = input, make(chan string, 1)
			go func() {
				output.Scan()
				answers[i] <- output.Text()
			}()
		}
		winners := 0
		for i := range racers {
			switch answer := <-answers[i]; {
			case answer == "locked":
				winners++
			case !strings.Contains(answer, "in use by"):
				t.Errorf("a loser says %q", answer)
			}
		}
		if winners != 1 {
			t.Errorf("%d winners", winners)
		}
		for _, input := range inputs {
			input.Close()
		}
	}
}

func TestLockFileFromAnotherHand(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, lockName)
	lock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	for text, want := range map[string]string{
		"": "another process",
		"{\"pid\":1,\"host\":\"a\\u001b[31m\\nb\"}": `"a\x1b[31m\nb"`,
	} {
		os.WriteFile(path, []byte(text), 0o600)
		if _, err := LockDir(dir); err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestUnwritableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o644)
	dirs := []string{filepath.Join(file, "run"), file}
	if os.Getuid() != 0 {
		closed := t.TempDir()
		os.Chmod(closed, 0o555)
		dirs = append(dirs, closed, filepath.Join(closed, "run"))
	}
	for _, dir := range dirs {
		if _, err := LockDir(dir); fault.ExitCode(err) != 69 || !strings.Contains(err.Error(), dir) {
			t.Errorf("LockDir(%s) gives %v", dir, err)
		}
		if _, err := Save(context.Background(), dir, testState(1)); fault.ExitCode(err) != 69 || !strings.Contains(err.Error(), dir) {
			t.Errorf("Save(%s) gives %v", dir, err)
		}
	}
}

func TestStateThatCannotBeSaved(t *testing.T) {
	good := testState(1).Tensors[1]
	with := func(change func(*Tensor)) []Tensor {
		tensor := good
		change(&tensor)
		return []Tensor{good, tensor}
	}
	cases := map[string]*State{
		"name twice":    {Tensors: with(func(*Tensor) {})},
		"name":          {Tensors: with(func(t *Tensor) { t.Name = "a/b" })},
		"type":          {Tensors: with(func(t *Tensor) { t.Name, t.DType = "b", "complex64" })},
		"shape":         {Tensors: with(func(t *Tensor) { t.Name, t.Shape = "b", []int{2} })},
		"negative step": {Step: -1},
		"meta":          {Meta: []byte(`{"a":`)},
		"large meta":    {Meta: []byte(`"` + strings.Repeat("a", maxManifestSize) + `"`)},
	}
	for name, state := range cases {
		dir := filepath.Join(t.TempDir(), "checkpoints")
		if _, err := Save(context.Background(), dir, state); fault.KindOf(err) != fault.Internal {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a folder was made", name)
		}
	}
}
