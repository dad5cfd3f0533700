package pjrt

import (
	"fmt"
	"unsafe"

	"elektron/internal/fault"
)

// Buffer is a dense array in a device's memory. It may not be there yet: what is done with it waits for it.
type Buffer struct {
	client *Client
	handle handle // 0 once it is closed or donated
}

// Bytes views numbers as the bytes that they are in memory, without copying.
func Bytes[T ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64](numbers []T) []byte {
	if len(numbers) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(numbers))), len(numbers)*int(unsafe.Sizeof(numbers[0])))
}

// BufferFromHost copies an array, row-major and dense, to a device. When it returns, data may be changed; the
// copy from the host's memory to the device may still go on. dims is empty for a scalar.
func (c *Client) BufferFromHost(data []byte, t ElementType, dims []int, d *Device) (*Buffer, error) {
	var pins pinner
	defer pins.Unpin()
	b, done, err := c.send(data, t, dims, d, onlyDuringCall, &pins)
	if err != nil {
		return nil, err
	}
	c.plugin.destroy(fnEventDestroy, done)
	return b, nil
}

// BufferFromHostAsync is BufferFromHost without the copy in the host's memory that it may take to return early:
// data must not be changed until the event is awaited. The garbage collector leaves data alone until then.
func (c *Client) BufferFromHostAsync(data []byte, t ElementType, dims []int, d *Device) (*Buffer, *Event, error) {
	e := c.newEvent("copying to a device")
	b, done, err := c.send(data, t, dims, d, untilTransferCompletes, &e.pins)
	if err != nil {
		e.free()
		return nil, nil, err
	}
	e.handles, e.copies = []handle{done}, true
	return b, e, nil
}

func (c *Client) send(data []byte, t ElementType, dims []int, d *Device, semantics int32, pins *pinner) (*Buffer, handle, error) {
	if err := c.check(); err != nil {
		return nil, 0, err
	}
	if d == nil || d.client != c || !d.Addressable {
		return nil, 0, fault.New(fault.Internal, "copying %s%v to %v: this is no device that this client addresses", t, dims, d)
	}
	if want := byteSize(t, dims); want != len(data) {
		return nil, 0, fault.New(fault.Internal, "copying %s%v to %s: %d bytes given, %d needed", t, dims, d, len(data), want)
	}
	if len(data) == 0 {
		data = make([]byte, 1) // plugins want an address of nothing, too
	}
	args := &bufferFromHostArgs{
		client: c.handle, data: pins.bytes(data), elementType: int32(t), dims: lend(pins, int64s(dims)), numDims: uintptr(len(dims)),
		semantics: semantics, device: d.handle,
	}
	if err := call(c.plugin, fnClientBufferFromHost, args); err != nil {
		return nil, 0, wrap(fault.Device, err, "copying %s%v to %s", t, dims, d)
	}
	c.retain()
	live.buffers.Add(1)
	return &Buffer{client: c, handle: args.buffer}, args.doneWithHost, nil
}

func int64s(dims []int) []int64 {
	list := make([]int64, len(dims))
	for i, d := range dims {
		list[i] = int64(d)
	}
	return list
}

// check refuses what is asked of a buffer that is gone.
func (b *Buffer) check() error {
	if b == nil || b.handle == 0 {
		return fault.New(fault.Internal, "this PJRT buffer is closed or was donated")
	}
	return nil
}

// ElementType is the type of the elements.
func (b *Buffer) ElementType() (ElementType, error) {
	if err := b.check(); err != nil {
		return Invalid, err
	}
	t, err := b.client.plugin.integer(fnBufferElementType, b.handle)
	return ElementType(t), wrap(fault.Device, err, "asking for a buffer's type")
}

// Dims are the lengths of the axes.
func (b *Buffer) Dims() ([]int, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	args := &dimensionsArgs{buffer: b.handle}
	if err := call(b.client.plugin, fnBufferDimensions, args); err != nil {
		return nil, wrap(fault.Device, err, "asking for a buffer's dimensions")
	}
	return ints(args.dims, args.count), nil
}

