package actors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
)

// crowd makes n rooms with one participant each, by webhooks that n1 receives.
func (w *town) crowd(n int) (rooms []string) {
	w.Helper()
	router := w.router("n1")
	for i := range n {
		room := fmt.Sprint("room", i)
		for _, e := range []reconcile.Event{w.lk.start(room), w.lk.join(room, "a")} {
			if err := router.Deliver(w.Context(), e); err != nil {
				w.Fatalf("room %s: %v", room, err)
			}
		}
		rooms = append(rooms, room)
	}
	return rooms
}

func (w *town) names(node string) []string {
	w.Helper()
	names, err := w.hosts[node].Names(context.Background())
	if err != nil {
		w.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestANewOwnerClaimsItsRoomsAtOnceAndTheOldOneLetsThemGo(t *testing.T) {
	inTown(t, func(w *town) {
		rooms := w.crowd(40)
		slices.Sort(rooms)
		if all := w.names("n1"); !slices.Equal(all, rooms) {
			t.Fatalf("n1 has %q", all)
		}
		w.open("n2")
		synctest.Wait()
		theirs := w.owned("n2", rooms)
		if got := w.names("n2"); !slices.Equal(got, theirs) {
			t.Errorf("n2 has %q, want all that it owns, without any message for them: %q", got, theirs)
		}
		if got, want := w.names("n1"), w.owned("n1", rooms); !slices.Equal(got, want) {
			t.Errorf("n1 still has %q, want %q", got, want)
		}
		m, _ := w.now().View.Member("n2")
		for _, room := range theirs {
			if c := w.claim(room); c.Incarnation != 1 && c.Incarnation != m.Incarnation {
				t.Errorf("room %s is claimed by %+v", room, c)
			}
		}
	}, "n1")
}

func TestARoomThatComesBackIsClaimedAgain(t *testing.T) {
	inTown(t, func(w *town) {
		rooms := w.crowd(40)
		room := w.owned("n2", rooms)[0]
		w.leave("n2")
		synctest.Wait()
		gained := w.now().View.Epoch
		if err := w.router("n1").Deliver(w.Context(), w.lk.join(room, "b")); err != nil {
			t.Fatal(err)
		}
		feed := w.store.Feed()
		last := feed[len(feed)-1]
		if last["room"] != room || last["epoch"] != fmt.Sprint(gained) {
			t.Errorf("written under epoch %s, want that of the view which gave the room back, %d", last["epoch"], gained)
		}
	}, "n1", "n2")
}

// A view in which another node owned the room may have come and gone before this node noticed it.
func TestARoomThatWasAnothersForAMomentIsClaimedAgain(t *testing.T) {
	inTown(t, func(w *town) {
		rooms := w.crowd(40)
		w.mu.Lock()
		n2 := w.state.Applied + 1
		w.mu.Unlock()
		w.apply(fsm.Join{ID: "n2", HashVersion: fsm.HashVersion}, fsm.Leave{ID: "n2", Incarnation: n2})
		synctest.Wait()
		router := w.router("n1")
		for _, room := range rooms {
			if err := router.Deliver(w.Context(), w.lk.join(room, "b")); err != nil {
				t.Fatal(err)
			}
		}
		epochs := map[string]int{}
		for _, entry := range w.store.Feed()[2*len(rooms):] {
			epochs[entry["epoch"]]++
		}
		if claimed := epochs[fmt.Sprint(w.now().View.Epoch)]; claimed == 0 || claimed == len(rooms) {
			t.Errorf("%d of %d rooms claimed again, want those that n2 owned in between: %v", claimed, len(rooms), epochs)
		}
	}, "n1")
}

// stuck is a node that accepts requests and answers none.
type stuck struct {
	actors.Owner
	asked chan string
}

func (s stuck) Deliver(ctx context.Context, e reconcile.Event) error {
	s.asked <- e.Room.Name
	<-ctx.Done()
	return fmt.Errorf("%w: %w", actors.ErrUnavailable, ctx.Err())
}

func (s stuck) Survey(ctx context.Context, b actors.Batch) (actors.Findings, error) {
	s.asked <- "survey"
	<-ctx.Done()
	return actors.Findings{}, fmt.Errorf("%w: %w", actors.ErrUnavailable, ctx.Err())
}

func (s stuck) Names(context.Context) ([]string, error) { return nil, nil }

func TestARequestFollowsItsRoomToTheNextOwner(t *testing.T) {
	inTown(t, func(w *town) {
		room := w.owned("n2", w.crowd(40))[0]
		way := stuck{asked: make(chan string, 1)}
		w.cut["n2"] = way
		ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- w.router("n1").Deliver(ctx, w.lk.join(room, "b")) }()
		<-way.asked
		w.leave("n3") // a view that leaves the room where it is: the request goes on
		synctest.Wait()
		begun := time.Now()
		w.leave("n2")
		if err := <-done; err != nil || time.Since(begun) > time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		if owner := w.owned("n1", []string{room}); len(owner) != 1 {
			t.Errorf("n1 does not own the room")
		}
	}, "n1", "n2", "n3")
}

func TestANodeThatDiesDuringASyncCostsItsRoomsARetry(t *testing.T) {
	inTown(t, func(w *town) {
		rooms := w.crowd(40)
		w.lk.leave(w.owned("n2", rooms)[0], "a")
		time.Sleep(settle)
		way := stuck{asked: make(chan string, 1)}
		w.cut["n2"] = way
		type outcome struct {
			report reconcile.Report
			err    error
		}
		done := make(chan outcome, 1)
		sweep := w.sweep("n1")
		go func() {
			r, err := sweep.Sync(w.Context(), seat{w, "n1"}.Leader(), reconcile.Options{Scheduled: true})
			done <- outcome{r, err}
		}()
		<-way.asked
		synctest.Wait()
		if p := sweep.Progress(); p.Kind != "sync" || p.Of != 40 || p.Done != len(w.owned("n1", rooms)) {
			t.Errorf("progress %+v", p)
		}
		w.leave("n2")
		got := <-done
		if got.err != nil || got.report.Synced != 40 || got.report.Errors != 0 || got.report.Changed != 1 {
			t.Errorf("%v, %+v", got.err, got.report)
		}
		if p := sweep.Progress(); p != (reconcile.Progress{}) {
			t.Errorf("progress after the end %+v", p)
		}
	}, "n1", "n2")
}

// vanish ends rooms of a crowd in LiveKit, without any webhook.
func (w *town) vanish(rooms []string) {
	for _, room := range rooms {
		w.lk.leave(room, "a")
		w.lk.finish(room)
	}
	time.Sleep(settle)
}

// The next owner of a room has not seen round 1. It does both looks before the cycle ends.
func TestARoomThatMovesBetweenTheRoundsIsDoneByTheEndOfTheCycle(t *testing.T) {
	inTown(t, func(w *town) {
		rooms := w.crowd(60)
		w.vanish(rooms[:30])
		w.raise("n3")
		time.AfterFunc(500*time.Millisecond, func() { w.join("n3") })
		r, err := w.sweep("n1").Sync(w.Context(), seat{w, "n1"}.Leader(), reconcile.Options{Scheduled: true})
		if err != nil || r.Errors != 0 || r.Held != nil || r.Synced != 60 || r.Cleaned != 30 || r.Drift[reconcile.Ghost] != 30 {
			t.Errorf("%v, %+v", err, r)
		}
		w.owned("n3", rooms[:30])
	}, "n1", "n2")
}

// An absence that the breaker permits because three cycles agree is removed only by the owner that has seen them. A room's next owner
// has seen none.
func TestARoomThatMovesAsTheBreakerGivesInWaits(t *testing.T) {
	inTown(t, func(w *town) {
		rooms := w.crowd(60)
		w.vanish(rooms[:40])
		w.raise("n3")
		sweep := w.sweep("n1")
		var r reconcile.Report
		for cycle := range reconcile.AgreeCycles {
			if cycle == reconcile.AgreeCycles-1 {
				time.AfterFunc(500*time.Millisecond, func() { w.join("n3") })
			}
			var err error
			if r, err = sweep.Sync(w.Context(), seat{w, "n1"}.Leader(), reconcile.Options{Scheduled: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if moved := len(w.owned("n3", rooms[:40])); r.Cleaned != 40-moved {
			t.Errorf("%+v, and %d rooms moved", r, moved)
		}
	}, "n1", "n2")
}

func TestRoomsWithoutAnOwnerAreErrorsOfTheCycle(t *testing.T) {
	inTown(t, func(w *town) {
		rooms := w.crowd(40)
		way := stuck{asked: make(chan string, 9)}
		w.cut["n2"] = way
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		r, err := w.sweep("n1").Sync(ctx, seat{w, "n1"}.Leader(), reconcile.Options{})
		theirs := len(w.owned("n2", rooms))
		if !errors.Is(err, context.DeadlineExceeded) || r.Errors != theirs || r.Synced != 40-theirs {
			t.Errorf("%v, %+v, want %d errors", err, r, theirs)
		}
	}, "n1", "n2")
}

// A batch or a delivery may reach a node that no longer owns some of the rooms. The node reports these room by room, and does the rest.
func TestABatchForAMovedRoom(t *testing.T) {
	inTown(t, func(w *town) {
		rooms := w.crowd(40)
		mine, theirs := w.owned("n1", rooms), w.owned("n2", rooms)
		f, err := w.hosts["n1"].Survey(w.Context(), actors.Batch{Leader: seat{w, "n1"}.Leader(), Cycle: 1, Rooms: rooms, Cause: reconcile.BySync})
		slices.Sort(f.Moved)
		if err != nil || f.Examined != len(mine) || f.Errors != 0 || !slices.Equal(f.Moved, theirs) {
			t.Errorf("%v, %+v", err, f)
		}
		cleaned, err := w.hosts["n1"].Cleanup(w.Context(), actors.CleanupRequest{Leader: seat{w, "n1"}.Leader(), Stale: time.Hour, Rooms: rooms})
		slices.Sort(cleaned.Moved)
		if err != nil || cleaned.Errors != 0 || !slices.Equal(cleaned.Moved, theirs) {
			t.Errorf("%v, %+v", err, cleaned)
		}
		var not actors.NotOwner
		err = w.hosts["n1"].Deliver(w.Context(), w.lk.join(theirs[0], "b"))
		if !errors.As(err, &not) || not.Epoch != w.now().View.Epoch || !errors.Is(err, actors.ErrNotOwner) {
			t.Errorf("a delivery to a node that does not own the room: %v", err)
		}
	}, "n1", "n2")
}

// The next leader continues the last leader's count of held cycles.
func TestHeldCyclesAreCountedOverLeaders(t *testing.T) {
	inTown(t, func(w *town) {
		for _, room := range w.crowd(40) {
			w.lk.finish(room)
		}
		before := 2
		sweep := w.sweep("n1")
		sweep.Held = func() int { return before }
		leader := seat{w, "n1"}.Leader()
		for i, want := range []int{3, 4} {
			r, err := sweep.Sync(w.Context(), leader, reconcile.Options{Scheduled: true})
			if err != nil || r.Held == nil || r.Held.Cycles != want {
				t.Errorf("cycle %d: %v, held %+v, want %d cycles", i, err, r.Held, want)
			}
			before = 9 // asked once only
		}
	}, "n1")
}
