package rpc_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
)

// A node that stops loses no request that it has accepted, and no answer that is on its way.
func TestStopLetsWhatIsUnderWayEnd(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a", once), w.start("b")
		b.host.acts(behaviour{takes: 3 * time.Second, findings: actors.Findings{Missing: nameList(20_000)}})
		var done []<-chan error
		for i := range 100 {
			done = append(done, delivers(t, a.to(b), fmt.Sprint(i), 5*time.Second))
		}
		survey := surveys(a.to(b))
		time.Sleep(100 * time.Millisecond)
		stopped := make(chan error, 1)
		go func() { stopped <- b.stop(20 * time.Second) }()
		synctest.Wait()
		if err := a.to(b).Deliver(within(t, time.Second), event("new")); !errors.Is(err, actors.ErrNotOwner) {
			t.Errorf("a node that stops says %v", err)
		}
		for _, d := range append(done, stopped) {
			if err := <-d; err != nil {
				t.Error(err)
			}
		}
		if s := <-survey; s.err != nil || len(s.findings.Missing) != 20_000 {
			t.Errorf("%d missing, %v", len(s.findings.Missing), s.err)
		}
		isUnavailable(t, "a stopped node", a.to(b).Deliver(within(t, time.Second), event("after")))
	})
}

// A peer that stops right after it was first reached is asked again like any other.
func TestPeerThatStopsAtOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a", once), w.start("b")
		must(t, a.to(b).Deliver(within(t, time.Second), event("first")))
		must(t, b.stop(time.Second))
		synctest.Wait()
		isUnavailable(t, "a stopped node", a.to(b).Deliver(within(t, time.Second), event("second")))
	})
}

func TestStopWaitsForOnesOwnRequests(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		b.host.acts(behaviour{takes: time.Second})
		done := delivers(t, a.to(b), "r", 5*time.Second)
		time.Sleep(100 * time.Millisecond)
		must(t, a.stop(20*time.Second))
		must(t, <-done)
		if err := a.to(b).Deliver(within(t, time.Second), event("after")); !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, actors.ErrClosing) {
			t.Error("a stopped node's request:", err)
		}
	})
}

func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a", once), w.start("b", once)
		a.host.acts(behaviour{block: true})
		b.host.acts(behaviour{block: true})
		in, out := delivers(t, a.to(b), "in", 5*time.Second), delivers(t, b.to(a), "out", 5*time.Second)
		time.Sleep(100 * time.Millisecond)
		if b.stop(200*time.Millisecond) == nil {
			t.Error("all ended")
		}
		isUnavailable(t, "a request to the stopped node", <-in)
		isUnavailable(t, "the stopped node's own", <-out)
	})
}

// A peer that stands still, like a paused process, does not delay the stop.
func TestStopDoesNotWaitForAPausedPeer(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		must(t, a.to(b).Deliver(within(t, 5*time.Second), event("there")))
		must(t, b.to(a).Deliver(within(t, 5*time.Second), event("back")))
		defer w.net.Cut("b", "a")()
		defer w.net.Cut("a", "b")()
		began := time.Now()
		must(t, a.stop(5*time.Second))
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