func ints(start *int64, count uintptr) []int {
	dims := make([]int, count)
	for i := range dims {
		dims[i] = int(unsafe.Slice(start, count)[i])
	}
	return dims
}

// DeviceSize is the number of bytes that it takes of the device's memory, padding included.
func (b *Buffer) DeviceSize() (int, error) {
	if err := b.check(); err != nil {
		return 0, err
	}
	n, err := b.client.plugin.count(fnBufferOnDeviceSize, b.handle)
	return n, wrap(fault.Device, err, "asking for a buffer's size")
}

// Device is where it is.
func (b *Buffer) Device() (*Device, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	h, err := b.client.plugin.related(fnBufferDevice, b.handle)
	return b.client.device(h), wrap(fault.Device, err, "asking for a buffer's device")
}

// Deleted says whether its memory is gone: it was closed, or donated to an execution, even one that failed.
func (b *Buffer) Deleted() bool {
	if b.check() != nil {
		return true
	}
	deleted, err := b.client.plugin.flag(fnBufferIsDeleted, b.handle)
	return deleted || err != nil
}

// Done returns an event that is over when the array is there, with the error of what should have made it.
func (b *Buffer) Done() (*Event, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	h, err := b.client.plugin.related(fnBufferReadyEvent, b.handle)
	if err != nil {
		return nil, wrap(fault.Device, err, "waiting for a buffer")
	}
	return b.client.newEvent("making a buffer", h), nil
}

// ToHost copies the array, row-major and dense, to memory of its exact size. It blocks until the array is there
// and copied.
func (b *Buffer) ToHost(data []byte) error {
	done, err := b.ToHostAsync(data)
	if err != nil {
		return err
	}
	return done.Await()
}

// ToHostAsync is ToHost without waiting: data holds the array once the event is awaited, and is the plugin's
// until then. The buffer may be closed or donated before.
func (b *Buffer) ToHostAsync(data []byte) (*Event, error) {
	t, err := b.ElementType()
	if err != nil {
		return nil, err
	}
	dims, err := b.Dims()
	if err != nil {
		return nil, err
	}
	if want := byteSize(t, dims); want != len(data) {
		return nil, fault.New(fault.Internal, "copying %s%v to the host: room for %d bytes given, %d needed", t, dims, len(data), want)
	}
	if len(data) == 0 {
		return b.Done()
	}
	minorToMajor := make([]int64, len(dims))
	for i := range minorToMajor {
		minorToMajor[i] = int64(len(dims) - 1 - i)
	}
	var layoutPins pinner
	defer layoutPins.Unpin()
	// Left to itself the plugin would keep the device's order of axes, which on TPU is its own choice.
	layout := &memoryLayout{tiled: tiledLayout{minorToMajor: lend(&layoutPins, minorToMajor), minorToMajorSize: uintptr(len(dims))}}
	layout.structSize, layout.tiled.structSize = structSize[memoryLayout](), structSize[tiledLayout]()
	e := b.client.newEvent(fmt.Sprintf("copying %s%v to the host", t, dims))
	args := &bufferToHostArgs{
		source: b.handle, hostLayout: address(&layoutPins, layout), destination: e.pins.bytes(data), size: uintptr(len(data)),
	}
	if err := call(b.client.plugin, fnBufferToHost, args); err != nil {
		e.free()
		return nil, wrap(fault.Device, err, "%s", e.what)
	}
	e.handles, e.copies = []handle{args.event}, true
	return e, nil
}

// Close gives the memory back, after the executions that use it.
func (b *Buffer) Close() {
	if b == nil || b.handle == 0 {
		return
	}
	b.client.plugin.destroy(fnBufferDestroy, b.handle)
	b.forget()
}

// forget drops a buffer that was freed.
func (b *Buffer) forget() {
	b.handle = 0
	live.buffers.Add(-1)
	b.client.release()
}
