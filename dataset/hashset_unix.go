//go:build unix

package dataset

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// allocate gives zeroed slots outside the garbage collector's heap, which would keep as much again in reserve.
func allocate(slots int) []uint64 {
	memory, err := unix.Mmap(-1, 0, slots*bytesASlot, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil { // no such mapping here: the heap will do
		return make([]uint64, slots)
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(memory))), slots)
}

// release gives back what allocate gave. Heap memory is no mapping of this process's own and is left to the collector.
func release(slots []uint64) {
	if len(slots) > 0 {
		_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(slots))), len(slots)*bytesASlot))
	}
}
