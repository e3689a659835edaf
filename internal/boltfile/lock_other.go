//go:build !unix || aix || solaris

package boltfile

import "os"

// lock does nothing: bbolt's own lock is of another kind here.
func lock(*os.File) error { return nil }
