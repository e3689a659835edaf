package chaos

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// followRedis connects the witnesses and the oracle's client, and tells the sentinels which Redis to monitor.
func (w *World) followRedis(ctx context.Context) error {
	servers := []string{"redis"}
	if w.opts.Sentinel {
		servers = append(servers, "redis-2")
	}
	if w.opts.Cluster {
		servers = shardServices()
		if err := w.makeCluster(ctx); err != nil {
			return err
		}
	}
	for _, server := range servers {
		witness, err := clusterkit.Watch(net.JoinHostPort(w.ip(server), "6379"))
		if err != nil {
			return fmt.Errorf("follow %s: %w", server, err)
		}
		w.witness = append(w.witness, witness)
	}
	const within = time.Second
	if w.opts.Cluster {
		w.redis = redis.NewClusterClient(&redis.ClusterOptions{Addrs: w.shardAddrs(), DialTimeout: within, ReadTimeout: within})
		w.forget() // a replica gets its rooms later
		return nil
	}
	if !w.opts.Sentinel {
		w.redis = redis.NewClient(&redis.Options{Addr: w.ip("redis") + ":6379", DialTimeout: within, ReadTimeout: within, MaxRetries: -1})
		return nil
	}
	var sentinels []string
	for i := range 3 {
		service := fmt.Sprintf("sentinel-%d", i+1)
		sentinels = append(sentinels, w.ip(service)+":26379")
		if err := w.tellSentinel(ctx, sentinels[i]); err != nil {
			return fmt.Errorf("%s: %w", service, err)
		}
	}
	w.redis = redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "mymaster", SentinelAddrs: sentinels, DialTimeout: within,
		ReadTimeout: within, MaxRetries: -1})
	return nil
}

func (w *World) tellSentinel(ctx context.Context, addr string) error {
	c := redis.NewClient(&redis.Options{Addr: addr})
	defer c.Close()
	if err := c.Do(ctx, "SENTINEL", "MONITOR", "mymaster", w.ip("redis"), "6379", "2").Err(); err != nil {
		return err
	}
	return c.Do(ctx, "SENTINEL", "SET", "mymaster", "down-after-milliseconds", "2000", "failover-timeout", "10000").Err()
}

// canaries returns keys of other programs, which must not change by a byte.
func canaries() map[string]string {
	return map[string]string{"matching:active": `["someone"]`, "matching:queue": "[]", "left_behind:someone": "since then",
		"room_locks:room-0001": "LiveKit's", "rooms": "LiveKit's too", "roomsx:states:room-0001": "nobody's"}
}

func (w *World) putCanaries(ctx context.Context) error {
	for key, value := range canaries() {
		if err := w.redis.Set(ctx, key, value, 0).Err(); err != nil {
			return fmt.Errorf("put a key of others: %w", err)
		}
	}
	return nil
}

// checkForeign checks that no key except our own has changed or appeared.
func (w *World) checkForeign(ctx context.Context) error {
	want := canaries()
	keys, err := w.keys(ctx, "*")
	if err != nil {
		return err
	}
	got := slices.DeleteFunc(keys, func(key string) bool { return strings.HasPrefix(key, "rooms:") })
	slices.Sort(got)
	got = slices.Compact(got)
	if keys := slices.Sorted(maps.Keys(want)); !slices.Equal(keys, got) {
		w.violate(8, "keys of others were %q, now they are %q", keys, got)
	}
	for _, key := range got {
		value, err := w.redis.Get(ctx, key).Result()
		if err != nil || value != want[key] {
			w.violate(8, "%q of others is %q (%v), was %q", key, value, err, want[key])
		}
	}
	return nil
}
