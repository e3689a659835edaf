package cluster

import (
	"context"
	"errors"
	"runtime"
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
