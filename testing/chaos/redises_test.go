package chaos

import (
	"os"
	"testing"
)

// TestRedisCluster runs the faults of shards, in a world with a Redis Cluster of three primaries and three replicas.
func TestRedisCluster(t *testing.T) { otherRedis(t, func(o *Options) { o.Cluster = true }) }

// TestSentinel runs the failovers, each in a world whose Redis has a replica and three sentinels.
func TestSentinel(t *testing.T) { otherRedis(t, func(o *Options) { o.Sentinel = true }) }

func otherRedis(t *testing.T, with func(*Options)) {
	t.Helper()
	if os.Getenv("CHAOS") == "" || os.Getenv("CHAOS_NEMESIS") != "" {
		t.Skip("make chaos without NEMESIS runs it")
	}
	o, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	with(&o)
	o.Duration = 0
	run(t, o)
}
