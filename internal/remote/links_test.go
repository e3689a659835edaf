package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
)

// unused is an address that nobody listens on.
func unused(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func listensOn(addr string) func(*Setup) { return func(s *Setup) { s.Listen = addr } }

func impatient(s *Setup) { s.Wait = -1 }

// The library would sleep for 2 s, and five times that by default.
func TestPeerThatIsNotThereIsAnErrorSoon(t *testing.T) {
	t.Parallel()
	a := open(t, impatient)
	soonest, before := time.Hour, a.state().Goroutines
	for range 10 {
		r, err := way{a, unused(t), epoch}.send(within(t, time.Minute), Request{Event: ptr(event("r"))})
		if !errors.Is(err, actors.ErrUnavailable) {
			t.Error(err)
		}
		soonest = min(soonest, r.Took)
	}
	if soonest > time.Second {
		t.Errorf("it took %v at the least", soonest)
	}
	eventually(t, "no goroutine is left of them", func() bool { return a.state().Goroutines <= before })
}

// The caller waits for the view to change, within Config.Wait and its own deadline.
func TestPeerThatIsNotThereIsWaitedFor(t *testing.T) {
	t.Parallel()
	addr := unused(t)
	a := open(t, func(s *Setup) { s.Wait = time.Second })
	to := way{a, addr, epoch}
	r, err := to.send(within(t, time.Minute), Request{Event: ptr(event("r"))})
	if !errors.Is(err, actors.ErrUnavailable) || r.Took < 500*time.Millisecond {
		t.Errorf("after %v: %v", r.Took, err)
	}
	patient := open(t, func(s *Setup) { s.Wait = time.Minute })
	r, err = way{patient, addr, epoch}.send(within(t, time.Minute), Request{Event: ptr(event("r")), Timeout: 200 * time.Millisecond})
	if !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || r.Took > 20*time.Second {
		t.Errorf("after its deadline, %v: %v", r.Took, err)
	}
	done := way{patient, addr, epoch}.delivers("r", 30*time.Second)
	b := open(t, listensOn(addr))
	if err := <-done; err != nil || !b.saw("r") {
		t.Errorf("the peer came, and the request says %v", err)
	}
}

// How long it takes is in the log of the test: about 100 ms, far from the 2 s of the library's sleep.
func TestRestartedPeerIsReachedSoon(t *testing.T) {
	t.Parallel()
	a, b := open(t, impatient), open(t)
	addr, soonest := b.addr, time.Hour
	for round := range 4 {
		if err := a.to(b).Deliver(within(t, 5*time.Second), event("before")); err != nil {
			t.Fatal(err)
		}
		b.kill()
		// Requests go on while it is away, so that the link is in whatever state that leaves it in.
		eventually(t, "the loss shows", func() bool { return a.to(b).Deliver(within(t, time.Second), event("away")) != nil })
		for range 10 {
			if err := a.to(b).Deliver(within(t, 5*time.Second), event("away")); !errors.Is(err, actors.ErrUnavailable) {
				t.Errorf("to a dead peer: %v", err)
			}
		}
		b = open(t, listensOn(addr))
		began := time.Now()
		eventually(t, "it is reached", func() bool { return a.to(b).Deliver(within(t, 5*time.Second), event("again")) == nil })
		took := time.Since(began)
		t.Logf("round %d: %v after it listens", round, took)
		soonest = min(soonest, took)
	}
	if soonest > time.Second {
		t.Errorf("it took %v at the least", soonest)
	}
}

func TestRequestsUnderWayFailWithTheirLink(t *testing.T) {
	t.Parallel()
	a, b := open(t, impatient), open(t)
	b.acts(Behaviour{Block: true})
	done := make([]<-chan error, 50)
	began := time.Now()
	for i := range done {
		done[i] = a.to(b).delivers(fmt.Sprint(i), time.Minute)
	}
	eventually(t, "they are at work", func() bool { return b.state().Working == len(done) })
	b.kill()
	for _, d := range done {
		if err := <-d; !errors.Is(err, actors.ErrUnavailable) {
			t.Error(err)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v: they hung until their deadline", took)
	}
}

// The rooms know an event that comes twice; one that is lost they do not.
func TestRequestsUnderWayAreRepeatedToARestartedPeer(t *testing.T) {
	t.Parallel()
	a, b := open(t, func(s *Setup) { s.Wait = time.Minute }), open(t)
	b.acts(Behaviour{Block: true})
	done := a.to(b).delivers("r", time.Minute)
	eventually(t, "it is at work", func() bool { return b.saw("r") })
	b.kill()
	again := open(t, listensOn(b.addr))
	if err := <-done; err != nil || !again.saw("r") {
		t.Error(err)
	}
}

// However long it was at work before, and however often.
func TestLongRequestsAreRepeatedToo(t *testing.T) {
	t.Parallel()
	const wait = 4 * time.Second
	blocks := func(s *Setup) { s.Acts.Block = true }
	a, b := open(t, func(s *Setup) { s.Wait = wait }), open(t, blocks)
	done := a.to(b).delivers("r", time.Minute)
	for _, then := range []func(*Setup){blocks, func(*Setup) {}} {
		eventually(t, "it is at work", func() bool { return b.state().Working == 1 })
		began := time.Now()
		eventually(t, "it is so for longer than one waits", func() bool { return time.Since(began) > wait+wait/4 })
		b.kill()
		b = open(t, listensOn(b.addr), then)
	}
	if err := <-done; err != nil || !b.saw("r") {
		t.Error(err)
	}
}

// An answer for the process that had the address before is not taken for one of ours.
func TestRestartedCallerTakesNoAnswerOfItsFormerLife(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	b.acts(Behaviour{Takes: time.Second, Fault: faultOf(actors.ErrExpired)})
	a.to(b).delivers("old", time.Minute)
	eventually(t, "it is at work", func() bool { return b.state().Working == 1 })
	a.kill()
	a = open(t, listensOn(a.addr))
	b.acts(Behaviour{Block: true})
	done := a.to(b).delivers("new", 2500*time.Millisecond)
	if err := <-done; errors.Is(err, actors.ErrExpired) {
		t.Error("the new request has the old one's answer:", err)
	}
}

// A paused peer is a link that nobody closes: requests end by their deadline, and what it reads when it goes on finds its
// time passed in the room at the latest, where it is not served.
func TestPausedPeer(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("before")); err != nil {
		t.Fatal(err)
	}
	b.pause()
	done := make([]<-chan error, 100)
	for i := range done {
		done[i] = a.to(b).delivers(fmt.Sprint("paused ", i), 500*time.Millisecond)
	}
	for _, d := range done {
		if err := <-d; !errors.Is(err, actors.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error("to a paused peer:", err)
		}
	}
	b.resume()
	eventually(t, "it is reached", func() bool { return a.to(b).Deliver(within(t, 5*time.Second), event("after")) == nil })
}

// fill sends a paused peer more than there is room for on the way to it, which is 64 KB.
func fill(t testing.TB, to way) {
	t.Helper()
	for i := range 10 {
		filling := event(fmt.Sprint("filling", i) + strings.Repeat(" the way to it", 12_000))
		if err := to.Deliver(within(t, 300*time.Millisecond), filling); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
}

// What waited in the queue of a peer until its time had passed is not sent.
func TestWhatIsLateIsNotSent(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("before")); err != nil {
		t.Fatal(err)
	}
	b.pause()
	fill(t, a.to(b))
	for range 20 {
		if err := a.to(b).Deliver(within(t, 100*time.Millisecond), event("too late")); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	}
	b.resume()
	if err := a.to(b).Deliver(within(t, 5*time.Second), event("after")); err != nil {
		t.Error(err)
	}
	if b.saw("too late") {
		t.Error("it was delivered when nobody waited for it any more")
	}
}

func TestManyNamesAndFindingsPass(t *testing.T) {
	t.Parallel()
	a, b := open(t), open(t)
	const rooms = 100_000
	b.acts(Behaviour{Names: rooms, Findings: actors.Findings{Examined: rooms, Missing: nameList(rooms / 2), Moved: nameList(rooms / 2)}})
	names, err := a.to(b).Names(within(t, time.Minute))
	if err != nil || len(names) != rooms {
		t.Fatalf("%d names, %v", len(names), err)
	}
	f, err := a.to(b).Survey(within(t, time.Minute), actors.Batch{Rooms: names})
	if err != nil || len(f.Missing) != rooms/2 || len(f.Moved) != rooms/2 {
		t.Errorf("%d, %d, %v", len(f.Missing), len(f.Moved), err)
	}
	if got := b.state().Batches; len(got) != 1 || !slices.Equal(got[0].Rooms, names) {
		t.Error("the batch came otherwise")
	}
}

func TestWhatIsTooLargeIsAClearError(t *testing.T) {
	t.Parallel()
	small := func(s *Setup) { s.Limits.Bytes = 10_000 }
	a, b := open(t, small), open(t, small)
	b.acts(Behaviour{Names: 1000})
	if _, err := a.to(b).Names(within(t, 10*time.Second)); !errors.Is(err, actors.ErrUnavailable) || !strings.Contains(err.Error(), "too large") {
		t.Error("an answer:", err)
	}
	if _, err := a.to(b).Survey(within(t, 10*time.Second), actors.Batch{Rooms: nameList(1000)}); !errors.Is(err, actors.ErrUnavailable) ||
		!strings.Contains(err.Error(), "too large") {
		t.Error("a request:", err)
	}
	if err := a.to(b).Deliver(within(t, 10*time.Second), event("r")); err != nil {
		t.Error("after:", err)
	}
}

// Large requests at once are more than a message between nodes may hold.
func TestLargeRequestsAtOnce(t *testing.T) {
	t.Parallel()
	limit := func(s *Setup) { s.Limits.Bytes = 4 << 20 }
	a, b := open(t, limit), open(t, limit)
	done := make([]<-chan error, 30)
	for i := range done {
		done[i] = a.to(b).delivers(strings.Repeat(fmt.Sprint(i%10), 1<<20), 30*time.Second)
	}
	for _, d := range done {
		if err := <-d; err != nil {
			t.Fatal(err)
		}
	}
}
