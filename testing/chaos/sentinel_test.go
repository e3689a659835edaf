package chaos

import (
	"os"
	"testing"
)

// TestSentinel runs the failovers, each in a world whose Redis has a replica and three sentinels.
func TestSentinel(t *testing.T) {
	if os.Getenv("CHAOS") == "" || os.Getenv("CHAOS_NEMESIS") != "" {
		t.Skip("make chaos without NEMESIS runs it")
	}
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	o.Sentinel, o.Duration = true, 0
	run(t, o)
}
