package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/internal/redisstore"
)

// newStoreMetrics returns the metrics of the connections to Redis, the change feed and the writes outside the commits.
func newStoreMetrics(stats func() redisstore.Stats) *collector[redisstore.Stats] {
	c := &collector[redisstore.Stats]{read: stats}
	counter := func(name, help string, value func(redisstore.Stats) uint64) {
		c.add(prometheus.CounterValue, name, help, func(s redisstore.Stats, put func(float64, ...string)) { put(float64(value(s))) })
	}
	c.gauge("redis_pool_connections", "Connections to Redis, in use or idle.",
		func(s redisstore.Stats) float64 { return float64(s.Pool.Connections) })
	c.gauge("redis_pool_idle_connections", "Connections to Redis that are idle.",
		func(s redisstore.Stats) float64 { return float64(s.Pool.Idle) })
	counter("redis_pool_hits_total", "Requests to Redis for which a connection was idle.", func(s redisstore.Stats) uint64 { return s.Pool.Hits })
	counter("redis_pool_misses_total", "Requests to Redis for which no connection was idle.", func(s redisstore.Stats) uint64 { return s.Pool.Misses })
	counter("redis_pool_timeouts_total", "Requests to Redis that got no connection in time.", func(s redisstore.Stats) uint64 { return s.Pool.Timeouts })
	counter("redis_pool_stale_connections_total", "Connections to Redis that were closed because they were stale.",
		func(s redisstore.Stats) uint64 { return s.Pool.Stale })
	counter("redis_async_writes_lost_total", "Entries of the drift list and of the timelines that were lost because Redis did not take them; they are only for people to look at.",
		func(s redisstore.Stats) uint64 { return s.AsyncLost })
	c.add(prometheus.CounterValue, "feed_entries_total", "Entries that confirmed commits of this node appended to the change feed, by type.",
		func(s redisstore.Stats, put func(float64, ...string)) {
			for kind, n := range s.FeedEntries {
				put(float64(n), string(kind))
			}
		}, "type")
	return c
}
