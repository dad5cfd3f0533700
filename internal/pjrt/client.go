package pjrt

import (
	"fmt"
	"slices"
	"sync/atomic"

	"elektron/internal/fault"
)

// Client drives the devices that a plugin found: those of this host, and with several hosts it knows of the
// others'.
type Client struct {
	Platform        string // the plugin's name for it, such as cpu, cuda or tpu
	PlatformVersion string // of the compiler and driver, as text for people and cache keys
	ProcessIndex    int    // which of the program's processes this is; 0 with one host

	plugin  *Plugin
	handle  handle
	devices []*Device
	store   handle

	references atomic.Int64 // itself, while open, and what was made from it
	closed     atomic.Bool
}

// ClientOptions say how to open a client.
type ClientOptions struct {
	Options Options // the plugin's own, such as cpu_device_count
	// Store lets the clients of several hosts find each other; nil with one host and on TPU, where libtpu knows
	// the slice from its environment.
	Store KeyValueStore
}

// NewClient opens the plugin's devices. Most accelerators allow one client, in one process. It blocks until all
// hosts of the program have called it.
func (p *Plugin) NewClient(o ClientOptions) (*Client, error) {
	var pins pinner
	defer pins.Unpin()
	args := &clientCreateArgs{}
	var err error
	if args.options, args.numOptions, err = o.Options.encode(&pins); err != nil {
		return nil, err
	}
	c := &Client{plugin: p}
	if o.Store != nil {
		c.store = registerStore(o.Store)
		args.keyValueGet, args.keyValueTryGet, args.keyValuePut = keyValueFunctions()
		args.keyValueGetArgument, args.keyValueTryGetArgument, args.keyValuePutArgument = c.store, c.store, c.store
	}
	if err := call(p, fnClientCreate, args); err != nil {
		stores.Delete(c.store)
		return nil, wrap(fault.Device, err, "opening the devices of the plugin %s", p.Path)
	}
	c.handle = args.client
	c.references.Store(1)
	live.clients.Add(1)
	if err := c.describe(); err != nil {
		c.Close()
		return nil, wrap(fault.Device, err, "asking the plugin %s about its devices", p.Path)
	}
	return c, nil
}

// describe reads once what never changes.
func (c *Client) describe() (err error) {
	if c.Platform, err = c.plugin.text(fnClientPlatformName, c.handle); err != nil {
		return err
	}
	if c.PlatformVersion, err = c.plugin.text(fnClientPlatformVersion, c.handle); err != nil {
		return err
	}
	if c.ProcessIndex, err = c.plugin.integer(fnClientProcessIndex, c.handle); err != nil {
		return err
	}
	all, err := c.plugin.list(fnClientDevices, c.handle)
	if err != nil {
		return err
	}
	addressable, err := c.plugin.list(fnClientAddressableDevices, c.handle)
	if err != nil {
		return err
	}
	for _, h := range all {
		d, err := c.newDevice(h, slices.Contains(addressable, h))
		if err != nil {
			return err
		}
		c.devices = append(c.devices, d)
	}
	return nil
}

// Plugin is the plugin that the client was opened with.
func (c *Client) Plugin() *Plugin { return c.plugin }

// Devices are all devices of the program, on all hosts, in the plugin's order.
func (c *Client) Devices() []*Device { return slices.Clone(c.devices) }

// AddressableDevices are the devices of this process: those that buffers can be sent to.
func (c *Client) AddressableDevices() []*Device {
	return slices.DeleteFunc(slices.Clone(c.devices), func(d *Device) bool { return !d.Addressable })
}

func (c *Client) device(h handle) *Device {
	for _, d := range c.devices {
		if d.handle == h {
			return d
		}
	}
	return nil
}

// Close gives the devices back once everything that was made from the client is closed too.
func (c *Client) Close() {
	if !c.closed.Swap(true) {
		c.release()
	}
}

// retain is called for each object made from the client, release when that is closed.
func (c *Client) retain() { c.references.Add(1) }

func (c *Client) release() {
	if c.references.Add(-1) > 0 {
		return
	}
	c.plugin.destroy(fnClientDestroy, c.handle)
	stores.Delete(c.store)
	live.clients.Add(-1)
}

func (c *Client) String() string {
	return fmt.Sprintf("%s, process %d, %d devices", c.Platform, c.ProcessIndex, len(c.devices))
}

// check refuses what is asked of a closed client.
func (c *Client) check() error {
	if c.closed.Load() {
		return fault.New(fault.Internal, "the PJRT client is closed already")
	}
	return nil
}
