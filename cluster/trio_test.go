package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/testing/fakes/memnet"
)

// trio is three nodes on an in-memory network, in virtual time.
type trio struct {
	*testing.T
	net    *memnet.Net
	dirs   []string
	change func(*Config)
	hosts  [3]*memnet.Host
	nodes  [3]*Node
}

// inTrio runs a test with three ready nodes.
func inTrio(t *testing.T, change func(*Config), test func(*trio)) {
	dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		s := &trio{T: t, net: memnet.New(), dirs: dirs, change: change}
		for i := range s.nodes {
			s.open(i)
		}
		for _, n := range s.nodes {
			if err := n.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		test(s)
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		for i, n := range s.nodes {
			s.hosts[i].Vanish()
			_ = n.Close(gone)
		}
	})
}

func (s *trio) open(i int) {
	s.Helper()
	id := fmt.Sprintf("n%d", i+1)
	s.hosts[i] = s.net.Host(id)
	c := config(s.dirs[i])
	c.NodeID, c.NodeAddr, c.Insecure, c.Network = id, id+":7000", true, s.hosts[i]
	c.BootstrapExpect, c.Join, c.Logger = 3, []string{"n1:7000", "n2:7000", "n3:7000"}, slog.New(slog.DiscardHandler)
	if s.change != nil {
		s.change(&c)
	}
	n, err := Open(s.Context(), c)
	if err != nil {
		s.Fatal(err)
	}
	s.nodes[i] = n
}

// comes counts how often a node enters the view and raft's configuration, as the leader sees it, from the start on and within a time after it.
func (s *trio) comes(leader *Node, id string, start func(), during time.Duration) (view, config int) {
	_, was := leader.View().Member(id)
	known := leader.known(id) == nil
	start()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		_, is := leader.View().Member(id)
		knows := leader.known(id) == nil
		if is && !was {
			view++
		}
		if knows && !known {
			config++
		}
		was, known = is, knows
	}
	return view, config
}

// leader returns the number of the node that leads, and follower that of a node that does not.
func (s *trio) leader() int {
	return slices.IndexFunc(s.nodes[:], func(n *Node) bool { return n.Status().Established })
}

func (s *trio) follower() int {
	return slices.IndexFunc(s.nodes[:], func(n *Node) bool { return !n.Status().Established })
}

// cutOff cuts a node off from the others until heal is called.
func (s *trio) cutOff(i int) (heal func()) {
	var heals []func()
	for j := range s.nodes {
		if j != i {
			heals = append(heals, s.net.Cut(s.nodes[i].ID(), s.nodes[j].ID()), s.net.Cut(s.nodes[j].ID(), s.nodes[i].ID()))
		}
	}
	return func() {
		for _, heal := range heals {
			heal()
		}
	}
}
