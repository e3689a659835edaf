package cluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
)

// doors are the nodes' ways to each other, by the address that is dialled; what is shut nobody reaches.
type doors struct {
	mu   sync.Mutex
	shut map[string]bool
}

var errShut = errors.New("connection refused")

func (d *doors) reach(_ context.Context, addr string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut[addr] {
		return errShut
	}
	return nil
}

func (d *doors) set(addr string, shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut[addr] = shut
}

// reaching makes a cluster of that many, with doors between them.
func reaching(t *testing.T, count int) (*several, *doors) {
	d := &doors{shut: map[string]bool{}}
	s := newSeveral(t, count, count, func(_ int, c *Config) { c.Reach = d.reach })
	var all []int
	for i := 1; i <= count; i++ {
		all = append(all, i)
	}
	s.start(all...)
	s.ready(all...)
	return s, d
}

// A node whose rooms nobody reaches gives them away, and comes back when it is reached. Raft alone does not see it: the
// connections that it has go on.
func TestAFollowerThatNobodyReachesLosesItsRooms(t *testing.T) {
	t.Parallel()
	s, d := reaching(t, 3)
	i := s.follower()
	addr := s.configs[i].NodeAddr
	d.set(addr, true)
	eventually(t, "it leaves the view", func() bool { return len(s.leader().View().Members) == 2 })
	eventually(t, "it says why", func() bool {
		err := s.nodes[i].Ready()
		return errors.Is(err, ErrUnreached) && strings.Contains(err.Error(), addr) && strings.Contains(err.Error(), errShut.Error())
	})
	d.set(addr, false)
	s.view("n1", "n2", "n3")
	s.ready(i)
}

// A leader likewise. Of two nodes it alone has a vote, which the other could not get from it: it goes on leading, without rooms.
func TestALeaderThatNobodyReachesLosesItsRooms(t *testing.T) {
	t.Parallel()
	for _, count := range []int{2, 3} {
		s, d := reaching(t, count)
		old := s.leader()
		addr := old.Status().NodeAddr
		d.set(addr, true)
		eventually(t, "it leaves the view", func() bool { return len(s.leader().View().Members) == count-1 })
		eventually(t, "it is not ready", func() bool { return errors.Is(old.Ready(), ErrUnreached) })
		if leads := s.leader() == old; leads != (count == 2) {
			t.Errorf("of %d nodes, it still leads: %v", count, leads)
		}
		d.set(addr, false)
		eventually(t, "it is back", func() bool { return len(s.leader().View().Members) == count && old.Ready() == nil })
	}
}

// Between two followers only: the leader reaches both, so nobody moves.
func TestACutBetweenFollowersMovesNobody(t *testing.T) {
	t.Parallel()
	s, _ := reaching(t, 3)
	epoch := s.leader().View().Epoch
	for _, n := range s.nodes {
		var r reachability
		for range 2 {
			r.last = r.last.AddDate(-1, 0, 0)
			if err := r.try(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
	}
	if now := s.leader().View().Epoch; now != epoch {
		t.Errorf("the view moved from %d to %d", epoch, now)
	}
}
