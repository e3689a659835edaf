package cluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// doors says which node cannot reach which address, by the number of the dialing node and the address dialed. Number 0 stands for all nodes.
type doors struct {
	mu   sync.Mutex
	shut map[door]bool
}

type door struct {
	from int
	addr string
}

var errShut = errors.New("connection refused")

func (d *doors) reach(from int, addr string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut[door{from, addr}] || d.shut[door{0, addr}] {
		return errShut
	}
	return nil
}

func (d *doors) set(from int, addr string, shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut[door{from, addr}] = shut
}

// reaching starts a cluster of count nodes, with doors between them.
func reaching(t *testing.T, count int) (*several, *doors) {
	d := &doors{shut: map[door]bool{}}
	s := newSeveral(t, count, count, func(i int, c *Config) {
		c.Reach = func(_ context.Context, addr string) error { return d.reach(i, addr) }
	})
	var all []int
	for i := 1; i <= count; i++ {
		all = append(all, i)
	}
	s.start(all...)
	s.ready(all...)
	return s, d
}

// A node that no other node reaches gives up its rooms, and comes back when it is reached. Raft alone does not notice, because its existing
// connections go on.
func TestAFollowerThatNobodyReachesLosesItsRooms(t *testing.T) {
	t.Parallel()
	s, d := reaching(t, 3)
	i := s.follower()
	addr := s.configs[i].NodeAddr
	d.set(0, addr, true)
	eventually.True(t, "it leaves the view", func() bool { return len(s.leader().View().Members) == 2 })
	eventually.True(t, "it says why", func() bool {
		err := s.nodes[i].Ready()
		return errors.Is(err, ErrUnreached) && strings.Contains(err.Error(), addr) && strings.Contains(err.Error(), errShut.Error())
	})
	d.set(0, addr, false)
	s.view("n1", "n2", "n3")
	s.ready(i)
}

// The same holds for a leader. Of two nodes, the leader has the only vote, which the other could not get from it. It goes on leading, without
// rooms.
func TestALeaderThatNobodyReachesLosesItsRooms(t *testing.T) {
	t.Parallel()
	for _, count := range []int{2, 3} {
		s, d := reaching(t, count)
		old := s.leader()
		addr := old.Status().NodeAddr
		d.set(0, addr, true)
		eventually.True(t, "it leaves the view", func() bool { return len(s.leader().View().Members) == count-1 })
		eventually.True(t, "it is not ready", func() bool { return errors.Is(old.Ready(), ErrUnreached) })
		if leads := s.leader() == old; leads != (count == 2) {
			t.Errorf("of %d nodes, it still leads: %v", count, leads)
		}
		d.set(0, addr, false)
		eventually.True(t, "it is back", func() bool { return len(s.leader().View().Members) == count && old.Ready() == nil })
	}
}

// An unreached node that is then left alone works again: there is no other node that could fail to reach it.
func TestAnUnreachedNodeThatIsLeftAloneWorks(t *testing.T) {
	t.Parallel()
	s, d := reaching(t, 2)
	old := s.leader()
	d.set(0, old.Status().NodeAddr, true)
	eventually.True(t, "it leaves the view", func() bool { return len(old.View().Members) == 1 && errors.Is(old.Ready(), ErrUnreached) })
	s.crash(3 - s.number(old))
	eventually.True(t, "it is ready, alone", func() bool {
		members := old.View().Members
		return old.Ready() == nil && len(members) == 1 && members[0].ID == old.ID()
	})
}

// The connection between two followers is cut. The leader reaches both, so no node withdraws.
func TestACutBetweenFollowersMovesNobody(t *testing.T) {
	t.Parallel()
	s, d := reaching(t, 3)
	leader := s.number(s.leader())
	for i, one := range s.configs {
		if i != leader {
			for from := range s.configs {
				d.set(from, one.NodeAddr, from != leader)
			}
		}
	}
	epoch := s.leader().View().Epoch
	for range 6 {
		for _, n := range s.nodes {
			if err := (&reachability{}).try(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
	}
	if now := s.leader().View().Epoch; now != epoch {
		t.Errorf("the view moved from %d to %d", epoch, now)
	}
}
