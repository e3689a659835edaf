package e2e

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/client"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// many is more rooms than the breaker releases at once.
const many = 12

// fill creates empty rooms, so that nobody reconnects when LiveKit comes back.
func (w *world) fill(n int) []string {
	w.t.Helper()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("room-%02d", i))
		w.create(w.t, names[i])
	}
	w.converges()
	return names
}

// forget waits until pending webhooks have settled, kills LiveKit, whose rooms are in its memory, and starts it again.
func (w *world) forget() {
	w.t.Helper()
	w.settle()
	w.livekit.Kill()
	if err := w.livekit.Restart(w.ctx()); err != nil {
		w.t.Fatal(err)
	}
}

// has returns nil if Redis has exactly these rooms.
func (w *world) has(names []string) error {
	views, err := w.redisView()
	if err == nil && !slices.Equal(slices.Sorted(maps.Keys(views)), names) {
		err = fmt.Errorf("Redis has the rooms %q, want %q", slices.Sorted(maps.Keys(views)), names)
	}
	return err
}

// TestLiveKitRestart checks that nothing is removed while LiveKit is down, and that a few rooms that it has lost are removed by
// the first sync that sees it.
func TestLiveKitRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{every: "1s"})
	names := w.fill(3)
	p := w.spawn(t, names[0], who{Identity: "alice"})
	w.converges()
	w.settle()
	p.Kill()
	w.livekit.Kill()
	for range 3 {
		if r := w.cycleAfter(time.Now()); r.Result.Errors == 0 {
			t.Errorf("a sync without a LiveKit reports no error: %+v", r)
		}
		if err := w.has(names); err != nil {
			t.Fatalf("while LiveKit is down: %v", err)
		}
	}
	if err := w.livekit.Restart(w.ctx()); err != nil {
		t.Fatal(err)
	}
	mark := time.Now()
	w.join(t, names[0], who{Identity: "bob"})
	w.cycleAfter(mark)
	w.converges(names[0])
	w.cycleAfter(time.Now())
	w.converged()
}

// TestBreaker checks that when most rooms vanish at once they are held until three scheduled syncs agree.
func TestBreaker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{every: "4s"}) // long enough that no cycle's report is missed
	names := w.fill(many)
	w.forget()
	held := map[int]int{} // number of rooms held, by the number of cycles
	eventually.Nil(t, 2*patience, "the rooms are gone", func() error {
		before := w.status().LastSync
		present := w.has(names)
		after := w.status().LastSync
		if before.StartedAt.Equal(after.StartedAt) && after.Held != nil && after.Held.Rooms > 0 {
			held[after.Held.Cycles] = after.Held.Rooms
			// After the second cycle the third may be in progress.
			if present != nil && after.Held.Cycles < 2 {
				t.Fatalf("held for %d cycles, and yet: %v", after.Held.Cycles, present)
			}
		}
		return w.has(nil)
	})
	if !maps.Equal(held, map[int]int{1: many, 2: many}) {
		t.Errorf("held after cycles: %v, want all %d after 1 and after 2", held, many)
	}
	w.cycleAfter(time.Now())
	w.converged()
}

// TestForce checks that an operator can release at once what the breaker holds.
func TestForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	names := w.fill(many)
	w.forget()
	for range 4 { // an operator's syncs do not count for the breaker
		if r := w.sync(client.ActionOptions{}); r.Held == nil || r.Held.Rooms != many {
			t.Fatalf("a plain sync holds %+v, want %d rooms", r.Held, many)
		}
		if err := w.has(names); err != nil {
			t.Fatal(err)
		}
	}
	dry, err := w.client.Sync(w.ctx(), client.ActionOptions{DryRun: true, Force: true})
	if err != nil || len(dry.WouldChange) != many {
		t.Errorf("a dry run with force would change %v (%v), want %d rooms", dry.WouldChange, err, many)
	}
	if err := w.has(names); err != nil {
		t.Fatalf("after a dry run: %v", err)
	}
	forced, err := w.client.Sync(w.ctx(), client.ActionOptions{Force: true})
	if err != nil || forced.Result.Cleaned != many {
		t.Errorf("force removed %+v (%v), want %d rooms", forced.Result, err, many)
	}
	w.converged()
}

// TestLyingLiveKit checks that errors and empty lists that last for fewer than two looks remove nothing.
func TestLyingLiveKit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{proxied: true})
	names := w.fill(4)
	for _, name := range names[1:] {
		w.join(t, name, who{Identity: "alice"})
	}
	w.converges()
	only := func(liar string) func(string, int64) mood {
		return func(method string, _ int64) mood {
			if method == liar {
				return failing
			}
			return honest
		}
	}
	first := func(then mood) func(string, int64) mood {
		// The first look makes at most these calls: all rooms, rooms by name, and the participants of each.
		return func(_ string, nth int64) mood {
			if nth <= int64(2+len(names)) {
				return empty
			}
			return then
		}
	}
	w.lies("every call fails", func(string, int64) mood { return failing })
	w.lies("every other call fails", func(_ string, nth int64) mood { return []mood{failing, honest}[nth%2] })
	w.lies("ListRooms fails", only("ListRooms"))
	w.lies("ListRooms fails but for the first", func(method string, nth int64) mood {
		if nth == 1 {
			return honest
		}
		return only("ListRooms")(method, nth)
	})
	w.lies("ListParticipants fails", only("ListParticipants"))
	w.lies("empty at the first look", first(honest))
	w.lies("empty at the first look, then failing", first(failing))
	w.proxy.is(honest)
	w.delete(t, names[0]) // if all rooms were empty, an empty ListRooms alone would be the truth
	w.converges()
	w.lies("ListRooms is empty", func(string, int64) mood { return roomless })
	w.proxy.is(honest)
	w.sync(client.ActionOptions{})
	w.converged()
}

// lies runs a sync against a LiveKit that answers according to the rule. Nothing may change.
func (w *world) lies(how string, rule func(method string, nth int64) mood) {
	w.t.Helper()
	w.proxy.by(rule)
	answer, err := w.client.Sync(w.ctx(), client.ActionOptions{})
	if err != nil {
		w.t.Errorf("%s: %v", how, err)
	}
	w.t.Logf("%s: %d calls, %+v", how, w.proxy.calls(), answer.Result)
	if w.proxy.calls() == 0 {
		w.t.Errorf("%s: LiveKit was not asked", how)
	}
	if err := w.agree(false); err != nil {
		w.t.Fatalf("%s: %v", how, err)
	}
}

// TestSilentLiveKit checks that a LiveKit that does not answer removes nothing, and that webhooks still work.
func TestSilentLiveKit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{proxied: true, every: "1s"})
	w.fill(2)
	w.proxy.is(hanging)
	eventually.Nil(t, patience, "a sync is stuck", func() error {
		if w.proxy.calls() == 0 {
			return fmt.Errorf("no call yet")
		}
		return nil
	})
	w.join(t, "other", who{Identity: "alice"})
	w.converges()
	w.proxy.is(honest)
	w.cycleAfter(time.Now())
	w.converged()
}
