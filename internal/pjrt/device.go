package pjrt

import (
	"fmt"

	"elektron/internal/fault"
)

// DeviceDescription is what is known of a device, whether or not it is there.
type DeviceDescription struct {
	ID           int            // unique among all hosts; a device assignment lists these
	ProcessIndex int            // of the process that can address it
	Kind         string         // the model, such as "TPU v5 lite"
	Text         string         // for people
	Attributes   map[string]any // the plugin's own, such as a TPU's coords ([]int64)
}

func (p *Plugin) describeDevice(h handle) (d DeviceDescription, err error) {
	if d.ID, err = p.integer(fnDescriptionID, h); err != nil {
		return d, err
	}
	if d.ProcessIndex, err = p.integer(fnDescriptionProcessIndex, h); err != nil {
		return d, err
	}
	if d.Kind, err = p.text(fnDescriptionKind, h); err != nil {
		return d, err
	}
	if d.Text, err = p.text(fnDescriptionToString, h); err != nil {
		return d, err
	}
	args := &countedNamedArgs{object: h}
	if err = call(p, fnDescriptionAttributes, args); err != nil {
		return d, err
	}
	d.Attributes = values(args.list, args.count)
	return d, nil
}

// Device is a device of a client. It lives as long as that.
type Device struct {
	DeviceDescription
	Addressable     bool // from this process
	LocalHardwareID int  // the number on this host, -1 if it is not addressable or has none

	client *Client
	handle handle
}

func (c *Client) newDevice(h handle, addressable bool) (*Device, error) {
	description, err := c.plugin.related(fnDeviceGetDescription, h)
	if err != nil {
		return nil, err
	}
	d := &Device{client: c, handle: h, Addressable: addressable, LocalHardwareID: -1}
	if d.DeviceDescription, err = c.plugin.describeDevice(description); err != nil {
		return nil, err
	}
	if addressable {
		d.LocalHardwareID, err = c.plugin.integer(fnDeviceLocalHardwareID, h)
	}
	return d, err
}

func (d *Device) String() string { return fmt.Sprintf("%s (%s)", d.Text, d.Kind) }

// DeviceMemory is a device's memory in bytes, as its allocator sees it now. What the plugin does not say is 0.
type DeviceMemory struct {
	InUse, PeakInUse int64
	Limit            int64 // the most that programs may have
	Reserved         int64
	LargestFreeBlock int64
	Pool             int64 // taken from the device by the allocator, in use or not
}

// Memory asks how much of the device's memory is in use. Not every plugin can say: then CodeOf(err) is
// Unimplemented.
func (d *Device) Memory() (DeviceMemory, error) {
	if err := d.client.check(); err != nil {
		return DeviceMemory{}, err
	}
	args := &deviceMemoryStatsArgs{device: d.handle}
	if err := call(d.client.plugin, fnDeviceMemoryStats, args); err != nil {
		return DeviceMemory{}, wrap(fault.Device, err, "asking %s for its memory", d)
	}
	return DeviceMemory{
		InUse: args.inUse, PeakInUse: args.peak.get(), Limit: args.limit.get(), Reserved: args.reserved.get(),
		LargestFreeBlock: args.largestFree.get(), Pool: args.pool.get(),
	}, nil
}

func (o optionalInt64) get() int64 {
	if !o.isSet {
		return 0
	}
	return o.value
}
