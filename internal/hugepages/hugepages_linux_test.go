//go:build cgo && linux

package hugepages

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The test binary runs itself again as a program that asks, and says what it finds itself to be.
const childVariable = "ELEKTRON_HUGEPAGES_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	Ask()
	fmt.Printf("%d %s %s\n", os.Getpid(), os.Getenv(variable), strings.Join(os.Args[1:], " "))
}

// TestAsk: the process stays the same one with the same arguments, is started again once, and keeps what its environment
// says.
func TestAsk(t *testing.T) {
	mode, _ := os.ReadFile(kernel)
	if !strings.Contains(string(mode), "[madvise]") {
		t.Skipf("the kernel's mode of huge pages is %q, not madvise: nothing is asked", strings.TrimSpace(string(mode)))
	}
	for before, after := range map[string]string{
		"":                            tunable + "=1",
		"glibc.malloc.tcache_count=3": "glibc.malloc.tcache_count=3:" + tunable + "=1",
		tunable + "=0":                tunable + "=0",
		"glibc.cpu.x86_ibt=off:" + tunable + "=2": "glibc.cpu.x86_ibt=off:" + tunable + "=2",
	} {
		child := exec.Command(os.Args[0], "a b", "-c")
		child.Env = append(os.Environ(), childVariable+"=1", variable+"="+before)
		out, err := child.Output()
		if want := fmt.Sprintf("%d %s a b -c\n", child.Process.Pid, after); err != nil || string(out) != want {
			t.Errorf("%s=%s: %q, %v; want %q", variable, before, out, err, want)
		}
	}
}

// TestPause: pages are small while at least one pauses.
func TestPause(t *testing.T) {
	small := func() bool {
		on, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0)
		if err != nil {
			t.Skip(err)
		}
		return on != 0
	}
	first, second := Pause(), Pause()
	first()
	if !small() {
		t.Error("one of two has ended, and pages are large")
	}
	if second(); small() {
		t.Error("both have ended, and pages are small")
	}
}
