package pjrt

import "sync/atomic"

// Counts are numbers of open objects.
type Counts struct {
	Clients, Buffers, Events, Executables, Topologies int64
}

var live struct {
	clients, buffers, events, executables, topologies atomic.Int64
}

// Live counts what was made by this package and not closed yet, in the whole process. Where it grows with the
// steps of a loop, something is not closed.
func Live() Counts {
	return Counts{
		Clients: live.clients.Load(), Buffers: live.buffers.Load(), Events: live.events.Load(),
		Executables: live.executables.Load(), Topologies: live.topologies.Load(),
	}
}
