//go:build !unix || aix || solaris

package boltfile

import "os"

// lock does nothing: on these systems bbolt uses another kind of lock.
func lock(*os.File) error { return nil }
