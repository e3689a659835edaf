package clusterkit_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/testing/clusterkit"
)

// requests is the first byte of a connection that carries requests between nodes, as defined in cluster/network.go. Raft's
// connections begin with another byte.
const requests = 'G'

// gate is the path by which others reach a node's port. While it is shut, requests do not get through, but raft's connections do.
type gate struct {
	listener net.Listener
	mu       sync.Mutex
	to       string
	shut     bool
	conns    map[net.Conn]bool // true for those that carry requests
	work     sync.WaitGroup
}

func newGate(t *testing.T) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, conns: map[net.Conn]bool{}}
	g.work.Go(g.accept)
	t.Cleanup(func() {
		_ = l.Close()
		g.close(true)
		g.work.Wait()
	})
	return g
}

// close ends the connections that carry requests, or all of them.
func (g *gate) close(all bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn, carries := range g.conns {
		if all || carries {
			_ = conn.Close()
		}
	}
}

// leadTo sets the gate's target. A connection of another process may have arrived before, because the port was free a moment ago.
func (g *gate) leadTo(addr string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.to = addr
}

func (g *gate) turn(shut bool) {
	g.mu.Lock()
	g.shut = shut
	g.mu.Unlock()
	g.close(false)
}

func (g *gate) accept() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.work.Go(func() { g.carry(in) })
	}
}

// carry forwards one connection, if the gate is open for it.
func (g *gate) carry(in net.Conn) {
	defer in.Close()
	first := make([]byte, 1)
	_ = in.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.ReadFull(in, first); err != nil {
		return
	}
	_ = in.SetReadDeadline(time.Time{})
	g.mu.Lock()
	to, refused := g.to, g.shut && first[0] == requests
	g.mu.Unlock()
	if refused {
		return
	}
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	g.mu.Lock()
	g.conns[in], g.conns[out] = first[0] == requests, first[0] == requests
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.conns, in)
		delete(g.conns, out)
	}()
	if _, err := out.Write(first); err != nil {
		return
	}
	ended := make(chan struct{}, 2)
	for to, from := range map[net.Conn]net.Conn{in: out, out: in} {
		g.work.Go(func() { _, _ = io.Copy(to, from); ended <- struct{}{} })
	}
	<-ended
}

// TestNobodyReachesOne blocks requests to one node but not raft's messages, as a firewall that distinguishes them would. The
// node's rooms move, it reports the reason, and it gets rooms again once it can be reached.
func TestNobodyReachesOne(t *testing.T) {
	t.Parallel()
	gates := map[string]*gate{}
	c := prepare(t, clusterkit.Options{FlagsOf: func(id string) []string {
		gates[id] = newGate(t)
		// Without TLS, so that the gate can distinguish the two kinds of connections.
		return []string{"--insecure", "--node-advertise=" + gates[id].listener.Addr().String()}
	}})
	for _, n := range c.Nodes {
		for _, one := range n.Env {
			if addr, ok := strings.CutPrefix(one, clusterkit.NodeAddrEnv+"="); ok {
				gates[n.ID].leadTo(addr)
			}
		}
	}
	c.Found()
	traffic := c.StartTraffic(rooms, rate)
	c.Pass(under)
	node := c.Leader() // the harder case: it hands over leadership first
	gates[node.ID].turn(true)
	c.AwaitView(c.Others(node.ID)...)
	c.Await("it is not ready, and says why", func() error {
		if err := node.Probe("/readyz", http.StatusServiceUnavailable); err != nil {
			return err
		}
		return node.Says("no other node can reach this one")
	})
	c.Leader(node.ID)
	c.Pass(under)
	gates[node.ID].turn(false)
	c.AwaitView("n1", "n2", "n3")
	c.Pass(under)
	traffic.Stop()
	c.Verify()
}
