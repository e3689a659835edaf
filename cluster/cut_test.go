package cluster

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// cable is a node's network, which can be cut. While it is cut, nothing gets in or out; open connections are closed.
type cable struct {
	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

var errCut = errors.New("the cable is cut")

func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for conn := range c.conns {
		_ = conn.Close()
	}
	clear(c.conns)
}

func (c *cable) take(conn net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return errors.Join(errCut, conn.Close())
	}
	if c.conns == nil {
		c.conns = map[net.Conn]struct{}{}
	}
	c.conns[conn] = struct{}{}
	return nil
}

func (c *cable) Dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := tcp{}.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return conn, c.take(conn)
}

func (c *cable) Listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := tcp{}.Listen(ctx, addr)
	return socket{l, c}, err
}

type socket struct {
	net.Listener
	cable *cable
}

func (s socket) Accept() (net.Conn, error) {
	for {
		conn, err := s.Listener.Accept()
		if err != nil || s.cable.take(conn) == nil {
			return conn, err
		}
	}
}

// cables returns a cable for each node.
func cables(count int) (all []*cable, change func(int, *Config)) {
	for range count + 1 {
		all = append(all, &cable{})
	}
	return all, func(i int, c *Config) { c.Network = all[i] }
}

// A node that is cut off but not dead does not see its removal: its own view still has it.
func TestANodeCutOffForLongerThanDeadAfterJoinsAgain(t *testing.T) {
	t.Parallel()
	nets, wire := cables(3)
	s := newSeveral(t, 3, 3, wire, func(_ int, c *Config) { c.DeadAfter = 2 * time.Second })
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	i := s.follower()
	before := s.nodes[i].Status().Incarnation
	nets[i].set(true)
	eventually.True(t, "it is removed", func() bool { return len(s.leader().Status().Servers) == 2 })
	eventually.True(t, "it has noticed", func() bool { return s.nodes[i].InContact() != nil })
	nets[i].set(false)
	eventually.True(t, "it joins again", func() bool {
		st := s.nodes[i].Status()
		return st.Incarnation > before && s.nodes[i].Ready() == nil
	})
	s.view("n1", "n2", "n3")
}

func TestANodeRemovedWhileCutOffEnds(t *testing.T) {
	t.Parallel()
	nets, wire := cables(3)
	s := newSeveral(t, 3, 3, wire)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	i := s.follower()
	nets[i].set(true)
	eventually.True(t, "it is silent", func() bool { return len(s.leader().silentNodes()) == 1 })
	if err := s.leader().Remove(t.Context(), s.configs[i].NodeID); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "it has noticed", func() bool { return s.nodes[i].InContact() != nil })
	nets[i].set(false)
	select {
	case err := <-s.nodes[i].Failure():
		if !errors.Is(err, ErrRemoved) {
			t.Errorf("it says %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}
