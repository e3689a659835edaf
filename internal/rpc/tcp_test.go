package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/rpc"
)

// path is a TCP proxy to an address. It can swallow what goes either way, and it can be reset, as when a route changes or a NAT
// forgets a connection. The kernel goes on acknowledging what path swallows, so TCP itself notices nothing.
type path struct {
	net.Listener
	to          string
	there, back atomic.Bool // swallow what goes that way

	mu    sync.Mutex
	conns []net.Conn
	ended sync.WaitGroup
}

func newPath(t *testing.T, to string) *path {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &path{Listener: l, to: to}
	p.ended.Go(p.accept)
	t.Cleanup(func() { _ = l.Close(); p.reset(); p.ended.Wait() })
	return p
}

func (p *path) accept() {
	for {
		in, err := p.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		p.ended.Go(func() { carry(in, out, &p.there) })
		p.ended.Go(func() { carry(out, in, &p.back) })
	}
}

func carry(from, to net.Conn, swallows *atomic.Bool) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if !swallows.Load() {
			_, _ = to.Write(buf[:n])
		}
	}
}

func (p *path) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	p.conns = nil
}

// tcpPeers starts a node on loopback. It returns the node and its address.
func tcpPeers(t *testing.T, name string, h actors.Owner) (*rpc.Peers, string) {
	t.Helper()
	var d net.Dialer
	p := rpc.New(rpc.Config{Node: name, Host: h, Epoch: func() uint64 { return epoch }, Members: func() []actors.Place { return nil },
		Leader: func() string { return "" }, Owner: func(string) (actors.Place, error) { return actors.Place{}, actors.ErrNotOwner },
		Dial: func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }, Log: slog.New(slog.DiscardHandler)})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- p.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.Stop(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return p, l.Addr().String()
}

// TestLostBytesOverTCP is TestLossesAreNoticedAndLongWorkIsAskedForAgain over real connections. The answer of a survey, or its request,
// vanishes on the way, and the connection is reset a second later or never. The survey is done again, and events are answered.
func TestLostBytesOverTCP(t *testing.T) {
	t.Parallel()
	for name, resets := range map[string]bool{"and a reset": true, "in silence": false} {
		for way, swallow := range map[string]func(*path) *atomic.Bool{
			"the way there": func(p *path) *atomic.Bool { return &p.there }, "the way back": func(p *path) *atomic.Bool { return &p.back }} {
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				b := &host{does: behaviour{takes: 200 * time.Millisecond, findings: actors.Findings{Examined: 1}}}
				a, _ := tcpPeers(t, "a", &host{})
				_, listen := tcpPeers(t, "b", b)
				p := newPath(t, listen)
				peer := a.Peer(actors.Place{Node: "b", Epoch: epoch, Addr: p.Addr().String()})
				must(t, peer.Deliver(within(t, 5*time.Second), event("before")))
				lost := swallow(p)
				lost.Store(true)
				survey := surveys(peer)
				<-time.After(time.Second)
				if resets {
					p.reset()
				}
				lost.Store(false)
				must(t, peer.Deliver(within(t, 5*time.Second), event("after")))
				select {
				case s := <-survey:
					if s.err != nil || s.findings.Examined != 1 {
						t.Errorf("the survey came to %+v", s)
					}
				case <-time.After(15 * time.Second):
					t.Error("the survey is still waited for")
				}
			})
		}
	}
}
