//go:build nextversion

package redisstore

import "strings"

// This file makes the build a later one for tests: its records and feed entries have a field that an older build does not know.

const recordFormat = 2

func withLater(script string) string {
	script = strings.Replace(script, "'confirmed', confirmed, ", "'confirmed', confirmed, 'later', '1', ", 1)
	return strings.Replace(script, "append('room', room,", "append('room', room, 'later', '1',", -1)
}
