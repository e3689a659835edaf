package node

import (
	"context"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/wait"
)

// losses allows one sync after a loss of webhooks in each interval. The schedule covers what is lost meanwhile.
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

// lossTimeout limits a sync after a loss. The sync also ends with the leader's term.
const lossTimeout = time.Hour

// WebhooksLost records, without blocking, that LiveKit has dropped webhooks.
func (n *Node) WebhooksLost() {
	select {
	case n.lost <- struct{}{}:
	default: // recorded already
	}
}

// syncAfterLosses asks the leader for a sync when LiveKit has dropped webhooks, at most once in an interval; the leader does the same
// for all nodes together.
func (n *Node) syncAfterLosses(ctx context.Context) {
	for {
		select {
		case <-n.lost:
		case <-ctx.Done():
			return
		}
		n.work.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, lossTimeout)
			defer cancel()
			if _, err := n.lead(ctx, leaderRequest{Action: syncAfterLoss}); err != nil && ctx.Err() == nil {
				n.config.Log.Warn("no sync could be asked for after LiveKit dropped webhooks; the next scheduled one repairs what was lost", "error", err)
			}
		})
		if wait.For(ctx, n.every.Load().sync) != nil {
			return
		}
	}
}
