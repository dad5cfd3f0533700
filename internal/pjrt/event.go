package pjrt

import "elektron/internal/fault"

// Event tells when something that runs on its own is done: an execution, or a copy from or to the host. It
// belongs to one goroutine at a time, which calls Await or Close.
type Event struct {
	client  *Client
	what    string
	handles []handle // one a device
	pins    pinner   // the host's memory that is being copied
	copies  bool
	freed   bool
	err     error
}

func (c *Client) newEvent(what string, handles ...handle) *Event {
	c.retain()
	live.events.Add(1)
	return &Event{client: c, what: what, handles: handles}
}

// Await blocks until it is done, frees the event, and returns the error with which it ended. Called again it
// returns the same at once.
func (e *Event) Await() error {
	for _, h := range e.handles {
		if err := call(e.client.plugin, fnEventAwait, &objectArgs{object: h}); err != nil && e.err == nil {
			e.err = wrap(fault.Device, err, "%s", e.what)
		}
	}
	e.free()
	return e.err
}

// Ready says whether Await would return at once. It does not block.
func (e *Event) Ready() (bool, error) {
	for _, h := range e.handles {
		ready, err := e.client.plugin.flag(fnEventIsReady, h)
		if err != nil {
			return false, wrap(fault.Device, err, "asking whether %s is done", e.what)
		}
		if !ready {
			return false, nil
		}
	}
	return true, nil
}

// Close frees the event of something whose end nobody asks for. It does not block, except for a copy: until that
// is done, the host's memory is in use.
func (e *Event) Close() {
	if e.copies && !e.freed {
		e.Await()
	}
	e.free()
}

func (e *Event) free() {
	if e.freed {
		return
	}
	for _, h := range e.handles {
		e.client.plugin.destroy(fnEventDestroy, h)
	}
	e.handles, e.freed = nil, true
	e.pins.Unpin()
	live.events.Add(-1)
	e.client.release()
}
