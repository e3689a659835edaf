package actors

import (
	"sync/atomic"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// SystemClock is the only clock of a node. Its stamps count from its creation and never repeat.
type SystemClock struct {
	start time.Time
	last  atomic.Int64
}

// NewSystemClock starts a clock.
func NewSystemClock() *SystemClock { return &SystemClock{start: time.Now()} }

// Now returns the present moment.
func (c *SystemClock) Now() reconcile.Moment {
	now := time.Now()
	return reconcile.Moment{Wall: now.UnixMilli(), Stamp: reconcile.Stamp(c.next(int64(now.Sub(c.start))))}
}

func (c *SystemClock) next(at int64) int64 {
	for {
		last := c.last.Load()
		at = max(at, last+1)
		if c.last.CompareAndSwap(last, at) {
			return at
		}
	}
}
