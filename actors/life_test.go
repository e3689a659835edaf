package actors_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

func TestARoomKeepsItsOrder(t *testing.T) {
	bubble(t, func(r *rig) {
		// Commits take a random time. Each room's events are sent without waiting for an answer.
		dice := rand.New(rand.NewPCG(1, 2))
		var mu sync.Mutex
		r.faults.set(func(memstore.Op, string) memstore.Fault {
			mu.Lock()
			defer mu.Unlock()
			return memstore.Fault{Delay: time.Duration(dice.IntN(20)) * time.Millisecond}
		})
		var sent sync.WaitGroup
		for n := range 20 {
			room := fmt.Sprint("r", n)
			for i := range 30 {
				for _, e := range []func(string, string) (ev event){r.lk.join, r.lk.leave} {
					ev := e(room, fmt.Sprint(i))
					sent.Go(func() {
						if err := r.deliver(ev); err != nil {
							t.Error(err)
						}
					})
					synctest.Wait() // it is in the mailbox
				}
			}
		}
		sent.Wait()
		got := map[string][]string{}
		for _, entry := range r.store.Feed() {
			if entry["type"] != "room_snapshot" {
				got[entry["room"]] = append(got[entry["room"]], entry["type"]+entry["identity"])
			}
		}
		var want []string
		for i := range 30 {
			want = append(want, fmt.Sprint("participant_joined", i), fmt.Sprint("participant_left", i))
		}
		for room, order := range got {
			if !slices.Equal(order, want[1:]) { // the first join is the snapshot
				t.Fatalf("room %s took them as %v", room, order)
			}
		}
		if len(got) != 20 {
			t.Errorf("%d rooms", len(got))
		}
	})
}

func TestAStuckRoomHoldsNobody(t *testing.T) {
	bubble(t, func(r *rig) {
		r.faults.set(func(_ memstore.Op, room string) memstore.Fault { return memstore.Fault{Hang: room == "stuck"} })
		stuck, e := make(chan error, 1), r.lk.join("stuck", "a")
		go func() { stuck <- r.deliver(e) }()
		synctest.Wait()
		start := time.Now()
		for i := range 100 {
			r.must(r.lk.join(fmt.Sprint("free", i), "a"))
		}
		if time.Since(start) != 0 {
			t.Errorf("the others waited %v", time.Since(start))
		}
		is(t, <-stuck, actors.ErrUnavailable)
	})
}

func TestACrashedRoomComesBack(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		crash := func() { panic("a bug") }
		r.faults.next(memstore.Commit, memstore.Fault{}, crash)
		lost := r.lk.join("r", "b")
		start := time.Now()
		is(t, r.deliver(lost), actors.ErrUnavailable)
		if time.Since(start) != 0 {
			t.Errorf("the caller waited %v for the crash", time.Since(start))
		}
		r.must(lost) // waits in the mailbox for the restart
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("the restart took %v", took)
		}
		if n := r.faults.count(memstore.Claim); n != 2 {
			t.Errorf("%d claims: the room did not claim before it read", n)
		}
		r.present("r", "a", "b")

		// The room keeps crashing. The delay doubles up to its limit, and the room is never given up.
		r.faults.set(func(op memstore.Op, _ string) memstore.Fault {
			if op == memstore.Claim || op == memstore.Commit {
				panic("a bug")
			}
			return memstore.Fault{}
		})
		var at []int64
		last := time.Now()
		for range 12 {
			for range 10 {
				before := r.seen.get(&r.seen.crashed)
				ctx, cancel := context.WithTimeout(context.Background(), 7*time.Second) // no restart is at the end of it
				is(t, r.router.Deliver(ctx, lost), actors.ErrUnavailable)
				cancel()
				if r.seen.get(&r.seen.crashed) > before {
					break
				}
			}
			at = append(at, time.Since(last).Milliseconds())
			last = time.Now()
		}
		want := []int64{0, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000}
		if !slices.Equal(at, want) {
			t.Fatalf("it crashed again after %v ms, want %v", at, want)
		}
		r.faults.set(nil)
		time.Sleep(30 * time.Second)
		r.must(r.lk.join("r", "c"))
		r.present("r", "a", "b", "c")
	})
}

