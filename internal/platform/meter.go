package platform

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"
)

// meterInterval is how often an installation says how far it is.
var meterInterval = 10 * time.Second

// meter tells how far an installation is, whoever does the downloads, by the size of what lies on disk.
type meter struct {
	say     func(string)
	total   int64 // bytes to fetch, 0 if nobody knows
	started time.Time

	mutex   sync.Mutex
	now     string // what is being done, without its size
	wheel   pin    // being fetched into folder; no project where nothing is
	folder  string
	before  int64 // bytes of the wheels that are done
	fetched int64 // of these, those of this run
}

// newMeter starts to tell. The function that it returns ends that.
func newMeter(p pin, say func(string)) (m *meter, done func()) {
	m = &meter{say: say, total: p.download(), started: time.Now(), now: "beginning"}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(meterInterval)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				m.say(m.line())
			}
		}
	}()
	return m, func() { close(stop); <-stopped }
}

// skip counts a wheel that an earlier run fetched.
func (m *meter) skip(wheel pin) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.before += wheel.archiveSize
}

// doing says what is done from now on, other than fetching.
func (m *meter) doing(format string, args ...any) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.now = fmt.Sprintf(format, args...)
}

// fetching watches a wheel arrive in a folder until the function that it returns is called.
func (m *meter) fetching(wheel pin, folder string) (done func()) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.now, m.wheel, m.folder = "fetching "+wheel.String(), wheel, folder
	return func() {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		m.before += wheel.archiveSize
		m.fetched += wheel.archiveSize
		m.wheel = pin{}
	}
}

// line is one line of progress.
func (m *meter) line() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var arrived int64
	if m.wheel.project != "" {
		arrived = min(sizeOf(m.folder), m.wheel.archiveSize) // pip copies it at the end
	}
	speed := float64(m.fetched+arrived) / time.Since(m.started).Seconds()
	if m.total == 0 || speed == 0 {
		return m.now
	}
	left := time.Duration(float64(m.total-m.before-arrived) / speed * float64(time.Second))
	return fmt.Sprintf("%s: %s of %s fetched, about %s left", m.now, megabytes(m.before+arrived), megabytes(m.total), left.Round(time.Second))
}

// sizeOf adds up the sizes of the files in a folder. Files that come and go meanwhile do no harm.
func sizeOf(folder string) (size int64) {
	filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}
