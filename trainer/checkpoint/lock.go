package checkpoint

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"elektron/internal/fault"
)

const lockName = ".lock"

// Lock is the right to write into an output directory. The kernel takes it back when the process ends, however it ends.
type Lock struct{ file *flock.Flock }

// owner is what a lock file says about who holds it.
type owner struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

// LockDir makes dir if need be and locks it for this process. If another process has it, the error is [fault.Locked] and
// names that process; if it cannot be written to, [fault.Storage].
func LockDir(dir string) (*Lock, error) {
	if err := makeFolder(disk{}, dir); err != nil {
		return nil, fault.Wrap(fault.Storage, err, "checkpoint: cannot make the output directory %s; choose another with --out", dir)
	}
	path := filepath.Join(dir, lockName)
	lock := &Lock{flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))}
	locked, err := lock.file.TryLock()
	if err != nil {
		return nil, fault.Wrap(fault.Storage, err, "checkpoint: the output directory %s cannot be written to or locked; check its permissions or choose another with --out", dir)
	}
	if !locked {
		return nil, fault.New(fault.Locked, "checkpoint: the output directory %s is in use by %s; wait for it, stop it, or choose another --out", dir, readOwner(path))
	}
	if err := writeOwner(path); err != nil {
		lock.file.Unlock()
		return nil, fault.Wrap(fault.Storage, err, "checkpoint: cannot write %s", path)
	}
	return lock, nil
}

// Release gives the directory back. The lock file stays, empty: removing it would let two processes lock two files
// of the same name.
func (l *Lock) Release() error {
	err := os.Truncate(l.file.Path(), 0)
	if unlockErr := l.file.Unlock(); err == nil {
		err = unlockErr
	}
	return fault.Wrap(fault.Storage, err, "checkpoint: cannot release %s", l.file.Path())
}

func writeOwner(path string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	text, err := json.Marshal(owner{PID: os.Getpid(), Host: host, Started: time.Now().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// readOwner describes the holder of the lock. It may have locked the file a moment ago and not yet written its name, so
// this tries for a short while.
func readOwner(path string) string {
	for range 20 {
		var who owner
		if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &who) == nil {
			return fmt.Sprintf("process %d on host %q since %s", who.PID, who.Host, who.Started.Format(time.RFC3339))
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "another process"
}
