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

// Stats returns the counts. It makes no request: while the slots of a Redis Cluster are not known, the client would ask for them, so until then the
// pool counts as empty.
func (s *Store) Stats() Stats {
	all := Stats{FeedEntries: s.appended.counts(), AsyncLost: s.async.lost.Load()}
	if s.cluster && !s.shards.learnt.Load() {
		return all
	}
	p := s.client.PoolStats()
	all.Pool.add(p.TotalConns, p.IdleConns, p.Hits, p.Misses, p.Timeouts, p.StaleConns)
	if p := p.PipelineStats; p != nil { // batches have connections of their own
		all.Pool.add(p.TotalConns, p.IdleConns, p.Hits, p.Misses, p.Timeouts, p.StaleConns)
	}
	return all
}

// add adds the counts of one of the client's pools.
func (p *PoolStats) add(connections, idle, hits, misses, timeouts, stale uint32) {
	p.Connections += uint64(connections)
	p.Idle += uint64(idle)
	p.Hits += uint64(hits)
	p.Misses += uint64(misses)
	p.Timeouts += uint64(timeouts)
	p.Stale += uint64(stale)
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
