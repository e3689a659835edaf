package rpc_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/rpc"
)

func once(c *rpc.Config) { c.Wait = -1 }

func TestPeerThatIsNotThereIsAnErrorSoon(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.start("a", once)
		gone := actors.Place{Node: "gone", Addr: "gone:7000"}
		began := time.Now()
		isUnavailable(t, "nobody", a.peers.Peer(gone).Deliver(within(t, 5*time.Second), event("r")))
		if took := time.Since(began); took > time.Second {
			t.Errorf("refused after %v", took)
		}
		w.net.Cut("a", "gone") // nothing comes back at all
		began = time.Now()
		isUnavailable(t, "silence", a.peers.Peer(actors.Place{Node: "gone", Addr: "gone:7001"}).Deliver(within(t, 5*time.Second), event("r")))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("given up after %v", took)
		}
		for range 100 {
			_ = a.peers.Peer(gone).Deliver(within(t, 5*time.Second), event("r"))
		}
		if n := a.log.count(); n != 2 {
			t.Errorf("%d lines of log for two nodes that cannot be reached", n)
		}
	})
}

func TestPeerThatIsNotThereIsWaitedFor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a := w.start("a")
		b := &node{world: w, name: "b"}
		early := delivers(t, a.to(b), "early", 5*time.Second)
		time.Sleep(2 * time.Second)
		b = w.start("b")
		must(t, <-early)
		w.owners = map[string]string{"r": "gone"}
		if b.host.saw("early") != 1 {
			t.Error("not delivered")
		}
		// The request is given up after Config.Wait, not after the deadline.
		began := time.Now()
		err := a.peers.Peer(actors.Place{Node: "gone", Addr: "gone:7000"}).Deliver(within(t, 5*time.Second), event("r"))
		if took := time.Since(began); !errors.Is(err, actors.ErrUnavailable) || took > 3*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestRestartedPeerIsReachedSoon(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a", once), w.start("b")
		must(t, a.to(b).Deliver(within(t, 5*time.Second), event("before")))
		b.kill()
		isUnavailable(t, "a killed node", a.to(b).Deliver(within(t, 5*time.Second), event("meanwhile")))
		time.Sleep(10 * time.Second)
		b = w.start("b")
		began := time.Now()
		for err := errors.New(""); err != nil; err = a.to(b).Deliver(within(t, 5*time.Second), event("after")) {
			if time.Since(began) > time.Second {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// A node that was out of reach, comes back and leaves in order is asked anew, while what waits for it to come back still runs.
func TestAPeerThatComesBackAndLeavesAtOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a", once), w.start("b")
		for phase := range 10 {
			must(t, a.to(b).Deliver(within(t, 5*time.Second), event(fmt.Sprint("before ", phase))))
			b.kill()
			isUnavailable(t, "a killed node", a.to(b).Deliver(within(t, 5*time.Second), event("meanwhile")))
			time.Sleep(time.Duration(500+50*phase) * time.Millisecond)
			b = w.start("b")
			for a.to(b).Deliver(within(t, 5*time.Second), event("back")) != nil {
				time.Sleep(time.Millisecond)
			}
			must(t, b.stop(time.Second))
			isUnavailable(t, "a node that has left", a.to(b).Deliver(within(t, 5*time.Second), event("after")))
			b.kill()
			b = w.start("b")
			time.Sleep(time.Second)
		}
	})
}

// A node that was away for a long time and is a member again is not taken for one that is out of reach.
func TestReturnedMemberIsReachedByTheFirstRequest(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var member atomic.Bool
		a := w.start("a", func(c *rpc.Config) {
			all := c.Members
			c.Members = func() []actors.Place {
				return slices.DeleteFunc(all(), func(p actors.Place) bool { return p.Node == "b" && !member.Load() })
			}
		})
		b := w.start("b")
		member.Store(true)
		must(t, a.to(b).Deliver(within(t, 5*time.Second), event("before")))
		b.kill()
		if _, err := a.to(b).Names(within(t, 10*time.Second)); err == nil {
			t.Error("a killed node answered")
		}
		member.Store(false)
		time.Sleep(10 * time.Second)
		b = w.start("b")
		member.Store(true)
		if _, err := a.to(b).Names(within(t, 10*time.Second)); err != nil {
			t.Error(err)
		}
	})
}

