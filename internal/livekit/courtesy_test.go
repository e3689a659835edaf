package livekit

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// granted acquires a turn, reports the result on grants, and holds the turn for that time.
func granted(ctx context.Context, b *budget, name string, grants chan<- string, held time.Duration) {
	release, err := b.acquire(ctx)
	if err != nil {
		grants <- name + ": " + err.Error()
		return
	}
	grants <- name
	<-time.After(held)
	release()
}

// TestPeopleComeAfterSyncs checks that all requests of syncs that wait for the only slot get it before a request on behalf of people that has
// waited longer.
func TestPeopleComeAfterSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, grants := newBudget(1, 0), make(chan string, 10)
		go granted(t.Context(), b, "sync", grants, time.Second)
		synctest.Wait()
		go granted(LowPriority(t.Context()), b, "people", grants, time.Second)
		synctest.Wait()
		for range 3 {
			go granted(t.Context(), b, "sync", grants, time.Second)
			synctest.Wait()
		}
		for i, want := range []string{"sync", "sync", "sync", "sync", "people"} {
			if got := <-grants; got != want {
				t.Fatalf("grant %d went to %s, want %s", i, got, want)
			}
		}
		<-time.After(time.Minute)
	})
}

// TestPeopleLeaveTheRate checks that people's requests get no turn, and fail at their deadline, while a sync uses every turn of the rate. The
// sync takes no longer than without them.
func TestPeopleLeaveTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, start := newBudget(16, 10), time.Now()
		done, looks := make(chan time.Duration), make(chan error, 100)
		go func() {
			for range 4 {
				granted(t.Context(), b, "sync", make(chan string, 1), 0)
			}
			for range 100 { // from here on one request always waits
				granted(t.Context(), b, "sync", make(chan string, 1), 0)
			}
			done <- time.Since(start)
		}()
		for range 20 {
			go func() {
				ctx, cancel := context.WithTimeout(LowPriority(t.Context()), 5*time.Second)
				defer cancel()
				release, err := b.acquire(ctx)
				if err == nil {
					release()
				}
				looks <- err
			}()
		}
		took := (<-done).Round(time.Millisecond)
		if least, most := 9400*time.Millisecond, 9900*time.Millisecond; took < least || took > most {
			t.Errorf("104 requests of a sync at 10/s, with a burst of 10, took %v while people looked; want %v at most", took, most)
		}
		served := 0
		for range 20 {
			switch err := <-looks; {
			case err == nil:
				served++
			case !errors.Is(noTurn(err), reconcile.ErrNoTurn):
				t.Errorf("a look without a turn: %v", err)
			}
		}
		if served > 5 {
			t.Errorf("%d looks of people were served in the meantime", served)
		}
	})
}

// TestPeopleTakeFewSlots checks that people's requests hold at most two of sixteen slots, and are served at once if no others wait.
func TestPeopleTakeFewSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, grants := newBudget(16, 0), make(chan string, 100)
		for range 20 {
			go granted(LowPriority(t.Context()), b, "people", grants, time.Minute)
		}
		synctest.Wait()
		if len(grants) != 2 || len(b.slots) != 2 {
			t.Errorf("%d requests of people run in %d slots, want 2", len(grants), len(b.slots))
		}
		for range 14 {
			go granted(t.Context(), b, "sync", grants, time.Minute)
		}
		synctest.Wait()
		if len(grants) != 16 {
			t.Errorf("with 14 of a sync %d run, want 16", len(grants))
		}
		<-time.After(time.Hour)
		if len(b.slots) != 0 || len(b.courtesy) != 0 || b.waiting.count != 0 {
			t.Errorf("left: %d slots, %d of people, %d waiting", len(b.slots), len(b.courtesy), b.waiting.count)
		}
	})
}

// TestPeopleWaitOutAPause checks that a pause that LiveKit asked for applies to people too, and that a deadline within it ends their wait.
func TestPeopleWaitOutAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, start := newBudget(16, 100), time.Now()
		b.limited(3 * time.Second)
		ctx, cancel := context.WithTimeout(LowPriority(t.Context()), 2*time.Second)
		defer cancel()
		if _, err := b.acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a deadline within the pause: %v", err)
		}
		release, err := b.acquire(LowPriority(t.Context()))
		if err != nil || time.Since(start) < 3*time.Second || time.Since(start) > 3500*time.Millisecond {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		release()
	})
}