func TestMailOfACrashedRoomIsHandledInOrder(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.start("r"))
		r.faults.next(memstore.Commit, memstore.Fault{Delay: time.Second}, func() { r.faults.next(memstore.Commit, memstore.Fault{}, func() { panic("a bug") }) })
		var sent sync.WaitGroup
		failed := make(chan string, 10)
		for i := range 10 {
			who := fmt.Sprint(i)
			e := r.lk.join("r", who)
			sent.Go(func() {
				if r.deliver(e) != nil {
					failed <- who
				}
			})
			synctest.Wait()
		}
		sent.Wait()
		close(failed)
		if who := <-failed; who != "1" {
			t.Errorf("%q failed, want 1, at whose commit the room crashed", who)
		}
		r.present("r", "0", "2", "3", "4", "5", "6", "7", "8", "9")
	})
}

func TestACrashedRoomDoesNotHoldUpTheStop(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		for range 8 { // the restarts take longer and longer
			r.faults.next(memstore.Commit, memstore.Fault{}, func() { panic("a bug") })
			is(t, r.deliver(r.lk.join("r", "b")), actors.ErrUnavailable)
			time.Sleep(30 * time.Second)
		}
		r.faults.next(memstore.Commit, memstore.Fault{}, func() { panic("a bug") })
		is(t, r.deliver(r.lk.join("r", "c")), actors.ErrUnavailable)
		start := time.Now()
		if err := r.host.Stop(context.Background()); err != nil || time.Since(start) > time.Second {
			t.Errorf("the stop took %v: %v", time.Since(start), err)
		}
	})
}

func TestFinishedRoomsRest(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("live", "a"), r.lk.join("done", "a"))
		r.must(r.lk.finish("done")...)
		time.Sleep(time.Minute)
		if got := r.names(); !slices.Equal(got, []string{"done", "live"}) {
			t.Errorf("after a minute: %v", got)
		}
		time.Sleep(90 * time.Second)
		if got := r.names(); !slices.Equal(got, []string{"live"}) {
			t.Errorf("after the rest: %v", got)
		}
		if n := r.seen.get(&r.seen.rooms); n != 1 {
			t.Errorf("%d rooms observed", n)
		}
		time.Sleep(time.Hour)
		if got := r.names(); !slices.Equal(got, []string{"live"}) {
			t.Errorf("after an hour: %v", got)
		}
	})
}

func TestTheSyncKeepsNoFinishedRoomAwake(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("done", "a"))
		r.must(r.lk.finish("done")...)
		for range 10 {
			r.sync(reconcile.Options{Scheduled: true})
			time.Sleep(31 * time.Second)
		}
		if got := r.names(); len(got) != 0 {
			t.Errorf("%v still have actors", got)
		}
	})
}

// While a room stops, its messages wait: none is queued behind the stop.
func TestMailDuringTheStop(t *testing.T) {
	bubble(t, func(r *rig) {
		r.must(r.lk.join("r", "a"))
		r.faults.next(memstore.Commit, memstore.Fault{Delay: 2 * time.Second}) // the stop waits behind a slow commit
		var sent sync.WaitGroup
		var busy, handled int
		var mu sync.Mutex
		send := func(e event) {
			sent.Go(func() {
				err := r.deliver(e)
				mu.Lock()
				defer mu.Unlock()
				switch err {
				case nil:
					handled++
				case actors.ErrBusy:
					busy++
				default:
					t.Error(err)
				}
			})
		}
		send(r.lk.join("r", "b"))
		synctest.Wait()
		for _, owner := range []string{"n2", "n1"} {
			r.own.change(func(o *ownership) { o.owner = owner })
			synctest.Wait()
		}
		for i := range 1010 { // the join of b waits as well: it followed its room there and back
			send(r.lk.join("r", fmt.Sprintf("%04d", i)))
			synctest.Wait()
		}
		sent.Wait()
		if handled != 1000 || busy != 11 {
			t.Errorf("%d handled and %d refused as too many, want 1000 and 11", handled, busy)
		}
		if n := r.faults.count(memstore.Claim); n != 2 {
			t.Errorf("%d claims: the room did not stop in between", n)
		}
	})
}
