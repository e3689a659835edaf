package actors_test

import (
	"context"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// silentOwner is an owner that answers nothing until its caller gives up, unless it is prompt.
type silentOwner struct {
	actors.Owner
	prompt bool
	got    int
}

func (o *silentOwner) Deliver(ctx context.Context, _ reconcile.Event) error {
	o.got++
	if !o.prompt {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// TestAWaitingWebhookFollowsItsRoom checks that a webhook which waits for an owner goes to the next owner as soon as the view names one, whether it
// waits for this node or for another, and that a view which leaves the room where it is changes nothing.
func TestAWaitingWebhookFollowsItsRoom(t *testing.T) {
	for _, first := range []string{"n1", "n2"} {
		t.Run("from "+first, func(t *testing.T) {
			bubble(t, func(r *rig) {
				second, third := &silentOwner{}, &silentOwner{prompt: true}
				r.router = actors.NewRouter(r.own, func(p actors.Place) (actors.Owner, bool) {
					owner, ok := map[string]actors.Owner{"n1": r.host, "n2": second, "n3": third}[p.Node]
					return owner, ok
				})
				r.own.change(func(o *ownership) { o.owner = first })
				r.faults.next(memstore.Claim, memstore.Fault{Hang: true})
				time.AfterFunc(time.Second, func() { r.own.change(func(*ownership) {}) })
				time.AfterFunc(2*time.Second, func() { r.own.change(func(o *ownership) { o.owner = "n3" }) })
				began := time.Now()
				r.must(r.lk.join("r", "a"))
				if took := time.Since(began); third.got != 1 || took != 2*time.Second {
					t.Errorf("the next owner got %d webhooks, after %v", third.got, took)
				}
			})
		})
	}
}