// Requests that were under way when a node died are sent again to the process that replaces it.
func TestRequestsUnderWayAreRepeatedToARestartedPeer(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		b.host.acts(behaviour{block: true})
		sent, survey := delivers(t, a.to(b), "r", 5*time.Second), surveys(a.to(b))
		synctest.Wait()
		b.kill()
		b = w.start("b")
		b.host.acts(behaviour{findings: actors.Findings{Examined: 1}})
		must(t, <-sent)
		if s := <-survey; s.err != nil || s.findings.Examined != 1 {
			t.Error(s)
		}
		if b.host.saw("r") != 1 || b.host.surveys() != 1 {
			t.Errorf("delivered %d times, surveyed %d times", b.host.saw("r"), b.host.surveys())
		}
	})
}

// losses returns the ways in which the network between two nodes may fail.
func losses() map[string]func(w *world) (heal func()) {
	both := func(heals ...func()) func() {
		return func() {
			for _, heal := range heals {
				heal()
			}
		}
	}
	return map[string]func(w *world) func(){
		"the way there": func(w *world) func() { return w.net.Cut("a", "b") },
		"the way back":  func(w *world) func() { return w.net.Cut("b", "a") },
		"both ways":     func(w *world) func() { return both(w.net.Cut("a", "b"), w.net.Cut("b", "a")) },
	}
}

// A loss in either direction, or a peer that stands still, is noticed within seconds. Once the way is open again, long work is
// asked for once more. (With protoactor's remote, the caller of a survey waited for 5 min.)
func TestLossesAreNoticedAndLongWorkIsAskedForAgain(t *testing.T) {
	for what, cut := range losses() {
		for _, c := range []struct{ begun, lasting time.Duration }{{100 * time.Millisecond, time.Second}, {1200 * time.Millisecond, time.Second},
			{1900 * time.Millisecond, time.Second}, {100 * time.Millisecond, 4 * time.Second}, {100 * time.Millisecond, time.Hour}} {
			begun, lasting := c.begun, c.lasting
			t.Run(what+" after "+begun.String()+" for "+lasting.String(), func(t *testing.T) {
				run(t, func(t *testing.T, w *world) {
					a, b := w.start("a"), w.start("b")
					b.host.acts(behaviour{takes: begun + 400*time.Millisecond, findings: actors.Findings{Examined: 1}})
					survey := surveys(a.to(b))
					time.Sleep(begun)
					heal := cut(w)
					defer heal()
					if lasting < time.Hour {
						time.AfterFunc(lasting, heal)
					}
					began := time.Now()
					s := <-survey
					if took := time.Since(began); took > 10*time.Second {
						t.Errorf("it ended after %v", took)
					}
					switch {
					case lasting == time.Second && (s.err != nil || s.findings.Examined != 1):
						t.Errorf("after a short loss: %+v", s)
					case lasting == time.Hour && what != "the way there" && s.err == nil:
						t.Error("it succeeded, and no answer could come")
					}
					heal()
					time.Sleep(2 * time.Second)
					must(t, a.to(b).Deliver(within(t, 3*time.Second), event("after")))
				})
			})
		}
	}
}

// Work may take its time: what counts is that the peer still does it.
func TestLongWorkIsWaitedFor(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		b.host.acts(behaviour{takes: 4 * time.Minute, findings: actors.Findings{Examined: 1}})
		if s := <-surveys(a.to(b)); s.err != nil || s.findings.Examined != 1 || b.host.surveys() != 1 {
			t.Errorf("%+v, begun %d times", s, b.host.surveys())
		}
		// Work whose caller is gone ends.
		surveys(a.to(b))
		time.Sleep(time.Second)
		a.kill()
		time.Sleep(time.Second)
		if n := b.host.atWork(); n != 0 {
			t.Errorf("%d surveys go on for an asker that is dead", n)
		}
	})
}

// An answer so large that it takes seconds does not count as silence.
func TestSlowAnswersAreNoSilence(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		b.host.acts(behaviour{names: 100_000})
		must(t, a.to(b).Deliver(within(t, 5*time.Second), event("connect")))
		w.net.Delay = func(from, _ string) time.Duration {
			if from == "b" {
				return 20 * time.Millisecond // for each 32 KB or so
			}
			return 0
		}
		began := time.Now()
		got, err := a.to(b).Names(within(t, 30*time.Second))
		if err != nil || len(got) != 100_000 || time.Since(began) < 2*time.Second {
			t.Errorf("%d names, %v, after %v", len(got), err, time.Since(began))
		}
	})
}

