//go:build cgo && linux

package device

/*
#include <malloc.h>

// XLA's CPU client takes the memory of every execution from malloc and gives it back after it. By default
// glibc returns such large blocks to the kernel, which then clears and maps every page again in the next
// step: a quarter of the time of a small model's step. Kept in the heap, they are there already.
static void keep_freed_memory(void) {
#ifdef __GLIBC__
	mallopt(M_MMAP_MAX, 0);          // large blocks come from the heap, not from the kernel
	mallopt(M_TRIM_THRESHOLD, -1);   // its free end stays
	mallopt(M_TOP_PAD, 256 << 20);   // it grows in large steps
	mallopt(M_ARENA_MAX, 1);         // there is one, whichever thread frees
#endif
}
*/
import "C"

// keepFreedMemory makes malloc hold on to what XLA frees between steps. It is for the life of the process.
func keepFreedMemory() { C.keep_freed_memory() }
