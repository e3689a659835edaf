//go:build !linux

package daemon

// addressSpace is implemented on Linux only.
func addressSpace() (limit, size uint64, ok bool) { return 0, 0, false }
