package pjrt

import (
	"maps"
	"math"
	"slices"

	"elektron/internal/fault"

	"google.golang.org/protobuf/encoding/protowire"
)

// CompileOptions say for which devices a program is compiled, and how.
type CompileOptions struct {
	NumReplicas   int // copies that each run the whole program; 0 is 1
	NumPartitions int // parts into which one program is split; 0 is 1

	// SPMD lets XLA split the program by its sharding annotations; Shardy says that they are Shardy's (sdy.mesh,
	// sdy.sharding) rather than GSPMD's.
	SPMD, Shardy bool

	// DeviceAssignment lists the ids of the devices: those of all partitions of replica 0, then of replica 1, and so
	// on. Empty leaves it to the plugin, which takes the first ones.
	DeviceAssignment []int

	// Overrides are debug options of XLA by name, such as xla_tpu_enable_latency_hiding_scheduler: string, bool, int,
	// int64 or float64.
	Overrides map[string]any
}

func (o CompileOptions) devices() (replicas, partitions int) {
	return max(1, o.NumReplicas), max(1, o.NumPartitions)
}

// Encode writes the options as the serialized CompileOptionsProto that plugins take. Equal options give equal
// bytes, so that they can be part of a cache's key.
//
// Field numbers: xla/pjrt/proto/compile_options.proto and DeviceAssignmentProto in xla/xla_data.proto.
func (o CompileOptions) Encode() ([]byte, error) {
	replicas, partitions := o.devices()
	var build []byte
	build = appendInt(build, 1, math.MaxUint64) // device_ordinal = -1: none
	build = appendInt(build, 4, uint64(replicas))
	build = appendInt(build, 5, uint64(partitions))
	build = appendInt(build, 6, protowire.EncodeBool(o.SPMD))
	if n := len(o.DeviceAssignment); n > 0 {
		if n != replicas*partitions {
			return nil, fault.New(fault.Internal, "compile options: %d devices are assigned to %d replicas of %d partitions", n, replicas, partitions)
		}
		build = appendBytes(build, 9, o.encodeAssignment())
	}
	build = appendInt(build, 19, protowire.EncodeBool(o.Shardy))
	options := appendBytes(nil, 3, build) // executable_build_options
	for _, name := range slices.Sorted(maps.Keys(o.Overrides)) {
		value, err := encodeOverride(name, o.Overrides[name])
		if err != nil {
			return nil, err
		}
		entry := appendBytes(appendBytes(nil, 1, []byte(name)), 2, value)
		options = appendBytes(options, 7, entry) // env_option_overrides
	}
	return options, nil
}

// encodeAssignment writes a DeviceAssignmentProto: for each partition the devices of its replicas.
func (o CompileOptions) encodeAssignment() []byte {
	replicas, partitions := o.devices()
	assignment := appendInt(appendInt(nil, 1, uint64(replicas)), 2, uint64(partitions))
	for partition := range partitions {
		var ids []byte
		for replica := range replicas {
			ids = protowire.AppendVarint(ids, uint64(o.DeviceAssignment[replica*partitions+partition]))
		}
		assignment = appendBytes(assignment, 3, appendBytes(nil, 1, ids))
	}
	return assignment
}

// encodeOverride writes an OptionOverrideProto.
func encodeOverride(name string, value any) ([]byte, error) {
	switch value := value.(type) {
	case string:
		return appendBytes(nil, 1, []byte(value)), nil
	case bool:
		return appendInt(nil, 2, protowire.EncodeBool(value)), nil
	case int:
		return appendInt(nil, 3, uint64(value)), nil
	case int64:
		return appendInt(nil, 3, uint64(value)), nil
	case float64:
		return protowire.AppendFixed64(protowire.AppendTag(nil, 4, protowire.Fixed64Type), math.Float64bits(value)), nil
	}
	return nil, fault.New(fault.Internal, "compile option %s: XLA takes no %T; give a string, bool, integer or float64", name, value)
}

func appendInt(b []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), value)
}

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

// stableHLO lends a program's text. MLIR's lexer wants a zero byte after the end.
func stableHLO(pins *pinner, source string) *program {
	terminated := append([]byte(source), 0)
	return &program{
		head: head{structSize: structSize[program]()},
		code: pins.bytes(terminated), codeSize: uintptr(len(source)), format: pins.text("mlir"), formatSize: uintptr(len("mlir")),
	}
}

// compileKind is the kind of a compiler's complaint: programs and options are elektron's own work, so one that the
// compiler does not accept is no fault of the device. MLIR's parser has no better code than Unknown.
func compileKind(err error) fault.Kind {
	switch CodeOf(err) {
	case InvalidArgument, Unimplemented, Unknown:
		return fault.Internal
	}
	return fault.Device
}

// Compile compiles a program, StableHLO as text, for the client's devices. It blocks for seconds or minutes and
// uses all processors.
func (c *Client) Compile(source string, o CompileOptions) (*LoadedExecutable, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	options, err := o.Encode()
	if err != nil {
		return nil, err
	}
	var pins pinner
	defer pins.Unpin()
	args := &clientCompileArgs{
		client: c.handle, program: address(&pins, stableHLO(&pins, source)), options: pins.bytes(options), optionsSize: uintptr(len(options)),
	}
	if err := call(c.plugin, fnClientCompile, args); err != nil {
		return nil, wrap(compileKind(err), err, "compiling for %s", c.Platform)
	}
	return c.newLoaded(args.executable)
}

// Compile compiles a program, StableHLO as text, for devices that need not be there. It blocks for seconds or
// minutes.
func (t *Topology) Compile(source string, o CompileOptions) (*Executable, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	options, err := o.Encode()
	if err != nil {
		return nil, err
	}
	var pins pinner
	defer pins.Unpin()
	args := &compileArgs{
		topology: t.handle, program: address(&pins, stableHLO(&pins, source)), options: pins.bytes(options), optionsSize: uintptr(len(options)),
	}
	if err := call(t.plugin, fnCompile, args); err != nil {
		return nil, wrap(compileKind(err), err, "compiling for %s", t.Name)
	}
	t.references.Add(1)
	return t.plugin.newExecutable(args.executable, t.unref)
}
