package device

import "github.com/janpfeifer/must"

// What the tests of package device_test need to play several processes with the devices of one.

// Played is the device as one of so many processes sees it, each with an equal part of the devices.
func (d *Device) Played(process, processes int) *Device {
	e := d.engine.(*xla)
	each := len(e.own) / processes
	p := place{ids: e.ids, own: e.own[process*each : (process+1)*each], first: process * each, processes: processes, process: process}
	return &Device{Platform: d.Platform, Count: d.Count, Processes: processes, Process: process, first: p.first, own: each,
		engine: &xla{place: p, client: e.client}}
}

// Joined is the array that the processes' parts make up.
func Joined(parts []Array) Array {
	whole := *parts[0].(*xlaArray)
	whole.buffers = nil
	for _, p := range parts {
		whole.buffers = append(whole.buffers, p.(*xlaArray).buffers...)
	}
	return &whole
}

// OnEach are the bytes that each device has of an array.
func OnEach(a Array) (all [][]byte) {
	held := a.(*xlaArray)
	for _, b := range held.buffers {
		data := make([]byte, held.shape.Bytes())
		if held.split != Replicated {
			data = data[:len(data)/held.of]
		}
		must.M(b.ToHost(data))
		all = append(all, data)
	}
	return all
}
