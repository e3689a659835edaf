package daemon

import (
	"fmt"
	"os"
	"syscall"
)

// addressSpace returns the process' limit of address space and how much of it the process has, in bytes; ok is false without
// a limit.
func addressSpace() (limit, size uint64, ok bool) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &r); err != nil || int64(r.Cur) <= 0 {
		return 0, 0, false // the largest number means no limit
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0, false
	}
	var pages uint64
	if _, err := fmt.Sscan(string(statm), &pages); err != nil {
		return 0, 0, false
	}
	return r.Cur, pages * uint64(os.Getpagesize()), true
}
