package daemon

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/internal/redisstore"
	"github.com/rollcallhq/rollcall/internal/wait"
)

const (
	reindexEvery = 10 * time.Minute
	// reindexPace is the pause between two batches of the background scan; a batch has 100 keys.
	reindexPace    = 20 * time.Millisecond
	policyEvery    = time.Hour
	policyAgain    = 10 * time.Second // while Redis does not answer
	requestTimeout = 5 * time.Second
)

// startBackground starts the work of every node other than rooms and leadership.
func (n *Daemon) startBackground() {
	ctx, end := context.WithCancel(context.Background())
	n.end = end
	n.background.Go(func() { n.repeat(ctx, reindexEvery, n.reindex) })
	if n.embedded == nil { // the embedded Redis evicts nothing
		n.background.Go(func() { n.repeat(ctx, policyEvery, n.checkPolicy) })
	}
	n.background.Go(func() { n.shareBudget(ctx) })
	n.background.Go(func() { n.logReadiness(ctx) })
	n.background.Go(func() { n.repeat(ctx, statsInterval/2, n.recordOccupancy) }) // at least once in each point
	n.background.Go(func() {
		select {
		case err := <-n.node.Failure():
			n.fail(err)
		case <-ctx.Done():
		}
	})
}

func (n *Daemon) repeat(ctx context.Context, every time.Duration, work func(context.Context)) {
	for {
		work(ctx)
		if wait.For(ctx, every) != nil {
			return
		}
	}
}

// recordOccupancy asks all members how many people are in how many rooms, for the statistics.
func (n *Daemon) recordOccupancy(ctx context.Context) {
	all, err := n.node.Members(ctx)
	if err != nil {
		return // the cluster is not open yet
	}
	if now := all.Occupancy(); now != nil {
		n.stats.note(func(at *slot) { at.occupancy = now })
	}
}

// reindex slowly scans for rooms that are missing in the index.
func (n *Daemon) reindex(ctx context.Context) {
	if err := n.store.Reindex(ctx, reindexPace); err != nil && ctx.Err() == nil {
		n.log.Debug("the background scan for rooms ended early; it will be repeated", "error", err)
	}
}

// checkPolicy warns of a Redis that may evict records. It retries until Redis answers.
func (n *Daemon) checkPolicy(ctx context.Context) {
	for {
		try, cancel := context.WithTimeout(ctx, requestTimeout)
		policy, err := n.store.MaxmemoryPolicy(try)
		cancel()
		if err == nil {
			logPolicy(n.log, policy)
			return
		}
		if wait.For(ctx, policyAgain) != nil {
			return
		}
	}
}

func logPolicy(log *slog.Logger, policy string) {
	switch policy {
	case "noeviction":
	case redisstore.UnknownPolicy:
		log.Warn("Redis' maxmemory-policy could not be looked up, for this user may use neither CONFIG GET nor INFO: see to it that it is noeviction, or records may be evicted")
	default:
		log.Warn("Redis may evict rollcall's records when its memory is full: set maxmemory-policy noeviction", "policy", policy)
	}
}

const (
	readinessEvery = 500 * time.Millisecond
	// readinessAgain is how long a node is not ready before it logs that again. For as long a node that starts does not warn:
	// nodes that found a cluster wait for each other.
	readinessAgain = 30 * time.Second
)

// logReadiness logs when this node starts or stops taking webhooks, and repeatedly the reason why it still does not take
// them.
func (n *Daemon) logReadiness(ctx context.Context) {
	begun, starts, ready, next := time.Now(), true, false, time.Now().Add(3*readinessEvery)
	for wait.For(ctx, readinessEvery) == nil {
		err := n.node.Ready()
		switch {
		case err == nil && !ready:
			n.log.Info("ready: this node takes webhooks", "after", time.Since(begun).Round(time.Millisecond))
			starts, ready = false, true
		case err != nil && (ready || time.Now().After(next)):
			if ready {
				begun = time.Now()
			}
			level := slog.LevelWarn
			ready, next = false, time.Now().Add(readinessAgain)
			if starts && time.Since(begun) < readinessAgain {
				level = slog.LevelInfo
			}
			n.log.Log(ctx, level, "not ready: this node answers webhooks with 503", append([]any{"why", err}, n.silentVoters(ctx, err)...)...)
		}
	}
}

// silentVoters returns, for a log line about a node that is out of contact, which voters do not answer it: more than half of them must, or
// nobody leads.
func (n *Daemon) silentVoters(ctx context.Context, why error) []any {
	if !errors.Is(why, cluster.ErrOutOfContact) {
		return nil
	}
	all, _ := n.node.Members(ctx) // without an answer no node is named
	voters, silent := 0, []string{}
	for _, m := range all.Members {
		if m.Voter {
			voters++
		}
		if m.Voter && !m.Answers() {
			silent = append(silent, m.ID)
		}
	}
	if len(silent) == 0 || 2*len(silent) < voters {
		return nil
	}
	return []any{"voters", voters, "bring_back", silent}
}
