package redisstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// TestACommitThatFailsSpoilsNoOther sends commits of many rooms in one batch, of which two are refused and the script of one fails.
func TestACommitThatFailsSpoilsNoOther(t *testing.T) {
	o := &redis.UniversalOptions{Addrs: []string{redistest.Start(t).Addr}}
	Harden(o)
	s, err := Open(Options{Client: redis.NewUniversalClient(o), Feed: true, Timeline: true, Node: "n1", Kinds: reconcile.Kinds{"STANDARD": true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const rooms = 2*commitsAtOnce + 5
	claim := reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}
	var batch []*request
	for i := range rooms {
		room := fmt.Sprint("room-", i)
		if _, err := s.Claim(t.Context(), room, claim); err != nil {
			t.Fatal(err)
		}
		c := reconcile.Commit{Room: room, Claim: claim, Version: 1, Public: reconcile.Write, Instance: reconcile.Instance{SID: "RM_1"}, Cause: reconcile.ByWebhook,
			State: &reconcile.State{SID: "RM_1", Version: 1}, Changes: []reconcile.Change{{Type: reconcile.RoomStarted, SID: "RM_1"}}}
		switch i {
		case 1:
			c.Claim.Epoch = 0
		case 3:
			c.Expect = 7
		}
		r, err := s.commitRequest(c)
		if err != nil {
			t.Fatal(err)
		}
		if i == 5 {
			r.args = r.args[:20]
		}
		r.done = make(chan answer, 1)
		r.bytes = r.size()
		batch = append(batch, r)
	}
	if runs := s.runs(batch); len(runs) != 3 || len(runs[0].requests) != commitsAtOnce {
		t.Errorf("%d runs, the first of %d commits", len(runs), len(runs[0].requests))
	}
	if err := s.send(batch); err != nil {
		t.Fatal(err)
	}
	for i, r := range batch {
		a := <-r.done
		state := s.client.Get(t.Context(), "rooms:states:"+r.room).Val()
		failed := map[int]bool{1: errors.Is(a.err, reconcile.StaleOwner), 3: errors.Is(a.err, reconcile.Conflict), 5: a.err != nil && strings.Contains(a.err.Error(), "arguments")}
		if said, fails := failed[i]; fails && (!said || state != "") || !fails && (a.err != nil || len(a.reply) != 3 || state == "") {
			t.Errorf("%s: %v, %v, state %q", r.room, a.reply, a.err, state)
		}
	}
	if n := s.client.XLen(t.Context(), "rooms:events").Val(); n != rooms-3 {
		t.Errorf("%d entries in the feed, want %d", n, rooms-3)
	}
}
