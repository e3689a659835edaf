package redisstore_test

import (
	"maps"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/rollcallhq/rollcall/reconcile"
)

// TestStats checks that the entries of the feed are counted by type once Redis has confirmed them, and that the pool and lost writes are counted.
func TestStats(t *testing.T) {
	m := miniredis.RunT(t)
	s := open(t, m.Addr(), false)
	before := s.Stats()
	if len(before.FeedEntries) != len(reconcile.ChangeTypes()) {
		t.Errorf("%v has not every type", before.FeedEntries)
	}
	claim := reconcile.Claim{Generation: 1, Epoch: 1, Incarnation: 1}
	if _, err := s.Claim(t.Context(), "r", claim); err != nil {
		t.Fatal(err)
	}
	state := &reconcile.State{SID: "RM_1", CreatedAt: 1}
	commit := reconcile.Commit{Room: "r", Claim: claim, Version: 1, Public: reconcile.Write, State: state, Cause: reconcile.ByWebhook,
		Changes: []reconcile.Change{{Type: reconcile.RoomStarted, SID: "RM_1"}, {Type: reconcile.RoomUpdated, SID: "RM_1"}}}
	if _, err := s.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), commit); err == nil {
		t.Fatal("a commit of an old version succeeds")
	}
	got := s.Stats()
	want := maps.Clone(before.FeedEntries)
	want[reconcile.RoomStarted], want[reconcile.RoomUpdated] = 1, 1
	if !maps.Equal(got.FeedEntries, want) {
		t.Errorf("%v, want %v", got.FeedEntries, want)
	}
	if got.Pool.Connections == 0 || got.Pool.Hits+got.Pool.Misses == 0 {
		t.Errorf("the pool: %+v", got.Pool)
	}
	m.SetError("LOADING")
	s.Drifted("r", reconcile.BySync, 1, []reconcile.Drift{{Reason: reconcile.Ghost}})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); s.Stats().AsyncLost != 1; <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%d lost writes are counted, want 1", s.Stats().AsyncLost)
		}
	}
}
