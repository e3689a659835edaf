package clusterkit_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
	"github.com/rollcallhq/rollcall/testing/nodetest"
)

// valve is a node's own way to Redis. While it is shut, no byte passes and no connection ends, as behind a firewall that drops.
type valve struct {
	listener net.Listener
	mu       sync.Mutex
	to       string
	shut     bool
	conns    map[net.Conn]bool
	work     sync.WaitGroup
}

func newValve(t *testing.T) *valve {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{listener: l, conns: map[net.Conn]bool{}}
	v.work.Go(v.accept)
	t.Cleanup(func() {
		_ = l.Close()
		v.turn(false, "")
		v.work.Wait()
	})
	return v
}

// turn opens or shuts it. What was shut off is closed when it opens.
func (v *valve) turn(shut bool, to string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shut, v.to = shut, to
	if !shut {
		for conn := range v.conns {
			_ = conn.Close()
		}
		clear(v.conns)
	}
}

// lead is where bytes go, "" while they must not.
func (v *valve) lead() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.shut {
		return ""
	}
	return v.to
}

func (v *valve) keep(conns ...net.Conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, conn := range conns {
		v.conns[conn] = true
	}
}

func (v *valve) accept() {
	for {
		in, err := v.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		v.keep(in)
		to := v.lead()
		if to == "" {
			continue
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			_ = in.Close()
			continue
		}
		v.keep(out)
		v.work.Go(func() { v.pass(out, in) })
		v.work.Go(func() { v.pass(in, out) })
	}
}

func (v *valve) pass(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if v.lead() == "" {
			_, _ = io.Copy(io.Discard, from) // until it is closed
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

// TestRedisCutOff: a node that hears the others and not Redis gives its rooms, and the lead, to those that hear both; webhooks go on,
// also those that come to that node. It comes back by itself.
func TestRedisCutOff(t *testing.T) {
	for name, of := range map[string]func(*clusterkit.Cluster) *nodetest.Node{
		"owner":  func(c *clusterkit.Cluster) *nodetest.Node { return c.Follower() },
		"leader": func(c *clusterkit.Cluster) *nodetest.Node { return c.Leader() },
	} {
		t.Run(name, func(t *testing.T) {
			valves := map[string]*valve{}
			o := clusterkit.Options{FlagsOf: func(id string) []string {
				valves[id] = newValve(t)
				return []string{"--redis-url=redis://" + valves[id].listener.Addr().String()}
			}}
			c := prepare(t, o)
			redis := strings.TrimPrefix(c.Redis.URL(), "redis://")
			for _, v := range valves {
				v.turn(false, redis)
			}
			c.Found()
			traffic := c.StartTraffic(rooms, rate)
			c.Pass(under)
			node := of(c)
			before, begun := c.Testimony(), time.Now()
			mine := owned(c, node.ID)
			valves[node.ID].turn(true, redis)
			c.AwaitView(c.Others(node.ID)...)
			t.Logf("the others own its rooms after %v", time.Since(begun).Round(10*time.Millisecond))
			c.Leader(node.ID)
			c.Pass(under)
			if took := c.Testimony().Claims - before.Claims; took < mine {
				t.Errorf("%s owned %d rooms, and only %d were claimed by others", node.ID, mine, took)
			}
			valves[node.ID].turn(false, redis)
			c.AwaitView("n1", "n2", "n3")
			c.Pass(under)
			traffic.Stop()
			c.Verify()
		})
	}
}
