package device

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/fault"
	"elektron/internal/hugepages"
	"elektron/internal/pjrt"
	"elektron/internal/platform"
	"elektron/internal/stablehlo"
)

// xla runs programs through a PJRT plugin.
type xla struct {
	place
	client *pjrt.Client
	cache  *cache
	key    []string          // what every program compiled here depends on
	traced stablehlo.Options // what programs are traced for
	say    func(string)
	ran    bool   // a program has run
	ready  func() // called before the second one: memory may come in huge pages from then on
}

// openXLA opens the devices that the chosen plugin drives.
func openXLA(o Options, chosen platform.Choice) (*Device, error) {
	if chosen.Platform != platform.CPU && o.Devices > 1 {
		return nil, fault.New(fault.Usage, "--devices is for --platform=cpu, where the processor can pose as several devices; a %s's own are always used, all of them", strings.ToUpper(chosen.Platform))
	}
	options := pjrt.Options{}
	if chosen.Platform == platform.CPU {
		options["cpu_device_count"] = max(1, o.Devices) // left alone it would choose four, and each would get a share of the threads
	}
	ready := sync.OnceFunc(hugepages.Pause())
	client, err := newClient(o, chosen, options)
	if err != nil {
		ready()
		return nil, err
	}
	at, err := placeOf(client.Devices())
	if err == nil && at.processes > 1 && !o.Hosts {
		err = fault.New(fault.Usage, "this is one of %d hosts that share %d devices, and this command runs on one host: use it on a machine of its own, or with --platform=cpu", at.processes, len(at.ids))
	}
	if err != nil {
		client.Close()
		ready()
		return nil, fmt.Errorf("%s: %w", chosen.Plugin.Path, err)
	}
	e := &xla{place: at, client: client, cache: newCache(o.Cache), say: o.Progress, ready: ready}
	e.traced = stablehlo.Options{Devices: len(at.ids), Places: chosen.Platform != platform.CPU} // places are for profiles of TPUs and GPUs
	if chosen.Platform == platform.GPU {
		e.traced.CUDA, e.traced.FusedAttention = true, !o.GPU.DecomposedAttention && hasFusedAttention(e.own[0])
	}
	e.key = []string{"elektron program 1", chosen.Plugin.Hash, client.PlatformVersion, e.own[0].Kind}
	if chosen.Platform == platform.CPU {
		e.key = append(e.key, processor())
	}
	count := "1 device"
	if n := len(e.ids); n > 1 {
		count = strconv.Itoa(n) + " devices"
	}
	if e.processes > 1 {
		count += " of " + strconv.Itoa(e.processes) + " hosts"
	}
	return &Device{
		Platform: chosen.Platform, PluginPath: chosen.Plugin.Path, PluginHash: chosen.Plugin.Hash,
		Count: len(e.ids), Processes: e.processes, Process: e.process, first: e.first, own: len(e.own), engine: e, exchanges: exchanges{},
		Description: fmt.Sprintf("XLA %s, %s, plugin %s", strings.ToUpper(chosen.Platform), count, chosen.Origin),
	}, nil
}

// newClient loads the plugin and opens its devices.
func newClient(o Options, chosen platform.Choice, options pjrt.Options) (*pjrt.Client, error) {
	if chosen.Platform == platform.GPU {
		return newGPUClient(chosen.Plugin.Path, o.GPU, o.Progress)
	}
	plugin, err := pjrt.Load(chosen.Plugin.Path)
	if err != nil {
		return nil, err
	}
	return plugin.NewClient(pjrt.ClientOptions{Options: options})
}

func (e *xla) close() {
	e.client.Close()
	e.ready()
}

// compile takes a program from the cache, or compiles it and puts it there.
func (e *xla) compile(s Spec) (Program, error) {
	traced, err := e.trace(s)
	if err != nil {
		return nil, err
	}
	s.Inputs = traced.Inputs
	options := pjrt.CompileOptions{NumPartitions: len(e.ids), DeviceAssignment: e.ids, SPMD: len(e.ids) > 1, Shardy: len(e.ids) > 1}
	encoded, err := options.Encode()
	if err != nil {
		return nil, err
	}
	key := cacheKey(append([]string{traced.Text, string(encoded)}, e.key...)...)
	executable, err := e.executable(key, traced.Text, options)
	if err != nil {
		return nil, err
	}
	if devices := executable.Devices(); !slices.Equal(devices, e.own) { // its arguments come in the order of its devices
		executable.Close()
		return nil, fault.New(fault.Internal, "%s runs on %v and not on this process's devices %v", s.Name, devices, e.own)
	}
	return &xlaProgram{Spec: s, engine: e, outputs: traced.Outputs, executable: executable}, nil
}

