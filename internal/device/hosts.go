package device

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/stablehlo"
)

// Several hosts, as the workers of a TPU slice, run one process each. All of them run the same programs in the same
// order; a program spans the devices of all, and each process gives its own devices what they need. What one process
// knows alone gets to the others through the devices too: by Survey, Share and Whole.

// exchanges are the programs that do this, each compiled when it is first needed, by what they do and for which shape.
type exchanges map[string]Program

// exchange is the program that makes of one input one output.
func (d *Device) exchange(name string, in stablehlo.Input, split int, build func(*graph.Node) *graph.Node) (Program, error) {
	key := fmt.Sprintf("%s %s%v %d %d", name, in.DType, in.Dims, in.Split(), split)
	if p := d.exchanges[key]; p != nil {
		return p, nil
	}
	p, err := d.Compile(Spec{Name: name, Inputs: []stablehlo.Input{in}, Splits: []int{split},
		Build: func(nodes []*graph.Node) []*graph.Node { return []*graph.Node{build(nodes[0])} }})
	if err == nil {
		d.exchanges[key] = p
	}
	return p, err
}

// place says where this process's devices stand among all devices of a program.
type place struct {
	ids       []int          // of all devices, in the order of a program's parts: those of a process lie together
	own       []*pjrt.Device // those of this process, in that order
	first     int            // position of own[0]
	processes int
	process   int // number of this process in the order of ids, from 0
}

// placeOf orders devices by process and number.
func placeOf(devices []*pjrt.Device) (place, error) {
	devices = slices.Clone(devices)
	slices.SortFunc(devices, func(a, b *pjrt.Device) int {
		return cmp.Or(cmp.Compare(a.ProcessIndex, b.ProcessIndex), cmp.Compare(a.ID, b.ID))
	})
	var p place
	for i, d := range devices {
		if i == 0 || d.ProcessIndex != devices[i-1].ProcessIndex {
			p.processes++
		}
		p.ids = append(p.ids, d.ID)
		if !d.Addressable {
			continue
		}
		if len(p.own) == 0 {
			p.first, p.process = i, p.processes-1
		}
		if p.own = append(p.own, d); p.process != p.processes-1 {
			return place{}, fault.New(fault.Device, "the plugin says that this process can address devices of several processes: %v and %v", p.own[0], d)
		}
	}
	if len(p.own) == 0 {
		return place{}, fault.New(fault.Device, "the plugin found no device of this process among %d", len(devices))
	}
	return p, nil
}

// Rows are the rows [first, end) that this process's devices have of n rows split over all devices.
func (d *Device) Rows(n int) (first, end int) {
	each := n / d.Count
	return d.first * each, (d.first + d.own) * each
}

// Survey tells all processes what each of them says: values, as many on every process. All processes must call it. It
// returns at once; Answers waits.
func (d *Device) Survey(values []int32) (*Survey, error) {
	k := len(values)
	all := make([]int32, 0, d.Count*k)
	for range d.Count {
		all = append(all, values...)
	}
	p, err := d.exchange("survey", stablehlo.Input{Name: "said", DType: dtypes.Int32, Dims: []int{d.Count, k}, Sharded: true}, Replicated, graph.Identity)
	if err != nil {
		return nil, err
	}
	out, err := p.Run(nil, tensors.FromFlatDataAndDimensions(all, d.Count, k))
	if err != nil {
		return nil, err
	}
	return &Survey{out[0]}, nil
}

// Survey is what processes say, on its way.
type Survey struct{ said Array }

// Answers are what the process of each device said; those of process 0 come first.
func (s *Survey) Answers() ([][]int32, error) {
	t, err := s.said.Fetch()
	if err != nil {
		return nil, err
	}
	s.said.Close()
	flat, err := tensors.CopyFlatData[int32](t)
	if err != nil {
		return nil, err
	}
	return slices.Collect(slices.Chunk(flat, t.Shape().Dimensions[1])), nil
}

// Share puts a float32 array of process 0 on the devices of all processes: all of it to each device, or with split at
// least 0 each one's part along that axis. All processes must call it, with arrays of the same shape; what they hold counts
// on process 0 alone.
//
// It sums over the devices what the first one has and zeros of the others: as integers, so that no bit changes.
func (d *Device) Share(t *tensors.Tensor, split int) (Array, error) {
	e, ok := d.engine.(*xla)
	if !ok {
		return nil, fault.New(fault.Internal, "platform %s has one process: there is nobody to share with", d.Platform)
	}
	in := stablehlo.Input{Name: "shared", DType: dtypes.Int32, Dims: append([]int{d.Count}, t.Shape().Dimensions...), Sharded: true}
	p, err := d.exchange("share", in, split, func(x *graph.Node) *graph.Node { return graph.Bitcast(graph.ReduceSum(x, 0), dtypes.Float32) })
	if err != nil {
		return nil, err
	}
	part, err := e.putFirst(t)
	if err != nil {
		return nil, err
	}
	defer part.Close()
	return first(p.Run([]Array{part}))
}

// Whole gives each device all of an array that is split over the devices, of one or several hosts. All processes must call
// it.
func (d *Device) Whole(a Array) (Array, error) {
	held, ok := a.(*xlaArray)
	if !ok {
		return nil, fault.New(fault.Internal, "platform %s has one device: nothing is split", d.Platform)
	}
	in := stablehlo.Input{Name: "split", DType: held.shape.DType, Dims: held.shape.Dims, Sharded: true, Axis: held.split}
	p, err := d.exchange("gather", in, Replicated, graph.Identity)
	if err != nil {
		return nil, err
	}
	return first(p.Run([]Array{a}))
}

// first is the only output of a program.
func first(outputs []Array, err error) (Array, error) {
	if err != nil {
		return nil, err
	}
	return outputs[0], nil
}

// putFirst makes an int32 array [devices, dims...], split over the devices: the bits of t on the first of all devices,
// zeros on the others.
func (e *xla) putFirst(t *tensors.Tensor) (Array, error) {
	dims := append([]int{1}, t.Shape().Dimensions...)
	whole := append([]int{len(e.ids)}, t.Shape().Dimensions...)
	a := &xlaArray{split: 0, of: len(e.ids), shape: stablehlo.Output{DType: dtypes.Int32, Dims: whole, Sharded: true}}
	zeros := tensors.FromShape(shapes.Make(dtypes.Int32, dims...))
	for i, device := range e.own {
		from := zeros
		if e.first+i == 0 {
			from = t
		}
		var b *pjrt.Buffer
		var err error
		access := from.ConstBytes(func(data []byte) { b, err = e.client.BufferFromHost(data, pjrt.S32, dims, device) })
		if err = cmp.Or(err, access); err != nil {
			a.Close()
			return nil, err
		}
		a.buffers = append(a.buffers, b)
	}
	return a, nil
}
