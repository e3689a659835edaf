package e2e

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/oracle"
)

// givenUp is when LiveKit has made the last attempt to deliver an event to an unreachable receiver.
const givenUp = 16 * time.Second

// TestRollcallDown lets people come and go while rollcall is down. LiveKit retries for 15 s: rollcall is back within that time,
// or only after the events are lost. One sync makes Redis equal.
func TestRollcallDown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(*nodetest.Node)
		lost bool
	}{
		"SIGTERM": {(*nodetest.Node).Terminate, false}, "SIGKILL": {(*nodetest.Node).Kill, false}, "SIGKILL, events lost": {(*nodetest.Node).Kill, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			before := w.inhabit(t)
			c.end(w.Node)
			begun := time.Now()
			w.upheave(t, before)
			if c.lost {
				<-time.After(time.Until(begun.Add(givenUp + time.Since(begun)))) // counted from the last event
			}
			mark := time.Now()
			w.Up()
			report := w.cycleAfter(mark)
			if report.Deferred > 0 { // for rooms whose late attempts came before the sync
				w.sync(client.ActionOptions{})
			}
			// Late attempts may still arrive, because LiveKit sends a room's second event only once it has given up the first
			// one. One that arrives during the sync, such as a finish within the second of a join, asks for a separate poll.
			w.converges()
			if !c.lost {
				return
			}
			// Of what only the sync can repair. A late attempt of a room's second event asks for a poll, which may repair a leave first.
			for _, reason := range []string{"unseen room", "stale metadata"} {
				if report.Drift[reason] == 0 {
					t.Errorf("the sync reports no %q: %v", reason, report.Drift)
				}
			}
		})
	}
}

// residents are the participants of inhabit whom upheave moves.
type residents struct{ bob interface{ Leave() } }

func (w *world) inhabit(t *testing.T) residents {
	t.Helper()
	w.create(t, "stays")
	w.create(t, "goes")
	w.join(t, "stays", who{Identity: "alice", Metadata: "old"})
	bob := w.join(t, "stays", who{Identity: "bob"})
	w.join(t, "stays", who{Identity: "dora"})
	w.join(t, "goes", who{Identity: "erin"})
	w.awaitPresent("stays", "alice", "bob", "dora")
	w.converges()
	return residents{bob}
}

func (w *world) upheave(t *testing.T, r residents) {
	t.Helper()
	r.bob.Leave()
	w.join(t, "stays", who{Identity: "carol"})
	w.join(t, "stays", who{Identity: "dora"}) // a second time: the first one is removed
	w.rename(t, "stays", "alice", "new")
	w.relabel(t, "stays", "new label")
	w.delete(t, "goes")
	w.join(t, "comes", who{Identity: "frank"})
	w.create(t, "empty")
	w.shows(t, "who is left", func(v oracle.View) bool { return slices.Equal(v.Present, []string{"alice", "carol", "dora"}) }, "stays")
}

// TestKilledWhileBusy kills and restarts one of the three several times while people come and go. One sync after that makes Redis
// equal.
func TestKilledWhileBusy(t *testing.T) {
	t.Parallel()
	for name, strike := range map[string]func(*world){
		"rollcall": func(w *world) { w.Kill(); w.Up() },
		"Redis":    func(w *world) { w.redis.Kill(); w.redis.Restart(true); w.AwaitReady() },
		"LiveKit":  (*world).forget,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			ctx, calm := context.WithCancel(t.Context())
			var crowd sync.WaitGroup
			crowd.Go(func() { w.mill(ctx, t) })
			for range 4 {
				strike(w)
			}
			calm()
			crowd.Wait()
			w.AwaitReady()
			w.sync(client.ActionOptions{})
			w.converges()
		})
	}
}

// mill makes people come and go until ctx ends. Some stay.
func (w *world) mill(ctx context.Context, t *testing.T) {
	for i := 0; ctx.Err() == nil; i++ {
		room, identity := []string{"x", "y", "z"}[i%3], []string{"a", "b"}[i%2]
		p, err := w.livekit.Join(ctx, room, who{Identity: identity})
		switch {
		case err != nil: // LiveKit is down, or the test ends
		case i%4 == 0:
			t.Cleanup(p.Leave)
		default:
			p.Leave()
		}
	}
}