// executable is what the cache has under a key, or else compiled and kept there.
func (e *xla) executable(key, text string, options pjrt.CompileOptions) (*pjrt.LoadedExecutable, error) {
	defer hugepages.Pause()()
	if serialized := e.cache.load(key); serialized != nil {
		if loaded, err := e.client.Load(serialized); err == nil {
			return loaded, nil
		}
		e.cache.drop(key)
	}
	compiled, err := e.client.Compile(text, options)
	if err == nil {
		e.keep(key, compiled)
	}
	return compiled, err
}

func (e *xla) trace(s Spec) (*stablehlo.Program, error) {
	o := e.traced
	o.Splits = s.Splits
	if s.Steps > 0 {
		return stablehlo.TraceLoop(s.Name, o, s.Steps, s.Inputs, s.Build)
	}
	return stablehlo.Trace(s.Name, o, s.Inputs, s.Build)
}

// keep stores a compiled program. A plugin that cannot write its programs, or a full disk, costs the next start its
// time and nothing else.
func (e *xla) keep(key string, executable *pjrt.LoadedExecutable) {
	serialized, err := executable.Serialize()
	if err == nil {
		err = e.cache.store(key, serialized)
	}
	if err != nil && pjrt.CodeOf(err) != pjrt.Unimplemented {
		e.say("warning: the compiled program is not kept for the next start: " + err.Error())
	}
}

// xlaArray is an array on the devices of this process: on each of them all of it, or its part along an axis.
type xlaArray struct {
	buffers []*pjrt.Buffer
	split   int // axis, or Replicated
	of      int // devices that it is split over: more than buffers where there are several hosts
	shape   stablehlo.Output
}

// put copies to every device.
func (e *xla) put(t *tensors.Tensor, split int) (Array, error) {
	a := &xlaArray{split: split, of: len(e.ids), shape: stablehlo.Output{DType: t.DType(), Dims: t.Shape().Dimensions}}
	err := e.send(t, split, func(b *pjrt.Buffer) { a.buffers = append(a.buffers, b) })
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// send copies an array, or each device's part of it, to the devices in turn.
func (e *xla) send(t *tensors.Tensor, split int, sent func(*pjrt.Buffer)) (err error) {
	element, err := elementType(t.DType())
	if err != nil {
		return err
	}
	dims := t.Shape().Dimensions
	access := t.ConstBytes(func(data []byte) {
		for i, d := range e.own {
			part, partDims := data, dims
			if split != Replicated {
				part, partDims = slicePart(data, element.Size(), dims, split, e.first+i, len(e.ids))
			}
			var b *pjrt.Buffer
			if b, err = e.client.BufferFromHost(part, element, partDims, d); err != nil {
				return
			}
			sent(b)
		}
	})
	if err == nil {
		err = access
	}
	return err
}

// Fetch copies the array from the first device, or its parts from all.
func (a *xlaArray) Fetch() (*tensors.Tensor, error) {
	if len(a.buffers) == 0 {
		return nil, fault.New(fault.Internal, "this array is closed or was donated")
	}
	t := newTensor(a.shape)
	var err error
	access := t.MutableBytes(func(data []byte) {
		if a.split == Replicated {
			err = a.buffers[0].ToHost(data)
			return
		}
		err = a.gather(data)
	})
	if err == nil {
		err = access
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// gather puts the parts of all devices together.
func (a *xlaArray) gather(data []byte) error {
	n := len(a.buffers)
	if n != a.of {
		return fault.New(fault.Internal, "%d of the %d parts of this array are on other hosts", a.of-n, a.of)
	}
	part := make([]byte, len(data)/n)
	for i, b := range a.buffers {
		if err := b.ToHost(part); err != nil {
			return err
		}
		joinPart(data, part, a.shape.DType.Size(), a.shape.Dims, a.split, i, n)
	}
	return nil
}

// Close frees the memory on all devices.
func (a *xlaArray) Close() {
	for _, b := range a.buffers {
		b.Close()
	}
	a.buffers = nil
}
