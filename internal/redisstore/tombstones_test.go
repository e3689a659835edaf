package redisstore_test

import (
	"fmt"
	"testing"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// finishedFence is the most that the record of a finished room may take in Redis, in bytes, however large the room was.
const finishedFence = 16 << 10

// TestAFinishedRoomIsSmall lets 500 participants join and leave, and the room finish, while no sync and no cleanup runs.
func TestAFinishedRoomIsSmall(t *testing.T) {
	r := redistest.Start(t)
	s, c, ctx := open(t, r.Addr, false), r.Client(), t.Context()
	room, _ := reconcile.Load(nil, claimed(t, s, "a"), 0)
	now := reconcile.Moment{Wall: 1795399866000}
	deliver := func(e reconcile.Event) {
		now.Wall++
		now.Stamp += 1e6
		e.Room = reconcile.RoomInfo{Name: "a", SID: "RM_hSTPQeKS5EeA", CreatedMs: 1795399866000}
		e.CreatedAt = now.Wall / 1000
		plan := reconcile.Step(room, e, now)
		receipt, err := s.Commit(ctx, plan.Commit)
		if err != nil {
			t.Fatal(err)
		}
		room.Adopt(plan, receipt)
	}
	people := make([]reconcile.Participant, 500)
	for i := range people {
		people[i] = reconcile.Participant{SID: fmt.Sprintf("PA_9FmWvBZn%04d", i), Identity: fmt.Sprintf("user-%04d", i), JoinedAt: now.Wall + 1}
		deliver(reconcile.Event{Kind: reconcile.Joined, Participant: people[i]})
	}
	for _, p := range people {
		deliver(reconcile.Event{Kind: reconcile.Left, Participant: p})
	}
	now.Wall += 5000
	deliver(reconcile.Event{Kind: reconcile.Finished})
	size, err := c.MemoryUsage(ctx, "rooms:fence:a", 0).Result()
	if err != nil || size > finishedFence {
		t.Errorf("the record of a finished room of 500 takes %d bytes (%v), want at most %d", size, err, finishedFence)
	}
	t.Logf("%d bytes, %d tombstones", size, len(room.Tombstones))
	if stored := claimed(t, s, "a"); len(stored.Tombstones) != len(room.Tombstones) {
		t.Errorf("Redis has %d tombstones, the owner %d", len(stored.Tombstones), len(room.Tombstones))
	}
}
