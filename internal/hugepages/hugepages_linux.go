//go:build cgo && linux

// Package hugepages gets the memory of XLA's CPU programs from the kernel in pages of 2 MiB. XLA takes what a step needs
// from malloc and gives it back after it, and malloc so large a block from the kernel, which clears every page of it
// anew: in pages of 4 KiB that is a quarter of a small model's step, and more of a tiny one's.
package hugepages

import (
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	variable = "GLIBC_TUNABLES"
	tunable  = "glibc.malloc.hugetlb"                        // 1: malloc asks for huge pages (glibc 2.35 or later)
	kernel   = "/sys/kernel/mm/transparent_hugepage/enabled" // the kernel's mode is in brackets
)

// Ask lets malloc ask the kernel for huge pages. glibc only listens while a process starts, so this starts it again: the
// same program with the same arguments as the same process, and one variable more in its environment. It is the first thing
// that a program does. Where huge pages are given unasked or not at all, or the variable speaks of them already
// (GLIBC_TUNABLES=glibc.malloc.hugetlb=0 declines), it does nothing.
func Ask() {
	mode, _ := os.ReadFile(kernel)
	value := os.Getenv(variable)
	if !strings.Contains(string(mode), "[madvise]") || strings.Contains(value, tunable) {
		return
	}
	if program, err := os.Executable(); err == nil {
		os.Setenv(variable, strings.TrimPrefix(value+":"+tunable+"=1", ":"))
		_ = unix.Exec(program, os.Args, os.Environ()) // what fails here costs time and nothing else
		os.Setenv(variable, value)
	}
}

var paused atomic.Int32

// Pause makes new pages small until resume is called: a plugin that loads or compiles a program touches a little of much memory,
// and the kernel may have to clear room for large pages first.
func Pause() (resume func()) {
	if paused.Add(1) == 1 {
		disable(1)
	}
	return func() {
		if paused.Add(-1) == 0 {
			disable(0)
		}
	}
}

func disable(on uintptr) { _ = unix.Prctl(unix.PR_SET_THP_DISABLE, on, 0, 0, 0) }
