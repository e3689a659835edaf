package actors_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

// A node that is cut off from the leader does not see the view that made a newer owner. Only then does it ask another node.
func TestAFencedOwnersEventGoesThroughAnotherNode(t *testing.T) {
	bubble(t, func(r *rig) {
		var relayed []reconcile.Event
		answer := error(nil)
		r.router.Relay = func(_ context.Context, e reconcile.Event) error {
			relayed = append(relayed, e)
			return answer
		}
		r.must(r.lk.join("r", "a"))
		if len(relayed) > 0 {
			t.Error("an owner asks another node")
		}
		r.overtaken("r")
		began := time.Now()
		e := r.lk.join("r", "b")
		r.must(e)
		if len(relayed) != 1 || relayed[0].ID != e.ID || time.Since(began) > time.Second {
			t.Errorf("relayed %d events in %v", len(relayed), time.Since(began))
		}
		answer = errors.New("nobody there")
		is(t, r.deliver(r.lk.join("r", "c")), actors.ErrFenced)
	})
}