func TestWhatIsLateIsNotSent(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		must(t, a.to(b).Deliver(within(t, 5*time.Second), event("connect")))
		heal := w.net.Cut("a", "b")
		isUnavailable(t, "late", a.to(b).Deliver(within(t, 500*time.Millisecond), event("late")))
		heal()
		time.Sleep(5 * time.Second)
		must(t, a.to(b).Deliver(within(t, 5*time.Second), event("after")))
		if n := b.host.saw("late"); n > 1 {
			t.Errorf("delivered %d times", n)
		}
	})
}

// The leader passes on what cannot go directly, whichever direction is cut, and each webhook is answered within 3 s.
func TestCutBetweenFollowersGoesThroughTheLeader(t *testing.T) {
	for what, cut := range losses() {
		t.Run(what, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				w.leader, w.owners = "c", map[string]string{"the other way": "a", "back": "a"}
				a, b, _ := w.start("a"), w.start("b"), w.start("c")
				must(t, a.to(b).Deliver(within(t, 5*time.Second), event("direct")))
				b.host.acts(behaviour{takes: 50 * time.Millisecond})
				pending := []<-chan error{delivers(t, a.to(b), "under way", 5*time.Second), delivers(t, b.to(a), "the other way", 5*time.Second)}
				time.Sleep(10 * time.Millisecond)
				heal := cut(w)
				began := time.Now()
				for _, p := range pending {
					must(t, <-p)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("answered after %v", took)
				}
				if b.host.saw("under way") == 0 || a.host.saw("the other way") == 0 {
					t.Error("answered and not delivered")
				}
				// From then on nothing waits for the broken way.
				began = time.Now()
				for range 10 {
					must(t, a.to(b).Deliver(within(t, 5*time.Second), event("next")))
					must(t, b.to(a).Deliver(within(t, 5*time.Second), event("back")))
				}
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("20 events took %v", took)
				}
				down, relayed := a.peers.Links()
				if len(down) != 1 || down[0] != "b" || relayed < 10 {
					t.Errorf("Links reports %v and %d events through the leader", down, relayed)
				}
				heal()
				time.Sleep(3 * time.Second) // it reconnects by itself
				_, before := a.peers.Links()
				must(t, a.to(b).Deliver(within(t, 5*time.Second), event("direct again")))
				if down, after := a.peers.Links(); len(down) != 0 || after != before {
					t.Errorf("after the heal: %v, %d more through the leader", down, after-before)
				}
			})
		})
	}
}

// An event goes through at most one other node. If that node cannot reach the owner either, the event fails or goes through a third node.
func TestRelayGoesOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.leader = "c"
		a, b, c := w.start("a"), w.start("b"), w.start("c")
		heals := []func(){w.net.Cut("a", "b"), w.net.Cut("c", "b")}
		began := time.Now()
		err := a.to(b).Deliver(within(t, 5*time.Second), event("r"))
		if took := time.Since(began); !errors.Is(err, actors.ErrUnavailable) || took > 3500*time.Millisecond || !strings.Contains(err.Error(), "nor through another node") {
			t.Errorf("%v after %v", err, took)
		}
		if b.host.saw("r")+c.host.saw("r") > 0 {
			t.Error("it was delivered")
		}
		// Long work does not go through another node: it comes from the leader itself.
		_, relayed := a.peers.Links()
		isUnavailable(t, "a survey", (<-surveys(a.to(b))).err)
		if _, after := a.peers.Links(); after != relayed {
			t.Error("a survey went through the leader")
		}
		d := w.start("d")
		must(t, a.to(b).Deliver(within(t, 5*time.Second), event("by the third")))
		if b.host.saw("by the third") != 1 || d.host.saw("by the third") != 0 {
			t.Error("it was not passed on")
		}
		d.stop(time.Second)
		for _, heal := range heals {
			heal()
		}
	})
}

