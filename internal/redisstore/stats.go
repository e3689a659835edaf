package redisstore

import (
	"sync/atomic"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Stats are counts since the start, for metrics.
type Stats struct {
	Pool PoolStats
	// FeedEntries counts the entries that confirmed commits appended to the change feed. It has every type, also while the feed is off. Entries
	// of a commit with an unknown outcome are not counted.
	FeedEntries map[reconcile.ChangeType]uint64
	// AsyncLost counts the writes outside the commits that were dropped or failed.
	AsyncLost uint64
}

// PoolStats are about the connections to Redis; on a Redis Cluster, to all of its servers together.
type PoolStats struct {
	// Connections and Idle are the numbers of connections now.
	Connections, Idle uint64
	// Hits and Misses count the requests for which a connection was idle, or was not. Timeouts counts those that got none in time, and Stale the
	// connections that were closed because they were stale.
	Hits, Misses, Timeouts, Stale uint64
}

// Stats returns the counts. It makes no request.
func (s *Store) Stats() Stats {
	p := s.client.PoolStats()
	return Stats{FeedEntries: s.appended.counts(), AsyncLost: s.async.lost.Load(),
		Pool: PoolStats{Connections: uint64(p.TotalConns), Idle: uint64(p.IdleConns), Hits: uint64(p.Hits), Misses: uint64(p.Misses),
			Timeouts: uint64(p.Timeouts), Stale: uint64(p.StaleConns)}}
}

// feedCounter counts the entries of the change feed by type. Its map never changes.
type feedCounter map[reconcile.ChangeType]*atomic.Uint64

func newFeedCounter() feedCounter {
	c := feedCounter{}
	for _, t := range reconcile.ChangeTypes() {
		c[t] = &atomic.Uint64{}
	}
	return c
}

// add counts the entries of a commit.
func (c feedCounter) add(changes []reconcile.Change) {
	for _, change := range changes {
		if n := c[change.Type]; n != nil {
			n.Add(1)
		}
	}
}

func (c feedCounter) counts() map[reconcile.ChangeType]uint64 {
	all := make(map[reconcile.ChangeType]uint64, len(c))
	for t, n := range c {
		all[t] = n.Load()
	}
	return all
}
