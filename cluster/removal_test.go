package cluster

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// A new leader that has heard from nobody yet must not assume that the others answer.
func TestANewLeaderRemovesNobodyWithoutAQuorum(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.voters("n1", "n2", "n3")
	old := s.leader()
	i := s.follower()
	s.crash(i)
	eventually.True(t, "the silence is noticed", func() bool { return len(old.silentNodes()) == 1 })
	if err := old.handOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; {
		var err error
		for _, n := range s.nodes {
			if n != old && n.Status().Established {
				err = n.Remove(t.Context(), old.ID())
			}
		}
		switch {
		case errors.Is(err, ErrQuorum):
			s.view(without(i, 3)...)
			return
		case err != nil || time.Now().After(end):
			t.Fatalf("removing one of two that are left: %v", err)
		}
		runtime.Gosched()
	}
}

// Of two nodes, only one votes. It can be stopped and removed nevertheless: the other node gets the vote first.
func TestTheOnlyVoterOfTwoHandsOver(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 2, 2)
	s.start(1, 2)
	s.ready(1, 2)
	for range 2 {
		i := s.number(s.leader())
		s.voters(s.configs[i].NodeID)
		s.stop(i)
		s.view(without(i, 2)...)
		s.voters(without(i, 2)...)
		s.start(i)
		s.ready(i)
		s.view("n1", "n2")
	}
	old := s.leader()
	i := s.number(old)
	eventually.True(t, "the leader is removed", func() bool {
		for _, n := range s.nodes {
			if err := n.Remove(t.Context(), old.ID()); err == nil {
				return true
			}
		}
		return false
	})
	s.stop(i)
	s.view(without(i, 2)...)
	s.voters(without(i, 2)...)
}

// TestALeaverGivesItsVoteAway lets one of two nodes leave while Redis hangs, so that the other one takes long to begin its term. A leader that
// ended before would leave behind two voters of which one is gone, so that the other could never commit anything.
func TestALeaverGivesItsVoteAway(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(s *several){
		"a leader": func(s *several) { s.stop(1) },
		"a leader that is elected again": func(s *several) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := s.nodes[1].Leave(ctx); err != nil {
				s.Fatal(err)
			}
			eventually.True(s.T, "n2 leads", func() bool { return s.nodes[2].raft.State() == raft.Leader })
			eventually.True(s.T, "n1 leads again", func() bool {
				_ = s.nodes[2].raft.LeadershipTransferToServer("n1", raft.ServerAddress(s.configs[1].NodeAddr)).Error() // an error once n2 does not lead
				return s.nodes[1].raft.State() == raft.Leader
			})
			s.stop(1)
		},
		"a leader that is no member yet": func(s *several) {
			s.crash(1)
			s.start(1)
			eventually.True(s.T, "n1 leads", func() bool { return s.nodes[1].raft.State() == raft.Leader })
			s.stop(1)
		},
		"a leader whose other node comes back meanwhile": func(s *several) {
			s.crash(2)
			n := s.nodes[1]
			delete(s.nodes, 1)
			left := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				left <- n.Close(ctx)
			}()
			eventually.True(s.T, "n1 has handed over to nobody", func() bool {
				_, member := n.fsm.State().View.Member("n1")
				return !member
			})
			s.start(2)
			if err := <-left; err != nil {
				s.Error(err)
			}
		},
		"a leader that remembers a former leave of the other": func(s *several) {
			s.nodes[1].noteLeaving("n2")
			s.stop(1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hangs atomic.Bool
			s := newSeveral(t, 2, 1, func(_ int, c *Config) {
				before := c.Generation
				c.Generation = func(ctx context.Context, ours uint64) (uint64, error) {
					if hangs.Load() {
						<-ctx.Done()
						return 0, ctx.Err()
					}
					return before(ctx, ours)
				}
			})
			s.start(1)
			s.ready(1)
			s.start(2)
			s.ready(2)
			s.view("n1", "n2")
			hangs.Store(true)
			leave(s)
			hangs.Store(false)
			s.view("n2")
			if _, err := s.nodes[2].Apply(t.Context(), fsm.SetService{Running: true}); err != nil {
				t.Errorf("the node that stays cannot commit: %v", err)
			}
		})
	}
}

// A join that was in progress when its node was removed would put a node into the view that raft sends nothing to.
func TestALateJoinOfARemovedNodeIsRefused(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	i := s.follower()
	late := s.nodes[i].join()
	s.crash(i)
	leader := s.leader()
	eventually.True(t, "it is removed", func() bool { return leader.Remove(t.Context(), late.ID) == nil })
	data, err := fsm.Encode(late)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leader.answerApply(t.Context(), data); !errors.Is(err, ErrUnknownNode) {
		t.Errorf("the late join: %v", err)
	}
	if _, ok := leader.View().Member(late.ID); ok {
		t.Error("the removed node is in the view")
	}
}

func TestTheLastNodeIsNotRemoved(t *testing.T) {
	t.Parallel()
	n := openReady(t, config(t.TempDir()))
	if err := n.Remove(t.Context(), "n1"); !errors.Is(err, ErrNoSuccessor) {
		t.Errorf("removing the only node: %v", err)
	}
}

// TestTwoNodesThatMissedEachOther checks a node that comes back with its data after it has been removed. A node that it has never heard of leads
// now. Both belong to one cluster.
func TestTwoNodesThatMissedEachOther(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 5, 3)
	s.start(1, 2, 3, 4)
	s.ready(1, 2, 3, 4)
	s.stop(4)
	if err := s.leader().Remove(t.Context(), "n4"); err != nil {
		t.Fatal(err)
	}
	s.start(5)
	s.ready(5)
	s.stop(3) // n5 gets its vote
	s.view("n1", "n2", "n5")
	s.voters("n1", "n2", "n5")
	eventually.True(t, "n5 leads", func() bool {
		leader := s.leader()
		if leader.ID() == "n5" {
			return true
		}
		_ = leader.handOverTo(t.Context(), func(to raft.Server) bool { return to.ID == "n5" })
		return false
	})
	s.view("n1", "n2", "n5")
	s.start(4)
	s.ready(4)
	s.view("n1", "n2", "n4", "n5")
}

// TestNoTransferBeginsTooLate checks that a leader whose time for handing over ends while it looks for a successor stays the leader.
func TestNoTransferBeginsTooLate(t *testing.T) {
	t.Parallel()
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.view("n1", "n2", "n3")
	s.voters("n1", "n2", "n3")
	leader := s.leader()
	before := leader.Status()
	ctx, cancel := context.WithCancel(t.Context())
	if err := leader.handOverTo(ctx, func(raft.Server) bool { cancel(); return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("handing over: %v", err)
	}
	time.Sleep(2 * time.Second)
	if now := leader.Status(); !now.Established || now.Term != before.Term {
		t.Errorf("term %d of %q has followed term %d", now.Term, now.Leader, before.Term)
	}
}
