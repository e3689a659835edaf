package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/rpc"
	"github.com/rollcallhq/rollcall/reconcile"
)

func TestRequestsReachTheOtherNode(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		found := actors.Findings{Examined: 2, Tally: reconcile.Tally{Rooms: 2, Drift: map[reconcile.Reason]int{reconcile.Ghost: 1}}}
		cleaned := actors.CleanupResult{Orphans: []string{"o"}, Stale: []string{"s"}, Moved: []string{"m"}, Errors: 1, Err: "e"}
		b.host.acts(behaviour{findings: found, cleaned: cleaned, names: 2})

		sent := reconcile.Event{ID: "EV_1", Kind: reconcile.Joined, Expires: 5, Room: reconcile.RoomInfo{Name: "r\xff\x00", SID: "RM"},
			Participant: reconcile.Participant{Identity: "i\xfe", Attributes: map[string]string{"k\xff": "v\xff"}}}
		if err := a.to(b).Deliver(within(t, 5*time.Second), sent); err != nil || !reflect.DeepEqual(b.host.events(), []reconcile.Event{sent}) {
			t.Errorf("delivered %+v, %v; want %+v", b.host.events(), err, sent)
		}
		batch := actors.Batch{Cycle: 3, Cause: reconcile.BySync, Permit: &reconcile.Permit{Cycle: 3, Streak: 1}, Rooms: []string{"a", "b"}}
		if f, err := a.to(b).Survey(t.Context(), batch); err != nil || !reflect.DeepEqual(f, found) {
			t.Errorf("found %+v, %v; want %+v", f, err, found)
		}
		if !reflect.DeepEqual(b.host.batches, []actors.Batch{batch}) || b.host.left < 4*time.Minute {
			t.Errorf("surveyed %+v with %v left, want %+v", b.host.batches, b.host.left, batch)
		}
		request := actors.CleanupRequest{Stale: time.Minute, Rooms: []string{"x"}}
		if d, err := a.to(b).Cleanup(t.Context(), request); err != nil || !reflect.DeepEqual(d, cleaned) {
			t.Errorf("cleaned up %+v, %v; want %+v", d, err, cleaned)
		}
		if !reflect.DeepEqual(b.host.cleanups, []actors.CleanupRequest{request}) {
			t.Errorf("cleaned up %+v, want %+v", b.host.cleanups, request)
		}
		if n, err := a.to(b).Names(t.Context()); err != nil || !reflect.DeepEqual(n, nameList(2)) {
			t.Errorf("names %v, %v", n, err)
		}
		must(t, a.to(b).Deliver(context.Background(), event("no deadline")))
		if b.host.left > 5*time.Second {
			t.Errorf("an event without a deadline has %v", b.host.left)
		}
	})
}

func TestErrorsMeanTheSameOnTheOtherSide(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		for _, c := range []struct {
			there, here error
			epoch       uint64
		}{
			{actors.NotOwner{Epoch: 42}, actors.ErrNotOwner, 42},
			{fmt.Errorf("%w any more", actors.ErrNotOwner), actors.ErrNotOwner, epoch},
			{actors.ErrClosing, actors.ErrNotOwner, epoch},
			{fmt.Errorf("%w: %w", actors.ErrUnavailable, actors.ErrClosing), actors.ErrNotOwner, epoch},
			{fmt.Errorf("%w: by 2 min", actors.ErrExpired), actors.ErrExpired, 0},
			{fmt.Errorf("%w: %w", actors.ErrFenced, reconcile.StaleOwner), actors.ErrFenced, 0},
			{actors.ErrBusy, actors.ErrBusy, 0},
			{actors.ErrUnavailable, actors.ErrUnavailable, 0},
			{context.DeadlineExceeded, actors.ErrUnavailable, 0},
			{context.Canceled, actors.ErrUnavailable, 0},
			{errors.New("something else"), actors.ErrUnavailable, 0},
		} {
			b.host.acts(behaviour{err: c.there})
			err := a.to(b).Deliver(within(t, 5*time.Second), event("r"))
			for _, s := range sentinels {
				if errors.Is(err, s) != (s == c.here) {
					t.Errorf("%q comes as %q, which is %q: %v", c.there, err, s, errors.Is(err, s))
				}
			}
			var behind actors.NotOwner
			if errors.As(err, &behind) != (c.epoch != 0) || behind.Epoch != c.epoch {
				t.Errorf("%q comes as %+v, want %d", c.there, behind, c.epoch)
			}
		}
	})
}

// The findings until an error come with the error.
func TestFindingsComeWithTheirError(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		b.host.acts(behaviour{findings: actors.Findings{Examined: 3}, err: actors.ErrFenced})
		if f, err := a.to(b).Survey(t.Context(), actors.Batch{}); !errors.Is(err, actors.ErrFenced) || f.Examined != 3 {
			t.Errorf("found %+v, %v", f, err)
		}
	})
}

