package remote_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/reconcile"
)

func TestRequestsReachTheOtherNode(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	found := actors.Findings{Examined: 2, Tally: reconcile.Tally{Rooms: 2, Drift: map[reconcile.Reason]int{reconcile.Ghost: 1}}}
	tended := actors.Tended{Orphans: []string{"o"}, Stale: []string{"s"}, Moved: []string{"m"}, Errors: 1, Err: "e"}
	b.acts(Behaviour{Findings: found, Tended: tended, Names: 2})

	sent := reconcile.Event{ID: "EV_1", Kind: reconcile.Joined, Expires: 5, Room: reconcile.RoomInfo{Name: "r\xff\x00", SID: "RM"},
		Participant: reconcile.Participant{Identity: "i\xfe", Attributes: map[string]string{"k\xff": "v\xff"}}}
	if err := a.to(b).Deliver(within(t, 5*time.Second), sent); err != nil || !reflect.DeepEqual(b.state().Came, []reconcile.Event{sent}) {
		t.Errorf("delivered %+v, %v; want %+v", b.state().Came, err, sent)
	}
	batch := actors.Batch{Cycle: 3, Cause: reconcile.BySync, Permit: &reconcile.Permit{Cycle: 3, Streak: 1}, Rooms: []string{"a", "b"}}
	if f, err := a.to(b).Survey(t.Context(), batch); err != nil || !reflect.DeepEqual(f, found) {
		t.Errorf("found %+v, %v; want %+v", f, err, found)
	}
	if s := b.state(); !reflect.DeepEqual(s.Batches, []actors.Batch{batch}) || s.Left < 4*time.Minute {
		t.Errorf("surveyed %+v with %v left, want %+v", s.Batches, s.Left, batch)
	}
	tending := actors.Tending{Stale: time.Minute, Rooms: []string{"x"}}
	if d, err := a.to(b).Tend(t.Context(), tending); err != nil || !reflect.DeepEqual(d, tended) {
		t.Errorf("tended %+v, %v; want %+v", d, err, tended)
	}
	if got := b.state().Tendings; !reflect.DeepEqual(got, []actors.Tending{tending}) {
		t.Errorf("tended %+v, want %+v", got, tending)
	}
	if n, err := a.to(b).Names(t.Context()); err != nil || !reflect.DeepEqual(n, nameList(2)) {
		t.Errorf("names %v, %v", n, err)
	}
	if left := b.state().Left; left > 5*time.Second {
		t.Errorf("a request without a deadline has %v", left)
	}
}

func TestErrorsMeanTheSameOnTheOtherSide(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
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
		b.acts(Behaviour{Fault: faultOf(c.there)})
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
}

// What was found until an error comes along with it.
func TestFindingsComeWithTheirError(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	b.acts(Behaviour{Findings: actors.Findings{Examined: 3}, Fault: faultOf(actors.ErrFenced)})
	if f, err := a.to(b).Survey(t.Context(), actors.Batch{}); !errors.Is(err, actors.ErrFenced) || f.Examined != 3 {
		t.Errorf("found %+v, %v", f, err)
	}
}

func TestNodeThatIsBehindRefusesUntilItHasCaughtUp(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	ahead, older := a.to(b), a.to(b)
	ahead.epoch++
	older.epoch--
	err := ahead.Deliver(within(t, 5*time.Second), event("early"))
	var behind actors.NotOwner
	if !errors.As(err, &behind) || behind.Epoch != epoch {
		t.Errorf("a node that is behind says %v", err)
	}
	b.sees(epoch + 1)
	if err := ahead.Deliver(within(t, 5*time.Second), event("now")); err != nil {
		t.Error(err)
	}
	if err := older.Deliver(within(t, 5*time.Second), event("of an older view")); err != nil {
		t.Error(err)
	}
	if b.saw("early") {
		t.Error("the host was asked before it had caught up")
	}
}

func TestOwnAddressIsTheHostItself(t *testing.T) {
	t.Parallel()
	a := open(t)
	if err := a.to(a).Deliver(within(t, 5*time.Second), event("r")); err != nil || !a.saw("r") {
		t.Error("not delivered:", err)
	}
}

func TestCrashOfARequestIsItsError(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	b.acts(Behaviour{Panic: true})
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("crash")); !errors.Is(err, actors.ErrUnavailable) {
		t.Error(err)
	}
	b.acts(Behaviour{})
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("after")); err != nil {
		t.Error(err)
	}
}

func TestCancelledRequestReturnsAtOnceAndLeavesNothing(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("warm")); err != nil {
		t.Fatal(err)
	}
	before := a.state().Goroutines
	b.acts(Behaviour{Takes: time.Second})
	for range 20 {
		r, err := a.to(b).send(within(t, time.Minute), Request{Event: ptr(event("slow")), Cancel: true})
		if !errors.Is(err, context.Canceled) || !errors.Is(err, actors.ErrUnavailable) {
			t.Fatalf("a cancelled request says %v", err)
		}
		if r.Took > 10*time.Second {
			t.Errorf("it took %v", r.Took)
		}
	}
	b.acts(Behaviour{})
	eventually(t, "the late answers are out", func() bool { return b.state().Working == 0 })
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("after")); err != nil {
		t.Error(err)
	}
	eventually(t, "no goroutine is left of them", func() bool { return a.state().Goroutines <= before })
}

func TestTooManyRequestsToOnePeerAreRefused(t *testing.T) {
	t.Parallel()
	a, b := open(t, func(s *Setup) { s.Limits.Peer = 3 }), open(t)
	b.acts(Behaviour{Block: true})
	var pending []<-chan error
	for i := range 3 {
		pending = append(pending, a.to(b).delivers(fmt.Sprint("r", i), 2*time.Second))
	}
	eventually(t, "three are at work", func() bool { return b.state().Working == 3 })
	r, err := a.to(b).send(within(t, time.Minute), Request{Event: ptr(event("one too many"))})
	if !errors.Is(err, actors.ErrBusy) || b.saw("one too many") {
		t.Errorf("one too many says %v after %v", err, r.Took)
	}
	for _, p := range pending {
		if err := <-p; !errors.Is(err, actors.ErrUnavailable) {
			t.Error("a blocked one says", err)
		}
	}
	b.acts(Behaviour{})
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("after")); err != nil {
		t.Error(err)
	}
}

func TestTooManyRequestsAtTheDoorAreRefused(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t, func(s *Setup) { s.Limits.Door = 3 })
	b.acts(Behaviour{Block: true})
	for i := range 3 {
		a.to(b).delivers(fmt.Sprint("r", i), 3*time.Second)
	}
	eventually(t, "three are at work", func() bool { return b.state().Working == 3 })
	if err := a.to(b).Deliver(within(t, time.Minute), event("one too many")); !errors.Is(err, actors.ErrBusy) {
		t.Errorf("one too many says %v", err)
	}
	b.acts(Behaviour{})
	eventually(t, "there is room again", func() bool {
		return a.to(b).Deliver(within(t, 5*time.Second), event("after")) == nil
	})
	if s := b.state(); s.Most > 3 || b.saw("one too many") {
		t.Errorf("%d were at work at once", s.Most)
	}
}
