package device

import (
	"slices"
	"testing"

	"github.com/janpfeifer/must"

	"elektron/internal/fault"
	"elektron/internal/pjrt"
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
