package pjrt

import (
	"slices"
	"unsafe"

	"elektron/internal/fault"
)

// launch is the memory that one execution lends to the plugin, reused by the next.
type launch struct {
	args         *executeArgs
	options      *executeOptions
	lists        []handle // argument lists, output lists, events
	donated      []int    // which arguments nonDonatable is made for
	nonDonatable []int64
	freed        []handle
}

// Execute starts the program: args[d][i] is argument i on device d of Devices. It returns as soon as the work is
// handed over, at the latest when the program is done (plugins may run short ones at once). The outputs
// [device][output] can be used at once, by further executions too; the event is over when all devices are done.
// An error that comes later is the event's, and that of every output.
//
// The arguments numbered by donate are given up: their buffers are closed by this call and their memory is the
// plugin's, which writes the output into it that the program aliases with the argument (tf.aliasing_output). All
// other arguments stay as they are; those that the program would alias are copied first. If Execute returns an
// error, nothing is closed; Buffer.Deleted tells which donated memory is gone nevertheless.
//
// Execute makes a fixed number of allocations whatever the number of arguments. args and donate are not kept.
func (e *LoadedExecutable) Execute(args [][]*Buffer, donate ...int) (outputs [][]*Buffer, done *Event, err error) {
	if e.loaded == 0 {
		return nil, nil, fault.New(fault.Internal, "this PJRT executable is closed")
	}
	l := e.takeLaunch()
	defer e.keepLaunch(l)
	if err := e.prepare(l, args, donate); err != nil {
		return nil, nil, err
	}
	if err := e.start(l); err != nil {
		return nil, nil, wrap(fault.Device, err, "running %s", e.Name)
	}
	e.giveUp(l, args, donate)
	outputs, done = e.collect(l)
	return outputs, done, nil
}

func (e *LoadedExecutable) takeLaunch() *launch {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	l := e.spare
	e.spare = nil
	if l == nil {
		l = &launch{args: &executeArgs{}, options: &executeOptions{}}
		l.args.structSize, l.options.structSize = structSize[executeArgs](), structSize[executeOptions]()
	}
	return l
}

func (e *LoadedExecutable) keepLaunch(l *launch) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.spare = l
}

// prepare lays the arguments out as the ABI wants them: for each device a list of buffers, and the same of room
// for the outputs, and room for an event.
func (e *LoadedExecutable) prepare(l *launch, args [][]*Buffer, donate []int) error {
	devices, outputs := len(e.devices), len(e.Outputs)
	if len(args) != devices || devices == 0 {
		return fault.New(fault.Internal, "running %s: arguments for %d devices given, it runs on %d of this process", e.Name, len(args), devices)
	}
	count := len(args[0])
	l.lists = slices.Grow(l.lists[:0], devices*(count+outputs+3))[:devices*(count+outputs+3)]
	clear(l.lists)
	for d, list := range args {
		if len(list) != count {
			return fault.New(fault.Internal, "running %s: device %d got %d arguments, device 0 %d", e.Name, d, len(list), count)
		}
		for i, b := range list {
			if b == nil || b.handle == 0 || b.client != e.client {
				return fault.New(fault.Internal, "running %s: argument %d on device %d is closed, was donated, or is of another client", e.Name, i, d)
			}
			l.lists[d*count+i] = b.handle
		}
	}
	l.args.numArgs, l.args.numDevices = uintptr(count), uintptr(devices)
	return e.keepBack(l, count, donate)
}

// keepBack lists the arguments that are not donated.
func (e *LoadedExecutable) keepBack(l *launch, count int, donate []int) error {
	if len(l.nonDonatable)+len(donate) == count && slices.Equal(l.donated, donate) {
		return nil
	}
	given := make([]bool, count)
	for _, i := range donate {
		if i < 0 || i >= count || given[i] {
			return fault.New(fault.Internal, "running %s: argument %d of %d cannot be donated, or is twice", e.Name, i, count)
		}
		given[i] = true
	}
	l.donated, l.nonDonatable = slices.Clone(donate), l.nonDonatable[:0]
	for i := range count {
		if !given[i] {
			l.nonDonatable = append(l.nonDonatable, int64(i))
		}
	}
	return nil
}

// start lends the lists to the plugin for the time of the call.
func (e *LoadedExecutable) start(l *launch) error {
	var pins pinner
	defer pins.Unpin()
	devices, count, outputs := len(e.devices), int(l.args.numArgs), len(e.Outputs)
	base := lend(&pins, l.lists)
	at := func(i int) handle { return base + handle(i)*handle(unsafe.Sizeof(base)) }
	results := devices * count
	events := results + devices*outputs
	tables := events + devices
	for d := range devices {
		l.lists[tables+d] = at(d * count)
		l.lists[tables+devices+d] = at(results + d*outputs)
	}
	l.args.argumentLists, l.args.outputLists, l.args.completeEvents = at(tables), at(tables+devices), at(events)
	l.args.executable, l.args.options = e.loaded, address(&pins, l.options)
	l.options.nonDonatable, l.options.numNonDonatable = lend(&pins, l.nonDonatable), uintptr(len(l.nonDonatable))
	return call(e.client.plugin, fnLoadedExecute, l.args)
}

// giveUp closes the donated buffers.
func (e *LoadedExecutable) giveUp(l *launch, args [][]*Buffer, donate []int) {
	l.freed = l.freed[:0]
	for _, list := range args {
		for _, i := range donate {
			l.freed = append(l.freed, list[i].handle)
			list[i].handle = 0
		}
	}
	if failed := invokeEach(e.client.plugin.functions[fnBufferDestroy.slot], l.freed); failed != 0 {
		e.client.plugin.discard(failed)
	}
	live.buffers.Add(-int64(len(l.freed)))
	e.client.references.Add(-int64(len(l.freed))) // the executable holds the client still
}

// collect takes over the outputs and events that the plugin wrote.
func (e *LoadedExecutable) collect(l *launch) ([][]*Buffer, *Event) {
	devices, outputs := len(e.devices), len(e.Outputs)
	written := l.lists[devices*int(l.args.numArgs):]
	buffers, pointers, lists := make([]Buffer, devices*outputs), make([]*Buffer, devices*outputs), make([][]*Buffer, devices)
	for i := range buffers {
		buffers[i] = Buffer{client: e.client, handle: written[i]}
		pointers[i] = &buffers[i]
	}
	for d := range lists {
		lists[d] = pointers[d*outputs : (d+1)*outputs : (d+1)*outputs]
	}
	live.buffers.Add(int64(len(buffers)))
	e.client.references.Add(int64(len(buffers)))
	return lists, e.client.newEvent("running "+e.Name, slices.Clone(written[len(buffers):len(buffers)+devices])...)
}
