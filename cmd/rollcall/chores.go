package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/rollcallhq/rollcall/internal/redisstore"
)

const (
	discoverEvery = 10 * time.Minute
	// discoverPace is the pause between two batches of the background scan, which looks at 100 keys each.
	discoverPace = 20 * time.Millisecond
	policyEvery  = time.Hour
	policyAgain  = 10 * time.Second // while Redis does not answer
	choreTimeout = 5 * time.Second
)

// startChores begins what every node does in the background, beside rooms and leadership.
func (n *daemon) startChores() {
	ctx, end := context.WithCancel(context.Background())
	n.end = end
	n.chores.Go(func() { n.repeat(ctx, discoverEvery, n.discover) })
	if n.embedded == nil { // which evicts nothing
		n.chores.Go(func() { n.repeat(ctx, policyEvery, n.checkPolicy) })
	}
	n.chores.Go(func() { n.shareBudget(ctx) })
	n.chores.Go(func() { n.recordEpochs(ctx) })
	n.chores.Go(func() { n.lookIntoRefusals(ctx) })
	n.chores.Go(func() { n.syncAfterLosses(ctx) })
	n.chores.Go(func() { n.tellReadiness(ctx) })
	n.chores.Go(func() {
		select {
		case err := <-n.cluster.Failure():
			n.fail(err)
		case <-ctx.Done():
		}
	})
}

func (n *daemon) repeat(ctx context.Context, every time.Duration, chore func(context.Context)) {
	for {
		chore(ctx)
		if !pause(ctx, every) {
			return
		}
	}
}

// discover finds rooms that the index has lost, slowly.
func (n *daemon) discover(ctx context.Context) {
	if err := n.store.Discover(ctx, discoverPace); err != nil && ctx.Err() == nil {
		n.log.Debug("the background scan for rooms ended early; it comes again", "error", err)
	}
}

// checkPolicy warns of a Redis that may throw records away. It tries until Redis answers.
func (n *daemon) checkPolicy(ctx context.Context) {
	for {
		try, cancel := context.WithTimeout(ctx, choreTimeout)
		policy, err := n.store.MaxmemoryPolicy(try)
		cancel()
		if err == nil {
			tellPolicy(n.log, policy)
			return
		}
		if !pause(ctx, policyAgain) {
			return
		}
	}
}

func tellPolicy(log *slog.Logger, policy string) {
	switch policy {
	case "noeviction":
	case redisstore.UnknownPolicy:
		log.Warn("Redis' maxmemory-policy could not be looked up, for this user may use neither CONFIG GET nor INFO: see to it that it is noeviction, or records may be evicted")
	default:
		log.Warn("Redis may evict rollcall's records when its memory is full: set maxmemory-policy noeviction", "policy", policy)
	}
}

// housekeeping is what the store wants done with each cleanup.
func (n *daemon) housekeeping(ctx context.Context) error { return n.store.Straighten(ctx) }

const (
	readinessEvery = 500 * time.Millisecond
	// readinessAgain is how long a node is not ready before it says so once more.
	readinessAgain = 30 * time.Second
)

// tellReadiness logs when this node begins or ceases to take webhooks, and now and then why it still does not.
func (n *daemon) tellReadiness(ctx context.Context) {
	begun, ready, said := time.Now(), false, time.Time{}
	for pause(ctx, readinessEvery) {
		try, cancel := context.WithTimeout(ctx, choreTimeout)
		err := n.members.health.Ready(try)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && !ready:
			n.log.Info("ready: this node takes webhooks", "after", time.Since(begun).Round(time.Millisecond))
			ready = true
		case err != nil && (ready || time.Since(said) > readinessAgain && time.Since(begun) > 2*readinessEvery):
			if ready {
				begun = time.Now()
			}
			ready, said = false, time.Now()
			n.log.Warn("not ready: this node answers webhooks with 503", "why", err)
		}
	}
}

// pause waits and tells whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
