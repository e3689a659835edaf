package chaos

import (
	"os"
	"testing"
)

// TestRedisCluster runs the faults of shards, in a world with a Redis Cluster of three primaries and three replicas.
func TestRedisCluster(t *testing.T) {
	if os.Getenv("CHAOS") == "" || os.Getenv("CHAOS_NEMESIS") != "" {
		t.Skip("make chaos without NEMESIS runs it")
	}
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	o.Cluster, o.Duration = true, 0
	run(t, o)
}