func TestNodeThatIsBehindRefusesUntilItHasCaughtUp(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		ahead, older := b.place(), b.place()
		ahead.Epoch++
		older.Epoch--
		err := a.peers.Peer(ahead).Deliver(within(t, 5*time.Second), event("early"))
		var behind actors.NotOwner
		if !errors.As(err, &behind) || behind.Epoch != epoch {
			t.Errorf("a node that is behind says %v", err)
		}
		b.epoch.Store(epoch + 1)
		must(t, a.peers.Peer(ahead).Deliver(within(t, 5*time.Second), event("now")))
		must(t, a.peers.Peer(older).Deliver(within(t, 5*time.Second), event("of an older view")))
		if b.host.saw("early") > 0 {
			t.Error("the host was asked before it had caught up")
		}
	})
}

func TestCrashOfARequestIsItsError(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var contained atomic.Int64
		a, b := w.start("a"), w.start("b", func(c *rpc.Config) { c.Contained = func() { contained.Add(1) } })
		b.host.acts(behaviour{panics: true})
		isUnavailable(t, "a crash", a.to(b).Deliver(within(t, 5*time.Second), event("crash")))
		_, err := a.to(b).Survey(within(t, 5*time.Second), actors.Batch{})
		isUnavailable(t, "a crash of long work", err)
		if n := contained.Load(); n != 2 {
			t.Errorf("%d crashes are counted, want 2", n)
		}
		b.host.acts(behaviour{})
		must(t, a.to(b).Deliver(within(t, 5*time.Second), event("after")))
	})
}

// A caller that stops waiting returns at once. Long work ends on the other side too; an event goes on, since its room may
// be in the middle of a commit.
func TestCancelledRequestEnds(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		b.host.acts(behaviour{block: true})
		ctx, cancel := context.WithCancel(context.Background())
		errs := make(chan error, 2)
		go func() { errs <- a.to(b).Deliver(ctx, event("r")) }()
		go func() {
			_, err := a.to(b).Survey(ctx, actors.Batch{})
			errs <- err
		}()
		time.Sleep(time.Second)
		if n := b.host.atWork(); n != 2 {
			t.Fatalf("%d are at work", n)
		}
		began := time.Now()
		cancel()
		for range 2 {
			if err := <-errs; !errors.Is(err, context.Canceled) || !errors.Is(err, actors.ErrUnavailable) {
				t.Errorf("a cancelled request says %v", err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		if n := b.host.atWork(); n != 1 {
			t.Errorf("%d are still at work, want the event alone", n)
		}
	})
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	for what, limits := range map[string]rpc.Limits{
		"to one peer":    {EventsOut: 3, WorkOut: 2},
		"from all peers": {EventsIn: 3, WorkIn: 2},
	} {
		t.Run(what, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				limited := func(c *rpc.Config) { c.Limits = limits }
				a, b := w.start("a", limited), w.start("b", limited)
				b.host.acts(behaviour{block: true})
				var pending []<-chan error
				for i := range 3 {
					pending = append(pending, delivers(t, a.to(b), fmt.Sprint("r", i), 2*time.Second))
				}
				synctest.Wait()
				if err := a.to(b).Deliver(within(t, time.Second), event("one too many")); !errors.Is(err, actors.ErrBusy) {
					t.Errorf("one too many says %v", err)
				}
				// Events and surveys do not crowd each other out.
				first, second := surveys(a.to(b)), surveys(a.to(b))
				synctest.Wait()
				if b.host.surveys() != 2 {
					t.Error("events crowd out surveys")
				}
				if _, err := a.to(b).Survey(within(t, time.Second), actors.Batch{}); !errors.Is(err, actors.ErrBusy) {
					t.Errorf("one survey too many says %v", err)
				}
				for _, p := range pending {
					isUnavailable(t, "a blocked one", <-p)
				}
				b.host.acts(behaviour{})
				time.Sleep(time.Second)
				must(t, a.to(b).Deliver(within(t, 5*time.Second), event("while surveys fill their places")))
				<-first
				<-second
				if b.host.saw("one too many") > 0 || b.host.most > 5 {
					t.Errorf("%d were at work at once", b.host.most)
				}
			})
		})
	}
}

func TestManyNamesAndFindingsPass(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		b.host.acts(behaviour{names: 100_000, findings: actors.Findings{Missing: nameList(20_000)}})
		if got, err := a.to(b).Names(t.Context()); err != nil || len(got) != 100_000 {
			t.Errorf("%d names, %v", len(got), err)
		}
		if got, err := a.to(b).Survey(t.Context(), actors.Batch{Rooms: nameList(100_000)}); err != nil || len(got.Missing) != 20_000 {
			t.Errorf("%d missing, %v", len(got.Missing), err)
		}
	})
}

func TestWhatIsTooLargeIsAClearError(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		small := func(c *rpc.Config) { c.Limits.Bytes = 10_000 }
		a, b := w.start("a", small), w.start("b", small)
		e := event("large")
		e.Room.Metadata = string(make([]byte, 20_000))
		isUnavailable(t, "a large event", a.to(b).Deliver(t.Context(), e))
		b.host.acts(behaviour{names: 1000})
		_, err := a.to(b).Names(t.Context())
		isUnavailable(t, "a large answer", err)
		if !strings.Contains(fmt.Sprint(err), "bytes is too large to go between nodes (10000 at most)") {
			t.Errorf("it says %q", err)
		}
		must(t, a.to(b).Deliver(t.Context(), event("after")))
		if b.host.saw("large") > 0 {
			t.Error("it was delivered")
		}
	})
}
