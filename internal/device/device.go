// Package device runs programs on the devices of a platform. A program is a graph-building function with a signature
// (internal/stablehlo): it is traced and compiled once, and then run on arrays that live in the devices' memory.
//
// XLA's platforms run through internal/pjrt: compiled programs are kept on disk for the next start, donated arrays
// change in place, several devices share one program, and running returns as soon as the work is handed over. The
// pure-Go platform runs the same functions on GoMLX's own backend.
package device

import (
	"context"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/fault"
	"elektron/internal/platform"
	"elektron/internal/stablehlo"
)

// Options say which devices to open and how.
type Options struct {
	Platform string       // one of platform.Names; empty means auto
	Plugin   string       // path of a PJRT plugin to use instead of the pinned one
	Offline  bool         // never touch the network
	Devices  int          // XLA CPU only: how many devices the processor poses as; 0 means 1
	Cache    string       // folder of compiled programs; empty is DefaultCache, NoCache keeps none
	GPU      GPUOptions   // how a GPU's memory is taken
	Hosts    bool         // the caller can be one of several processes, one a host, that share their devices
	Progress func(string) // told, in one line each, what takes long and what is lost; may be nil
}

// NoCache as Options.Cache compiles every program anew.
const NoCache = "none"

// Device is the open devices of a platform, used as one. Close releases them.
type Device struct {
	Platform    string // platform.CPU, GPU, TPU or Go: what auto came to
	Description string // for people, one line
	PluginPath  string // absolute; empty for Go
	PluginHash  string // SHA-256 in hex: the pinned one, or for --plugin that of the file; empty for Go
	Count       int    // of the devices that a program is split over, on all hosts
	Processes   int    // that share them, one a host
	Process     int    // number of this process, from 0

	engine     engine
	first, own int // this process's devices are those from first on, own of them
	exchanges  exchanges
}

// engine is what runs programs on a platform.
type engine interface {
	compile(Spec) (Program, error)
	put(t *tensors.Tensor, split int) (Array, error)
	close()
}

// Spec is a program before it is compiled. Inputs whose memory an output takes over (Aliased) are donated when it runs.
type Spec struct {
	Name   string
	Inputs []stablehlo.Input
	Build  func([]*graph.Node) []*graph.Node
	// Steps, if it is not 0, makes the program a loop of up to so many steps on the devices (stablehlo.TraceLoop), each of
	// which is what Build makes. The pure-Go platform has no such programs.
	Steps int
	// Splits are the axes along which outputs are split over the devices (stablehlo.Options).
	Splits []int
}

// Program is a compiled program. Its methods are for one goroutine at a time.
type Program interface {
	// Run starts the program on arrays, which are its first inputs, and on values for the others, which are copied.
	// It may return before the work is done; an error of the work is then that of the outputs. Arrays that the
	// signature donates are closed, unless Run fails.
	Run(arrays []Array, values ...*tensors.Tensor) ([]Array, error)
	// Close unloads the program after what is under way.
	Close()
}

// Array is an array in the devices' memory.
type Array interface {
	// Fetch copies the whole array to the host, once it is computed. One that is split over devices of several hosts is
	// an error.
	Fetch() (*tensors.Tensor, error)
	// Close gives its memory back after the programs that use it.
	Close()
}

// Replicated as the axis that an array is split along says that every device has all of it.
const Replicated = -1

// Open opens a platform's devices, installing the pinned plugin first where it is missing and the network is allowed.
//
// Errors are of kind Usage (no such platform), Device (no such hardware; a plugin that is missing, damaged or unfit) or
// Storage (the plugin cache cannot be written).
func Open(ctx context.Context, o Options) (*Device, error) {
	if o.Devices < 0 {
		return nil, fault.New(fault.Usage, "--devices: cannot open %d devices; give 1 or more", o.Devices)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	chosen, err := platform.Choose(ctx, platform.Options{Platform: o.Platform, Plugin: o.Plugin, Offline: o.Offline, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	if chosen.Platform == platform.Go {
		return openGo(o)
	}
	d, err := openXLA(o, chosen)
	if err != nil && chosen.Dispensable {
		platform.WarnOfGo(o.Progress, err)
		return openGo(o)
	}
	return d, err
}

// Close releases the devices' memory; arrays and programs are invalid afterwards.
func (d *Device) Close() {
	if d == nil || d.engine == nil {
		return
	}
	for _, p := range d.exchanges {
		p.Close()
	}
	d.engine.close()
	d.engine = nil
}

// Compile makes a program. It blocks for as long as the compiler takes, minutes for large models; the next start finds
// the program in the cache.
func (d *Device) Compile(s Spec) (Program, error) {
	var p Program
	err := fault.Catch(s.Name, func() (err error) {
		p, err = d.engine.compile(s)
		return err
	})
	return p, err
}

// Put copies an array to the devices of this process: all of it to each of them, or with split at least 0 each one's
// part, of equal parts for all devices of all processes along that axis.
func (d *Device) Put(t *tensors.Tensor, split int) (Array, error) { return d.engine.put(t, split) }

// Run compiles a function for the given values, runs it once and fetches what it returns.
func (d *Device) Run(name string, build func([]*graph.Node) []*graph.Node, values ...*tensors.Tensor) ([]*tensors.Tensor, error) {
	p, err := d.Compile(Spec{Name: name, Inputs: Signature(values...), Build: build})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	outputs, err := p.Run(nil, values...)
	if err != nil {
		return nil, err
	}
	fetched := make([]*tensors.Tensor, len(outputs))
	for i, out := range outputs {
		if fetched[i], err = out.Fetch(); err != nil {
			return nil, err
		}
		out.Close()
	}
	return fetched, nil
}

// Floats fetches an array of float32 numbers.
func Floats(a Array) ([]float32, error) {
	t, err := a.Fetch()
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](t)
}

// CloseAll closes arrays.
func CloseAll(arrays []Array) {
	for _, a := range arrays {
		if a != nil {
			a.Close()
		}
	}
}
