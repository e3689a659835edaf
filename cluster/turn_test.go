package cluster

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A join or a removal whose asker has gone must not wait behind another that cannot be committed.
func TestATurnIsGivenUpWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{configuring: newTurn()}
		if err := n.configuring.take(t.Context()); err != nil {
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
		if n.configuring.try() {
			t.Error("two have the turn")
		}
		n.configuring.give()
		if !n.configuring.try() {
			t.Error("nobody has the turn, and it is not given")
		}
	})
}
