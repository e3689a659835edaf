//go:build !nextversion

package fsm

import "fmt"

const (
	// Format is the newest format of log entries that this build reads.
	Format = 1
	// HashVersion is the newest ownership hash that this build knows; a Join carries it.
	HashVersion = 1
)

// decodeLater reads the commands of later formats than the first.
func decodeLater(e entry) (Command, error) {
	return nil, fmt.Errorf("log entry %q: %w", e.Op, ErrNewer)
}

// salted returns the hash of a room's name for a version of the ownership hash.
func salted(_ int, name uint64) uint64 { return name }
