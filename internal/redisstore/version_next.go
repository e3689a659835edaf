//go:build nextversion

package redisstore

import "strings"

// This file makes the build a later one for tests: its records and feed entries have a field that an older build does not know.

const recordFormat = 2

func withLater(script string) string {
	script = strings.Replace(script, "'confirmed', ARGV[14]}", "'confirmed', ARGV[14], 'later', '1'}", 1)
	return strings.Replace(script, "append('room', ARGV[21],", "append('room', ARGV[21], 'later', '1',", 1)
}