// A node whose claims are refused asks another node, which uses its own view. That node may itself be the owner.
func TestRelayGoesByTheViewOfTheOther(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.leader, w.owners = "c", map[string]string{"of c": "c", "of a": "a"}
		a, b, c := w.start("a"), w.start("b"), w.start("c")
		must(t, a.peers.Relay(t.Context(), event("of c")))
		must(t, a.peers.Relay(t.Context(), event("of b")))
		a.host.acts(behaviour{err: actors.ErrFenced})
		if err := a.peers.Relay(t.Context(), event("of a")); !errors.Is(err, actors.ErrFenced) {
			t.Error("what the others hold for its own:", err)
		}
		if c.host.saw("of c") != 1 || b.host.saw("of b") != 1 || a.host.saw("of a") != 1 {
			t.Error("not delivered once each")
		}
		// A node that cannot say is passed over. If no node can say, the event fails.
		c.out.Store(true)
		must(t, a.peers.Relay(t.Context(), event("of b too")))
		b.out.Store(true)
		isUnavailable(t, "nobody knows", a.peers.Relay(t.Context(), event("of b again")))
		a.epoch.Store(epoch + 1)
		c.out.Store(false)
		if err := a.peers.Relay(t.Context(), event("of c later")); !errors.Is(err, actors.ErrNotOwner) {
			t.Error("by a newer view than the other's:", err)
		}
	})
}

// The owner's answer means the same through the leader as directly.
func TestRelayedErrorsKeepTheirMeaning(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.leader = "c"
		a, b, _ := w.start("a"), w.start("b"), w.start("c")
		w.net.Cut("a", "b")
		for _, want := range []error{actors.ErrFenced, actors.ErrExpired, actors.ErrBusy, actors.ErrNotOwner} {
			b.host.acts(behaviour{err: want})
			if err := a.to(b).Deliver(within(t, 5*time.Second), event("r")); !errors.Is(err, want) {
				t.Errorf("%v comes as %v", want, err)
			}
		}
	})
}

func TestReach(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		a, b := w.start("a"), w.start("b")
		must(t, a.peers.Reach(within(t, 2*time.Second), b.place().Addr))
		heal := w.net.Cut("b", "a")
		if err := a.peers.Reach(within(t, 3*time.Second), b.place().Addr); err == nil {
			t.Error("it reaches a node that cannot answer")
		}
		heal()
		time.Sleep(2 * time.Second)
		must(t, a.peers.Reach(within(t, 2*time.Second), b.place().Addr))
		b.kill()
		if err := a.peers.Reach(within(t, 2*time.Second), b.place().Addr); err == nil {
			t.Error("it reaches a dead node")
		}
	})
}

// A member that stays out of reach is logged once, and so is that it is reached again. A node that stops, dies or was no member is not logged:
// the view, or the leader, reports it.
func TestAMemberOutOfReachIsLoggedOnce(t *testing.T) {
	warnings := func(n *node) (told int) {
		n.log.mu.Lock()
		defer n.log.mu.Unlock()
		for _, line := range n.log.all {
			if strings.HasPrefix(line, "WARN") {
				told++
			}
		}
		return told
	}
	leaves := func(w *world, n *node) {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.nodes, n.name)
	}
	for name, c := range map[string]struct {
		does func(t *testing.T, w *world, b *node)
		want int
	}{
		"it drains": {func(t *testing.T, w *world, b *node) { leaves(w, b); must(t, b.stop(time.Second)) }, 0},
		"it drains, and the view tells of it later": {func(t *testing.T, w *world, b *node) {
			must(t, b.stop(time.Second))
			b.net.Vanish()
			time.Sleep(time.Second)
			leaves(w, b)
		}, 0},
		"it dies":       {func(_ *testing.T, w *world, b *node) { b.kill(); time.Sleep(1500 * time.Millisecond); leaves(w, b) }, 0},
		"it is cut off": {func(_ *testing.T, w *world, _ *node) { w.net.Cut("a", "b") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				a, b := w.start("a", once), w.start("b")
				must(t, a.to(b).Deliver(within(t, time.Second), event("before")))
				c.does(t, w, b)
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
					_ = a.to(b).Deliver(within(t, time.Second), event("meanwhile"))
				}
				if n := warnings(a); n != c.want {
					t.Errorf("%d warnings, want %d: %q", n, c.want, a.log.all)
				}
				b.host.acts(behaviour{})
				_ = b.stop(time.Second)
			})
		})
	}
}
