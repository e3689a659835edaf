package cluster

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// work is a node's work, which a test can make fail. It counts the attempts.
type work struct {
	broken atomic.Bool
	tried  atomic.Int64
	// mends, if above 0, is how often an attempt succeeds nevertheless: every mends-th one.
	mends int64
}

var errBroken = errors.New("the store does not answer")

func (w *work) fit(context.Context) error {
	n := w.tried.Add(1)
	if w.broken.Load() && (w.mends == 0 || n%w.mends != 0) {
		return errBroken
	}
	return nil
}

// works returns the work of each node, by number.
func works(count int) (all []*work, change func(int, *Config)) {
	for range count + 1 {
		all = append(all, &work{})
	}
	return all, func(i int, c *Config) { c.Health = all[i].fit }
}

func (w *work) goOn(t *testing.T, tries int64) {
	t.Helper()
	from := w.tried.Load()
	eventually.True(t, "it is tried again and again", func() bool { return w.tried.Load() >= from+tries })
}

// whole starts a cluster of count nodes, which are all ready.
func whole(t *testing.T, count int) (*several, []*work, *logged) {
	works, give := works(count)
	log := &logged{}
	s := newSeveral(t, count, count, give, func(_ int, c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	var all []int
	for i := 1; i <= count; i++ {
		all = append(all, i)
	}
	s.start(all...)
	s.ready(all...)
	return s, works, log
}

// TestReadyWithoutAQuorum checks what a node says after it has lost the others: that it waits to come back, not that it never was there.
func TestReadyWithoutAQuorum(t *testing.T) {
	t.Parallel()
	s, _, _ := whole(t, 3)
	s.crash(2, 3)
	eventually.True(t, "it says why", func() bool {
		said := errText(s.nodes[1].Ready())
		return strings.Contains(said, "out of contact with the leader") && strings.Contains(said, "; waiting to come back: the cluster has no leader; ask ") && !strings.Contains(said, "to join")
	})
}

// nobodyMoved checks the log instead of the view, because a machine that is short of CPU moves nodes too.
func (l *logged) nobodyMoved(t *testing.T) {
	t.Helper()
	if l.has("cannot work") {
		t.Errorf("a node has withdrawn:\n%s", l.b.String())
	}
}

func TestAFollowerThatCannotWorkStepsAside(t *testing.T) {
	t.Parallel()
	s, works, _ := whole(t, 3)
	i := s.follower()
	before := s.nodes[i].Status().Incarnation
	works[i].broken.Store(true)
	eventually.True(t, "it leaves the view", func() bool { return len(s.leader().View().Members) == 2 })
	eventually.True(t, "it says why", func() bool {
		err := s.nodes[i].Ready()
		return errors.Is(err, errBroken) && strings.HasPrefix(err.Error(), "withdrawn: ")
	})
	if got := len(s.leader().Status().Servers); got != 3 {
		t.Errorf("%d servers of raft, want all 3: it still votes", got)
	}
	works[i].goOn(t, 4)
	if s.nodes[i].Ready() == nil {
		t.Error("it returned while it was not healthy")
	}
	works[i].broken.Store(false)
	s.view("n1", "n2", "n3")
	s.ready(i)
	if after := s.nodes[i].Status().Incarnation; after <= before {
		t.Errorf("its incarnation is %d, and was %d", after, before)
	}
}

func TestALeaderThatCannotWorkHandsOverAndStepsAside(t *testing.T) {
	t.Parallel()
	for _, count := range []int{2, 3} {
		s, works, _ := whole(t, count)
		old := s.leader().ID()
		var broken *work
		for i, c := range s.configs {
			if c.NodeID == old {
				broken = works[i]
			}
		}
		broken.broken.Store(true)
		eventually.True(t, "another leads, without it", func() bool {
			for _, n := range s.nodes {
				st := n.Status()
				if st.Established && st.ID != old && len(st.Members) == count-1 {
					return true
				}
			}
			return false
		})
		broken.broken.Store(false)
		eventually.True(t, "it is back", func() bool { return len(s.leader().View().Members) == count })
	}
}

func TestWhileNobodyCanWorkNobodyMoves(t *testing.T) {
	t.Parallel()
	_, works, log := whole(t, 3)
	for _, w := range works {
		w.broken.Store(true)
	}
	for _, w := range works[1:] {
		w.goOn(t, 12)
	}
	for _, w := range works {
		w.broken.Store(false)
	}
	for _, w := range works[1:] {
		w.goOn(t, 2)
	}
	log.nobodyMoved(t)
}

func TestAShortTroubleMovesNobody(t *testing.T) {
	t.Parallel()
	s, works, log := whole(t, 3)
	i := s.follower()
	works[i].mends = 3
	works[i].broken.Store(true)
	works[i].goOn(t, 12)
	log.nobodyMoved(t)
}
