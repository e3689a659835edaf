package cluster

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"
)

// A join or a removal whose client has gone must not wait behind another one that cannot be committed.
func TestATurnIsGivenUpWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{configuring: semaphore.NewWeighted(1)}
		if err := n.configuring.Acquire(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := n.admit(ctx, joining{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error("a join:", err)
		}
		if err := n.remove(ctx, "n9"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error("a removal:", err)
		}
		if n.configuring.TryAcquire(1) {
			t.Error("two hold the lock")
		}
		n.configuring.Release(1)
		if !n.configuring.TryAcquire(1) {
			t.Error("nobody holds the lock, and it cannot be taken")
		}
	})
}
