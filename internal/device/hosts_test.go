package device

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/janpfeifer/must"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
	"elektron/internal/platform"
)

// slice is what a plugin says to one process of several with four devices each, in an order and with numbers as libtpu
// gives them to hosts of two by two chips.
func slice(processes, own int) []*pjrt.Device {
	var devices []*pjrt.Device
	for row := range 2 {
		for process := range processes {
			for column := range 2 {
				id := row*2*processes + 2*process + column
				devices = append(devices, &pjrt.Device{DeviceDescription: pjrt.DeviceDescription{ID: id, ProcessIndex: process}, Addressable: process == own})
			}
		}
	}
	return devices
}

// TestPlaces: whatever the number of hosts, each device is one process's, rows are dealt out once and in order, and all
// processes see one order.
func TestPlaces(t *testing.T) {
	for _, processes := range []int{1, 2, 4, 8} {
		next, order := 0, must.M1(placeOf(slice(processes, 0))).ids
		for process := range processes {
			p, err := placeOf(slice(processes, process))
			if err != nil {
				t.Fatal(err)
			}
			if p.processes != processes || p.process != process || p.first != 4*process || len(p.own) != 4 || !slices.Equal(p.ids, order) {
				t.Errorf("process %d of %d: %+v", process, processes, p)
			}
			for i, d := range p.own {
				if d.ProcessIndex != process || d.ID != p.ids[p.first+i] {
					t.Errorf("process %d of %d: its device %d is %v", process, processes, i, d.DeviceDescription)
				}
			}
			d := &Device{Count: len(p.ids), first: p.first, own: len(p.own)}
			first, end := d.Rows(64)
			if first != next || end != next+64/processes {
				t.Errorf("process %d of %d has rows %d to %d, want from %d", process, processes, first, end, next)
			}
			next = end
		}
	}
	if _, err := placeOf(slice(2, 7)); fault.KindOf(err) != fault.Device {
		t.Errorf("no device of its own: %v", err)
	}
	both := slice(2, 0)
	both[3].Addressable = true
	if _, err := placeOf(both); fault.KindOf(err) != fault.Device {
		t.Errorf("devices of two processes: %v", err)
	}
}

// TestSharedByDevices: what goes through the devices of all processes, on four that the processor poses as.
func TestSharedByDevices(t *testing.T) {
	d, err := Open(context.Background(), Options{Platform: platform.CPU, Devices: 4, Cache: NoCache})
	if err != nil {
		t.Skipf("no XLA CPU plugin: %v", err)
	}
	defer d.Close()
	said := []int32{7, -3, math.MaxInt32}
	answers := must.M1(must.M1(d.Survey(said)).Answers())
	if len(answers) != 4 {
		t.Fatalf("%d answers of 4 devices", len(answers))
	}
	for _, a := range answers {
		if !slices.Equal(a, said) {
			t.Errorf("answered %v, want %v", a, said)
		}
	}
	values := []float32{1.5, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, math.MaxFloat32, float32(math.Inf(-1)), float32(math.NaN())}
	shared, err := d.share([]*tensors.Tensor{tensors.FromFlatDataAndDimensions(values, 2, 3), tensors.FromScalar(float32(-2))})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float32{values, {-2}} {
		for device, b := range shared[i].(*xlaArray).buffers {
			got := make([]byte, 4*len(want))
			must.M(b.ToHost(got))
			for j, v := range want {
				if bits := uint32(got[4*j]) | uint32(got[4*j+1])<<8 | uint32(got[4*j+2])<<16 | uint32(got[4*j+3])<<24; bits != math.Float32bits(v) {
					t.Errorf("array %d on device %d: element %d is %x, want %x", i, device, j, bits, math.Float32bits(v))
				}
			}
		}
	}
	CloseAll(shared)
}

// TestFeeding: the parts that the processes of several hosts send are together those of one process. The devices of the
// others are not there, so each process is played by an engine whose own devices are one of the four.
func TestFeeding(t *testing.T) {
	d, err := Open(context.Background(), Options{Platform: platform.CPU, Devices: 4, Cache: NoCache})
	if err != nil {
		t.Skipf("no XLA CPU plugin: %v", err)
	}
	defer d.Close()
	e := d.engine.(*xla)
	numbers := make([]float32, 8*3)
	for i := range numbers {
		numbers[i] = float32(i)
	}
	for axis, dims := range [][]int{{8, 3}, {3, 8}} {
		for _, processes := range []int{1, 2, 4} {
			var parts []*pjrt.Buffer
			for process := range processes {
				each := 4 / processes
				played := &xla{client: e.client, place: place{ids: e.ids, own: e.own[process*each : (process+1)*each], first: process * each, processes: processes, process: process}}
				a := must.M1(played.put(tensors.FromFlatDataAndDimensions(numbers, dims...), axis)).(*xlaArray)
				if _, err := a.Fetch(); (err == nil) != (processes == 1) {
					t.Errorf("%d processes: fetching what is on several hosts: %v", processes, err)
				}
				parts = append(parts, a.buffers...)
			}
			whole := &xlaArray{buffers: parts, split: axis, of: 4, shape: must.M1(e.put(tensors.FromFlatDataAndDimensions(numbers, dims...), Replicated)).(*xlaArray).shape}
			if got := must.M1(Floats(whole)); !slices.Equal(got, numbers) {
				t.Errorf("%d processes, axis %d: %v", processes, axis, got)
			}
			whole.Close()
		}
	}
}
