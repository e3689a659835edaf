//go:build !nextversion

package redisstore

// recordFormat is the newest format of records that this build understands. A record names its format in the field format of its hash, unless it is
// the first one.
const recordFormat = 1

// withLater returns a script with what a later build adds to it. This build adds nothing.
func withLater(script string) string { return script }
