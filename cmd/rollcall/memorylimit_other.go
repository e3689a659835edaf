//go:build !linux

package main

// addressSpace is read on Linux only.
func addressSpace() (limit, size uint64, ok bool) { return 0, 0, false }
