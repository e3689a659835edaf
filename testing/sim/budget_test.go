package sim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
)

// TestALowBudgetStretchesACycle checks that a low request budget makes a cycle longer and fails none of it, however low the
// budget is.
func TestALowBudgetStretchesACycle(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		nodes int
	}{{15, 3}, {5, 3}, {15, 10}, {3, 3}, {1, 3}, {0.15, 3}} {
		t.Run(fmt.Sprintf("%v a second, %d nodes", c.rate, c.nodes), func(t *testing.T) {
			inStand(t, fakelivekit.Options{Seed: 1}, livekit.Options{Rate: c.rate}, c.nodes, func(s *stand) {
				const rooms = 300
				s.populate(rooms)
				for range 2 {
					r := s.sync()
					took := time.Duration(r.DurationMs) * time.Millisecond
					if r.Synced != rooms || r.Errors != 0 || s.live() != rooms {
						t.Errorf("in %v %d examined, %d errors (%s), %d rooms in Redis", took, r.Synced, r.Errors, r.Error, s.live())
					}
					if least := time.Duration(rooms/c.rate*float64(c.nodes)) * time.Second; took > 2*least+time.Minute {
						t.Errorf("took %v, and the budget allows for %v", took, least)
					}
					if slow := took > 5*time.Minute; r.Slow != slow {
						t.Errorf("slow %v after %v", r.Slow, took)
					}
				}
				if c.rate < 1 {
					return
				}
				s.fake.DeleteRoom("room-0000")
				if r := s.sync(); r.Cleaned != 1 || s.has("room-0000") {
					t.Errorf("a room that has ended stays: %+v", r)
				}
			})
		})
	}
}

// TestPollsOfARestartLeaveTheSyncItsTurn checks that syncs still make progress when LiveKit restarts with its rooms and sends
// room_started for each again, which asks for a poll of each.
func TestPollsOfARestartLeaveTheSyncItsTurn(t *testing.T) {
	for _, rate := range []float64{15, 1} {
		inStand(t, fakelivekit.Options{Seed: 1}, livekit.Options{Rate: rate}, 3, func(s *stand) {
			const rooms = 400
			s.populate(rooms)
			if r := s.sync(); r.Errors > 0 {
				t.Fatal(r.Errors, r.Error)
			}
			for _, r := range s.fake.Snapshot().Rooms() {
				e := reconcile.Event{ID: "again" + r.Name, Kind: reconcile.Started, CreatedAt: time.Now().Unix(),
					Room: reconcile.RoomInfo{Name: r.Name, SID: r.Sid, CreatedMs: r.CreationTimeMs}}
				if err := s.node.Router.Deliver(context.Background(), e); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				r := s.sync()
				took, least := time.Duration(r.DurationMs)*time.Millisecond, time.Duration(rooms/rate*3)*time.Second
				if r.Synced != rooms || r.Errors != 0 || took > 3*least+time.Minute {
					t.Errorf("at %v a second: %d examined, %d errors in %v: %.160s", rate, r.Synced, r.Errors, took, r.Error)
				}
			}
		})
	}
}

// TestLiveKitsLimitSlowsDown checks that LiveKit's rate limit fails nothing, even if it lasts longer than a request to an owner
// may take.
func TestLiveKitsLimitSlowsDown(t *testing.T) {
	limit := &Limited{}
	inStand(t, fakelivekit.Options{Seed: 1}, livekit.Options{Rate: 30, Transport: limit}, 1, func(s *stand) {
		limit.Next = fakelivekit.InProcess(s.fake)
		const rooms = 300
		s.populate(rooms)
		time.AfterFunc(3*time.Second, func() { limit.On.Store(true) })
		time.AfterFunc(13*time.Minute, func() { limit.On.Store(false) })
		seen := false
		time.AfterFunc(10*time.Minute, func() { seen = s.node.Sweep.Progress().Slow })
		if r := s.sync(); r.Synced != rooms || r.Errors != 0 || !r.Slow || s.live() != rooms {
			t.Errorf("%+v", r)
		}
		if !seen {
			t.Error("the progress does not say that it takes long")
		}
	})
}
