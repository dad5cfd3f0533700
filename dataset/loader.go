package dataset

import (
	"context"
	"runtime"
	"sync"
	"time"

	"elektron/internal/fault"
)

// LoaderOptions says which batches a Loader makes ahead of time.
type LoaderOptions struct {
	First            int64 // step of the first batch
	Depth            int   // batches in memory at most, the one being made included; 0 means 8
	Workers          int   // goroutines; 0 means 2, or 1 on one core
	RowStart, RowEnd int   // rows to fill, for a host that needs only some; both 0 means all
}

const defaultDepth = 8

// Loader makes the batches of successive steps ahead of time and hands them out in order. Batches are not
// recycled: a device may still read one while the next is made, and the garbage is small.
type Loader struct {
	data    *Dataset
	options LoaderOptions
	slots   []chan loaded // step s arrives in slots[s % Depth]
	room    chan struct{} // one element for each batch that is made or waits to be taken
	stop    chan struct{}
	group   sync.WaitGroup

	claim sync.Mutex
	next  int64 // step that the next free worker makes; guarded by claim

	take   int64 // step that Next returns; Next and Close are for one goroutine
	closed bool
}

type loaded struct {
	batch *Batch
	err   error
}

// NewLoader starts making batches. Close it.
func NewLoader(d *Dataset, o LoaderOptions) *Loader {
	if o.Depth <= 0 {
		o.Depth = defaultDepth
	}
	if o.Workers <= 0 {
		o.Workers = min(2, runtime.GOMAXPROCS(0))
	}
	if o.RowStart == 0 && o.RowEnd == 0 {
		o.RowEnd = d.options.BatchSize
	}
	l := &Loader{
		data: d, options: o, next: o.First, take: o.First,
		slots: make([]chan loaded, o.Depth), room: make(chan struct{}, o.Depth), stop: make(chan struct{}),
	}
	for i := range l.slots {
		l.slots[i] = make(chan loaded, 1)
	}
	for range min(o.Workers, o.Depth) {
		l.group.Go(l.work)
	}
	return l
}

// work makes batches until Close. A worker takes room before it claims a step, so the claimed steps are
// at most Depth ahead of the one that Next takes: the step's slot is empty and the worker never waits to
// hand over.
func (l *Loader) work() {
	for {
		select {
		case <-l.stop:
			return
		case l.room <- struct{}{}:
		}
		l.claim.Lock()
		step := l.next
		l.next++
		l.claim.Unlock()
		b := l.data.newBatch()
		err := l.data.FillRows(b, step, l.options.RowStart, l.options.RowEnd)
		l.slot(step) <- loaded{b, err}
	}
}

func (l *Loader) slot(step int64) chan loaded { return l.slots[step%int64(len(l.slots))] }

// Next returns the batch of the next step and how long the caller had to wait for it. It ends with the
// context's error when that comes first. After an error in the data the loader gives the same one again.
func (l *Loader) Next(ctx context.Context) (*Batch, time.Duration, error) {
	if l.closed {
		return nil, 0, fault.New(fault.Internal, "dataset: Next on a closed loader")
	}
	begin := time.Now()
	slot := l.slot(l.take)
	select {
	case got := <-slot:
		if got.err != nil {
			slot <- got
			return nil, time.Since(begin), got.err
		}
		<-l.room
		l.take++
		return got.batch, time.Since(begin), nil
	case <-ctx.Done():
		return nil, time.Since(begin), ctx.Err()
	}
}

// Close stops the workers and waits for them: no goroutine is left. It may be called more than once.
func (l *Loader) Close() {
	if !l.closed {
		l.closed = true
		close(l.stop)
	}
	l.group.Wait()
}
