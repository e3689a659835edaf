package daemon

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/internal/redisstore"
)

// storeMetrics are the metrics of the connections to Redis, the change feed and the writes outside the commits. All of one scrape come from one
// redisstore.Stats.
type storeMetrics struct {
	stats    func() redisstore.Stats
	series   []storeSeries
	appended *prometheus.Desc
}

type storeSeries struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(redisstore.Stats) float64
}

func newStoreMetrics(stats func() redisstore.Stats) *storeMetrics {
	m := &storeMetrics{stats: stats, appended: prometheus.NewDesc("rollcall_feed_entries_total",
		"Entries that confirmed commits of this node appended to the change feed, by type.", []string{"type"}, nil)}
	add := func(kind prometheus.ValueType, name, help string, value func(redisstore.Stats) float64) {
		m.series = append(m.series, storeSeries{prometheus.NewDesc("rollcall_"+name, help, nil, nil), kind, value})
	}
	counter := func(name, help string, value func(redisstore.Stats) uint64) {
		add(prometheus.CounterValue, name, help, func(s redisstore.Stats) float64 { return float64(value(s)) })
	}
	add(prometheus.GaugeValue, "redis_pool_connections", "Connections to Redis, in use or idle.",
		func(s redisstore.Stats) float64 { return float64(s.Pool.Connections) })
	add(prometheus.GaugeValue, "redis_pool_idle_connections", "Connections to Redis that are idle.",
		func(s redisstore.Stats) float64 { return float64(s.Pool.Idle) })
	counter("redis_pool_hits_total", "Requests to Redis for which a connection was idle.", func(s redisstore.Stats) uint64 { return s.Pool.Hits })
	counter("redis_pool_misses_total", "Requests to Redis for which no connection was idle.", func(s redisstore.Stats) uint64 { return s.Pool.Misses })
	counter("redis_pool_timeouts_total", "Requests to Redis that got no connection in time.", func(s redisstore.Stats) uint64 { return s.Pool.Timeouts })
	counter("redis_pool_stale_connections_total", "Connections to Redis that were closed because they were stale.",
		func(s redisstore.Stats) uint64 { return s.Pool.Stale })
	counter("redis_async_writes_lost_total", "Entries of the drift list and of the timelines that were lost because Redis did not take them; they are only for people to look at.",
		func(s redisstore.Stats) uint64 { return s.AsyncLost })
	return m
}

// Describe implements prometheus.Collector.
func (m *storeMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.appended
	for _, s := range m.series {
		to <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (m *storeMetrics) Collect(to chan<- prometheus.Metric) {
	now := m.stats()
	for _, s := range m.series {
		to <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(now))
	}
	for kind, n := range now.FeedEntries {
		to <- prometheus.MustNewConstMetric(m.appended, prometheus.CounterValue, float64(n), string(kind))
	}
}
