package chaos

import (
	"os"
	"testing"
	"time"
)

// TestOverload runs the nemesis of that name for a minute.
func TestOverload(t *testing.T) {
	if os.Getenv("CHAOS") == "" || os.Getenv("CHAOS_NEMESIS") != "" {
		t.Skip("make chaos without NEMESIS runs it")
	}
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	o.Nemeses, o.Hold, o.Duration = []string{"overload"}, time.Minute, 0
	run(t, o)
}
