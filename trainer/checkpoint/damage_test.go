package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"elektron/internal/fault"
)

// twoCheckpoints saves steps 1 and 2 and returns the folder and the path of step 2.
func twoCheckpoints(t *testing.T) (dir, newest string) {
	dir = t.TempDir()
	mustSave(t, dir, testState(1))
	return dir, mustSave(t, dir, testState(2))
}

// expectFallback checks that the newest checkpoint is refused as bad data, and that Restore says so and takes step 1.
func expectFallback(t *testing.T, dir, newest, what string) {
	t.Helper()
	if _, err := Load(newest); fault.KindOf(err) != fault.Data || fault.ExitCode(err) != 65 {
		t.Errorf("%s: Load gives %v", what, err)
	}
	if _, err := Verify(newest); fault.ExitCode(err) != 65 {
		t.Errorf("%s: Verify gives %v", what, err)
	}
	state, _, warnings, err := Restore(dir)
	if err != nil || state.Step != 1 || len(warnings) != 1 || !strings.Contains(warnings[0], newest) {
		t.Errorf("%s: Restore gives %v, warnings %q", what, err, warnings)
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	dir, newest := twoCheckpoints(t)
	for _, name := range []string{dataName, manifestName} {
		path := filepath.Join(newest, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := range good {
			for bit := range 8 {
				good[at] ^= 1 << bit
				if err := os.WriteFile(path, good, 0o644); err != nil {
					t.Fatal(err)
				}
				good[at] ^= 1 << bit
				if _, err := Load(newest); fault.ExitCode(err) != 65 {
					t.Fatalf("%s: byte %d bit %d flipped: Load gives %v", name, at, bit, err)
				}
			}
			if at%16 == 0 { // bit 7 is still flipped
				expectFallback(t, dir, newest, fmt.Sprintf("%s: byte %d", name, at))
			}
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if state, _, _, err := Restore(dir); err != nil || state.Step != 2 {
		t.Errorf("undamaged again: %v", err)
	}
}

func TestTruncatedAndLengthened(t *testing.T) {
	dir, newest := twoCheckpoints(t)
	for _, name := range []string{dataName, manifestName} {
		path := filepath.Join(newest, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for size := range good {
			if err := os.WriteFile(path, good[:size], 0o644); err != nil {
				t.Fatal(err)
			}
			expectFallback(t, dir, newest, fmt.Sprintf("%s of %d bytes", name, size))
		}
		os.WriteFile(path, append(good[:len(good):len(good)], 0), 0o644)
		expectFallback(t, dir, newest, name+" with a byte more")
		os.WriteFile(path, good, 0o644)
	}
}

func TestDamageIsNamed(t *testing.T) {
	dir := t.TempDir()
	path := mustSave(t, dir, testState(7))
	flip := func(at int) {
		data, _ := os.ReadFile(filepath.Join(path, dataName))
		data[at] ^= 1
		os.WriteFile(filepath.Join(path, dataName), data, 0o644)
	}
	flip(130) // the second tensor begins at 128
	_, err := Load(path)
	for _, part := range []string{dataName, `"step"`, "offset 128", "CRC32C"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	if _, _, _, err := Restore(dir); fault.ExitCode(err) != 65 || errors.Is(err, ErrNone) {
		t.Errorf("the only checkpoint is bad: Restore gives %v, never a fresh start", err)
	}
}

// wrongThings are what may lie where a file should be.
var wrongThings = map[string]func(path string) error{
	"missing":         func(string) error { return nil },
	"a folder":        func(path string) error { return os.Mkdir(path, 0o755) },
	"a dangling link": func(path string) error { return os.Symlink("nowhere", path) },
}

func TestWrongThingsInPlaceOfFiles(t *testing.T) {
	for what, put := range wrongThings {
		for _, name := range []string{dataName, manifestName} {
			dir, newest := twoCheckpoints(t)
			path := filepath.Join(newest, name)
			if err := errors.Join(os.Remove(path), put(path)); err != nil {
				t.Fatal(err)
			}
			expectFallback(t, dir, newest, name+" is "+what)
		}
	}
	dir, newest := twoCheckpoints(t)
	renamed := filepath.Join(dir, stepName(3))
	if err := os.Rename(newest, renamed); err != nil {
		t.Fatal(err)
	}
	if state, _, warnings, err := Restore(dir); err != nil || state.Step != 1 || len(warnings) != 1 {
		t.Errorf("a folder with another step's name: %v, %q", err, warnings)
	}
}

func TestUnreadableIsNotDamage(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	dir, newest := twoCheckpoints(t)
	os.Chmod(filepath.Join(newest, dataName), 0)
	if _, _, _, err := Restore(dir); fault.ExitCode(err) != 69 {
		t.Errorf("a checkpoint without read permission: %v, must not fall back to an older one", err)
	}
}

func TestChecksumJoin(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		text := make([]byte, random.IntN(3000))
		for i := range text {
			text[i] = byte(random.Uint32())
		}
		cut := random.IntN(len(text) + 1)
		whole := checksum(0).extend(text)
		joined := checksum(0).extend(text[:cut]).join(checksum(0).extend(text[cut:]), int64(len(text)-cut))
		if whole != joined {
			t.Fatalf("%d bytes cut at %d: %s, want %s", len(text), cut, joined, whole)
		}
	}
	if got := checksum(0).extend([]byte("123456789")); got != 0xe3069283 {
		t.Errorf("CRC32C of the standard check text is %s", got)
	}
}
