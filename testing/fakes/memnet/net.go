// Package memnet is an in-memory network for nodes that run in one testing/synctest bubble. A connection carries its bytes whole
// and in order, as TCP does. Traffic in a direction that is cut waits and continues after the heal; a deadline or a close ends
// the wait. Lost traffic is lost silently, and in one direction only. A host that has vanished neither sends nor receives
// anything more. All waiting uses plain time.
package memnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// ErrRefused is the error for dialling an address that has no listener.
var ErrRefused = errors.New("connection refused")

// Net connects hosts by name. It is safe for concurrent use.
type Net struct {
	// Delay, if set, returns how long a write from one host to another takes to arrive. It is called for every write.
	Delay func(from, to string) time.Duration

	mu        sync.Mutex
	listeners map[string]*listener // by address
	conns     map[*conn]bool
	cut       map[way]int // number of cuts in each direction
	lossy     map[way]int // number of those cuts that lose what is sent
	changed   chan struct{}
}

type way struct{ from, to string }

// New returns a network without hosts.
func New() *Net {
	return &Net{listeners: map[string]*listener{}, conns: map[*conn]bool{}, cut: map[way]int{}, lossy: map[way]int{}, changed: make(chan struct{})}
}

// Cut holds up all traffic from one host to the other, in that direction only, until heal is called. Cuts add up.
func (n *Net) Cut(from, to string) (heal func()) {
	n.add(way{from, to}, 1, 0)
	return sync.OnceFunc(func() { n.add(way{from, to}, -1, 0) })
}

// Lose is a Cut whose connections accept data and never deliver it, silently: neither end is told. A connection that has lost
// data delivers nothing more in that direction, even after heal.
func (n *Net) Lose(from, to string) (heal func()) {
	n.add(way{from, to}, 1, 1)
	return sync.OnceFunc(func() { n.add(way{from, to}, -1, -1) })
}

func (n *Net) add(w way, cuts, lossy int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[w] += cuts
	n.lossy[w] += lossy
	close(n.changed)
	n.changed = make(chan struct{})
}

// Reset breaks the connections between two hosts.
func (n *Net) Reset(a, b string) {
	n.closeWhere(func(c *conn) bool { return c.from == a && c.to == b || c.from == b && c.to == a })
}

// Open reports whether the direction is open. If it is not, changed is closed when that may have changed.
func (n *Net) Open(from, to string) (open bool, changed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[way{from, to}] == 0, n.changed
}

// loses reports whether data sent in that direction is lost.
func (n *Net) loses(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lossy[way{from, to}] > 0
}

func (n *Net) closeWhere(which func(*conn) bool) {
	n.mu.Lock()
	var all []*conn
	for c := range n.conns {
		if which(c) {
			all = append(all, c)
		}
	}
	n.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

// Host is one process on the network. A name may get another Host after this one has vanished. Host implements cluster.Network.
type Host struct {
	net  *Net
	name string
	gone bool // under net.mu
}

// Host adds a process to the network. Its addresses are name:port.
func (n *Net) Host(name string) *Host { return &Host{net: n, name: name} }

// Vanish breaks all connections and listeners of this process. The process can open no new ones.
func (h *Host) Vanish() {
	h.net.mu.Lock()
	h.gone = true
	var mine []*listener
	for _, l := range h.net.listeners {
		if l.host == h {
			mine = append(mine, l)
		}
	}
	h.net.mu.Unlock()
	for _, l := range mine {
		_ = l.Close()
	}
	h.net.closeWhere(func(c *conn) bool { return c.host == h })
}

// Listen listens on an address of this host.
func (h *Host) Listen(_ context.Context, addr string) (net.Listener, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.gone {
		return nil, fmt.Errorf("listen %s: %w", addr, net.ErrClosed)
	}
	if h.net.listeners[addr] != nil {
		return nil, fmt.Errorf("listen %s: address already in use", addr)
	}
	l := &listener{host: h, addr: address(addr), queue: make(chan net.Conn), closed: make(chan struct{})}
	h.net.listeners[addr] = l
	return l, nil
}

// Dial connects to a listener as soon as both directions are open.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	to, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	for _, w := range []way{{h.name, to}, {to, h.name}} {
		if err := h.net.Await(ctx, w.from, w.to); err != nil {
			return nil, fmt.Errorf("dial %s: %w", addr, err)
		}
	}
	h.net.mu.Lock()
	l := h.net.listeners[addr]
	h.net.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: %w", addr, ErrRefused)
	}
	near, far, err := h.net.pipe(h, l, to)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	select {
	case l.queue <- far:
		return near, nil
	case <-l.closed:
		err = ErrRefused
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(fmt.Errorf("dial %s: %w", addr, err), near.Close(), far.Close())
}

// Await waits until the direction is open. It returns the error of ctx.
func (n *Net) Await(ctx context.Context, from, to string) error {
	for {
		open, changed := n.Open(from, to)
		if open {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *Net) pipe(h *Host, l *listener, to string) (near, far *conn, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.gone || l.host.gone {
		return nil, nil, net.ErrClosed
	}
	a, b := net.Pipe()
	near = &conn{Conn: a, host: h, from: h.name, to: to, local: address(h.name + ":0"), remote: l.addr}
	far = &conn{Conn: b, host: l.host, from: to, to: h.name, local: l.addr, remote: near.local}
	for _, c := range []*conn{near, far} {
		c.closed, c.limits = make(chan struct{}), make(chan struct{})
		n.conns[c] = true
	}
	return near, far, nil
}
