package pjrt

import (
	"fmt"
	"unsafe"

	"elektron/internal/fault"
)

// Executable is a compiled program: what it needs and gives, not yet on a device.
type Executable struct {
	Name                       string
	NumReplicas, NumPartitions int
	Outputs                    []Output // of one device

	plugin  *Plugin
	handle  handle
	release func() // lets the client or topology go
}

// Output is one result of a program on one device.
type Output struct {
	Type       ElementType
	Dims       []int
	MemoryKind string // where it lies, such as device or pinned_host; empty where the plugin does not say
}

func (o Output) String() string { return fmt.Sprintf("%s%v", o.Type, o.Dims) }

// newExecutable takes over an executable and reads what never changes. release is called when it is closed.
func (p *Plugin) newExecutable(h handle, release func()) (*Executable, error) {
	e := &Executable{plugin: p, handle: h, release: release}
	live.executables.Add(1)
	if err := e.describe(); err != nil {
		e.Close()
		return nil, wrap(fault.Device, err, "asking about a compiled program")
	}
	return e, nil
}

func (e *Executable) describe() (err error) {
	if e.Name, err = e.plugin.text(fnExecutableName, e.handle); err != nil {
		return err
	}
	if e.NumReplicas, err = e.plugin.count(fnExecutableNumReplicas, e.handle); err != nil {
		return err
	}
	if e.NumPartitions, err = e.plugin.count(fnExecutableNumPartitions, e.handle); err != nil {
		return err
	}
	count, err := e.plugin.count(fnExecutableNumOutputs, e.handle)
	if err != nil {
		return err
	}
	e.Outputs = make([]Output, count)
	if err = e.describeOutputs(); err != nil {
		return err
	}
	return e.describeMemoryKinds()
}

// describeOutputs reads types and dimensions.
func (e *Executable) describeOutputs() error {
	types := &elementTypesArgs{executable: e.handle}
	if err := call(e.plugin, fnExecutableOutputElementTypes, types); err != nil {
		return err
	}
	dims := &outputDimensionsArgs{executable: e.handle, count: uintptr(len(e.Outputs))}
	if err := call(e.plugin, fnExecutableOutputDimensions, dims); err != nil {
		return err
	}
	kinds, ranks := clone(types.types, types.count), clone(dims.ranks, dims.count)
	if len(kinds) != len(e.Outputs) || len(ranks) != len(e.Outputs) {
		return fault.New(fault.Device, "the plugin says that it has %d outputs, but of %d types and %d shapes", len(e.Outputs), len(kinds), len(ranks))
	}
	next := dims.dims
	for i := range e.Outputs {
		e.Outputs[i].Type, e.Outputs[i].Dims = ElementType(kinds[i]), ints(next, ranks[i])
		next = (*int64)(unsafe.Add(unsafe.Pointer(next), ranks[i]*unsafe.Sizeof(*next)))
	}
	return nil
}

// describeMemoryKinds reads where outputs lie; not all plugins know.
func (e *Executable) describeMemoryKinds() error {
	args := &memoryKindsArgs{executable: e.handle}
	if err := call(e.plugin, fnExecutableOutputMemoryKinds, args); err != nil {
		if CodeOf(err) == Unimplemented {
			return nil
		}
		return err
	}
	if args.kinds == nil || args.sizes == nil || args.count != uintptr(len(e.Outputs)) {
		return nil
	}
	starts, sizes := unsafe.Slice(args.kinds, args.count), unsafe.Slice(args.sizes, args.count)
	for i := range e.Outputs {
		e.Outputs[i].MemoryKind = text(starts[i], sizes[i])
	}
	return nil
}

// ProgramMemory is the memory that a program takes while it runs, in bytes on one device. The state that is
// aliased counts in Arguments and in Outputs: together they take Arguments + Outputs - Aliased.
type ProgramMemory struct {
	Arguments, Outputs, Aliased, Temporaries, Code int64
	Peak                                           int64 // of all of it together; 0 where the plugin does not say

	HostArguments, HostOutputs, HostAliased, HostTemporaries, HostCode int64 // the same in the host's memory
}

// Memory says how much memory the program takes.
func (e *Executable) Memory() (ProgramMemory, error) {
	if err := e.check(); err != nil {
		return ProgramMemory{}, err
	}
	args := &compiledMemoryStatsArgs{executable: e.handle}
	if err := call(e.plugin, fnExecutableMemoryStats, args); err != nil {
		return ProgramMemory{}, wrap(fault.Device, err, "asking for the memory of a compiled program")
	}
	return ProgramMemory{
		Arguments: args.arguments, Outputs: args.outputs, Aliased: args.aliased, Temporaries: args.temporaries, Code: args.code, Peak: args.peak,
		HostArguments: args.hostArguments, HostOutputs: args.hostOutputs, HostAliased: args.hostAliased,
		HostTemporaries: args.hostTemporaries, HostCode: args.hostCode,
	}, nil
}

// CostAnalysis is what the compiler thinks the program costs, such as flops, "bytes accessed" and
// optimal_seconds. The names are the plugin's. Loops may be counted once.
func (e *Executable) CostAnalysis() (map[string]float64, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	args := &countedNamedArgs{object: e.handle}
	if err := call(e.plugin, fnExecutableGetCostAnalysis, args); err != nil {
		return nil, wrap(fault.Device, err, "asking for the cost of a compiled program")
	}
	costs := map[string]float64{}
	for name, value := range values(args.list, args.count) {
		switch value := value.(type) {
		case float32:
			costs[name] = float64(value)
		case int64:
			costs[name] = float64(value)
		}
	}
	return costs, nil
}

// OptimizedProgram is the program as the compiler left it and the format it is in: hlo_with_config is an HLO
// proto that package hlo reads.
func (e *Executable) OptimizedProgram() (code []byte, format string, err error) {
	if err := e.check(); err != nil {
		return nil, "", err
	}
	var pins pinner
	defer pins.Unpin()
	optimized := &program{head: head{structSize: structSize[program]()}}
	args := &optimizedProgramArgs{executable: e.handle, program: address(&pins, optimized)}
	if err := call(e.plugin, fnExecutableOptimizedProgram, args); err != nil {
		return nil, "", wrap(fault.Device, err, "asking for the optimised program")
	}
	code = make([]byte, optimized.codeSize)
	optimized.code = pins.bytes(code)
	if err := call(e.plugin, fnExecutableOptimizedProgram, args); err != nil {
		return nil, "", wrap(fault.Device, err, "asking for the optimised program")
	}
	return code, text(*(**byte)(unsafe.Pointer(&optimized.format)), optimized.formatSize), nil
}

// Fingerprint is the plugin's own name for the program: equal for the same program, options and compiler. Not
// every plugin has one: then CodeOf(err) is Unimplemented.
func (e *Executable) Fingerprint() (string, error) {
	if err := e.check(); err != nil {
		return "", err
	}
	s, err := e.plugin.text(fnExecutableFingerprint, e.handle)
	return s, wrap(fault.Device, err, "asking for a program's fingerprint")
}

// check refuses what is asked of a closed executable.
func (e *Executable) check() error {
	if e.handle == 0 {
		return fault.New(fault.Internal, "this PJRT executable is closed")
	}
	return nil
}

// Close frees it.
func (e *Executable) Close() {
	if e == nil || e.handle == 0 {
		return
	}
	e.plugin.destroy(fnExecutableDestroy, e.handle)
	e.handle = 0
	live.executables.Add(-1)
	e.release()
}
