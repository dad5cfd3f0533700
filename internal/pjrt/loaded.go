package pjrt

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"sync"
	"unsafe"

	"elektron/internal/fault"
)

// LoadedExecutable is a compiled program on the devices of a client.
type LoadedExecutable struct {
	*Executable

	client  *Client
	loaded  handle
	devices []*Device

	mutex sync.Mutex
	spare *launch // of the last execution, to be used again
}

func (c *Client) newLoaded(h handle) (*LoadedExecutable, error) {
	c.retain()
	e := &LoadedExecutable{client: c, loaded: h}
	inner, err := c.plugin.related(fnLoadedGetExecutable, h)
	if err == nil {
		e.Executable, err = c.plugin.newExecutable(inner, func() {})
	}
	var devices []handle
	if err == nil {
		devices, err = c.plugin.list(fnLoadedDevices, h)
	}
	if err != nil {
		e.Close()
		return nil, wrap(fault.Device, err, "asking about a compiled program")
	}
	for _, d := range devices {
		e.devices = append(e.devices, c.device(d))
	}
	return e, nil
}

// Devices are the devices of this process that the program runs on, in the order in which Execute takes arguments.
func (e *LoadedExecutable) Devices() []*Device { return slices.Clone(e.devices) }

// Close unloads the program after the executions that are under way.
func (e *LoadedExecutable) Close() {
	if e == nil || e.loaded == 0 {
		return
	}
	e.Executable.Close()
	e.client.plugin.destroy(fnLoadedDestroy, e.loaded)
	e.loaded = 0
	e.client.release()
}

// Serialized executables begin with this and the SHA-256 of what follows: plugins trust the machine code that
// they are given, so a flipped bit must not reach them.
const serializedMagic = "elektron executable 1\n"

// Serialize writes the compiled program, for Client.Load of the same plugin in the same version and the same kind
// of devices.
func (e *Executable) Serialize() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	args := &serializeArgs{executable: e.handle}
	if err := call(e.plugin, fnExecutableSerialize, args); err != nil {
		return nil, wrap(fault.Device, err, "writing a compiled program")
	}
	defer invokeDeleter(args.deleter, args.backing)
	code := unsafe.Slice(args.bytes, args.size)
	sum := sha256.Sum256(code)
	return slices.Concat([]byte(serializedMagic), sum[:], code), nil
}

// Load puts a program that Serialize wrote on the client's devices. Bytes that were changed or cut off are an
// error of kind Data.
func (c *Client) Load(serialized []byte) (*LoadedExecutable, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	code, found := bytes.CutPrefix(serialized, []byte(serializedMagic))
	if !found || len(code) < sha256.Size {
		return nil, fault.New(fault.Data, "these %d bytes are no compiled program; compile it again", len(serialized))
	}
	want, code := code[:sha256.Size], code[sha256.Size:]
	if sum := sha256.Sum256(code); !bytes.Equal(sum[:], want) {
		return nil, fault.New(fault.Data, "this compiled program is damaged: its %d bytes have another SHA-256 than when they were written; compile it again", len(code))
	}
	var pins pinner
	defer pins.Unpin()
	args := &deserializeArgs{client: c.handle, bytes: pins.bytes(code), size: uintptr(len(code))}
	if err := call(c.plugin, fnDeserializeAndLoad, args); err != nil {
		return nil, wrap(fault.Device, err, "loading a compiled program")
	}
	return c.newLoaded(args.executable)
}
