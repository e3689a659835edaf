package main

import (
	"context"
	"sync"
	"time"
)

// losses lets one sync after a loss of webhooks through in an interval: the schedule covers what is lost meanwhile.
type losses struct {
	mu   sync.Mutex
	last time.Time
}

// take reports whether to sync now, and counts the sync if so.
func (l *losses) take(now time.Time, every time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < every {
		return false
	}
	l.last = now
	return true
}

// lossWithin bounds a sync after a loss. It ends with the leader's term as well.
const lossWithin = time.Hour

// tellLoss notes, without blocking, that LiveKit has dropped webhooks.
func (n *daemon) tellLoss(int) {
	select {
	case n.lost <- struct{}{}:
	default: // noted already
	}
}

// syncAfterLosses asks the leader for a sync when LiveKit has dropped webhooks, at most once in an interval; the leader does the same
// for all nodes together.
func (n *daemon) syncAfterLosses(ctx context.Context) {
	for {
		select {
		case <-n.lost:
		case <-ctx.Done():
			return
		}
		n.chores.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, lossWithin)
			defer cancel()
			if _, err := n.admin.lead(ctx, order{Action: actLoss}); err != nil && ctx.Err() == nil {
				n.log.Warn("no sync could be asked for after LiveKit dropped webhooks; the next scheduled one repairs what was lost", "error", err)
			}
		})
		if !pause(ctx, n.config.SyncInterval) {
			return
		}
	}
}
