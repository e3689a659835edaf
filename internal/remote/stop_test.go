package remote_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
)

// Nothing that a node has taken on is lost by its leaving, nor any answer that is on its way.
func TestStopLetsWhatIsUnderWayEnd(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	b.acts(Behaviour{Takes: 3 * time.Second, Findings: actors.Findings{Missing: nameList(20_000)}})
	done := make([]<-chan error, 100)
	for i := range done {
		done[i] = a.to(b).delivers(fmt.Sprint(i), 20*time.Second)
	}
	survey := make(chan error, 1)
	go func() {
		f, err := a.to(b).Survey(t.Context(), actors.Batch{})
		if err == nil && len(f.Missing) != 20_000 {
			err = fmt.Errorf("%d missing", len(f.Missing))
		}
		survey <- err
	}()
	eventually(t, "all are at work", func() bool { return b.state().Working == len(done)+1 })
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop(20 * time.Second) }()
	eventually(t, "new requests are refused", func() bool {
		return errors.Is(a.to(b).Deliver(within(t, 100*time.Millisecond), event("new")), actors.ErrNotOwner)
	})
	for _, d := range append(done, survey, stopped) {
		if err := <-d; err != nil {
			t.Error(err)
		}
	}
}

func TestStopWaitsForOnesOwnRequests(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	b.acts(Behaviour{Takes: time.Second})
	done := a.to(b).delivers("r", 20*time.Second)
	eventually(t, "it is at work", func() bool { return b.state().Working == 1 })
	if err := a.stop(20 * time.Second); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("after")); !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, actors.ErrClosing) {
		t.Error("a stopped node's request:", err)
	}
}

func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t, impatient)
	a.acts(Behaviour{Block: true})
	b.acts(Behaviour{Block: true})
	before := b.state().Goroutines
	in, out := a.to(b).delivers("in", 3*time.Second), b.to(a).delivers("out", time.Minute)
	eventually(t, "they are at work", func() bool { return a.state().Working+b.state().Working == 2 })
	if err := b.stop(200 * time.Millisecond); err == nil {
		t.Error("all ended")
	}
	for _, d := range []<-chan error{in, out} {
		if err := <-d; !errors.Is(err, actors.ErrUnavailable) {
			t.Error(err)
		}
	}
	if err := b.stop(time.Second); err != nil {
		t.Error("again:", err)
	}
	eventually(t, "nothing of it is left", func() bool { return b.state().Goroutines <= before })
}

// The peer would read again only after 10 s, for what gRPC knows.
func TestStopDoesNotWaitForAPausedPeer(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("before")); err != nil {
		t.Fatal(err)
	}
	b.pause()
	defer b.resume()
	fill(t, a.to(b))
	began := time.Now()
	if err := a.stop(5 * time.Second); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 7*time.Second {
		t.Errorf("it took %v", took)
	}
}

// A daemon may be started anew in its process, as tests do: one Remote has ended, its goroutines too, when the next begins.
func TestRemotesOneAfterTheOtherInAProcess(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	for range 5 {
		for range 10 {
			if err := a.to(b).Deliver(within(t, 10*time.Second), event("there")); err != nil {
				t.Fatal(err)
			}
			if err := b.to(a).Deliver(within(t, 10*time.Second), event("back")); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.stop(10 * time.Second); err != nil {
			t.Fatal(err)
		}
		b.call("Open", Setup{Listen: b.addr, Epoch: epoch}, &b.addr)
	}
}
