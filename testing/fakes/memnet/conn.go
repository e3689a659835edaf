package memnet

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

type listener struct {
	host   *Host
	addr   address
	queue  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.host.net.mu.Lock()
		delete(l.host.net.listeners, string(l.addr))
		l.host.net.mu.Unlock()
		close(l.closed)
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }

// conn is one end of a pipe whose writes are delayed by the network.
type conn struct {
	net.Conn
	host          *Host
	from, to      string
	local, remote address
	closed        chan struct{}
	once          sync.Once
	broken        atomic.Bool // it has lost data, so nothing more is delivered after the gap

	mu     sync.Mutex
	limit  time.Time     // for writes; zero means none
	limits chan struct{} // closed and replaced when limit changes
}

// Write implements net.Conn. It waits while the direction is cut, and discards p where the direction loses data.
func (c *conn) Write(p []byte) (int, error) {
	n := c.host.net
	for {
		if c.broken.Load() || n.loses(c.from, c.to) {
			c.broken.Store(true)
			if isClosed(c.closed) {
				return 0, net.ErrClosed
			}
			return len(p), nil
		}
		open, changed := n.Open(c.from, c.to)
		if open {
			break
		}
		if err := c.wait(changed); err != nil {
			return 0, err
		}
	}
	if n.Delay != nil {
		if d := n.Delay(c.from, c.to); d > 0 {
			arrival := make(chan struct{})
			timer := time.AfterFunc(d, func() { close(arrival) })
			defer timer.Stop()
			for !isClosed(arrival) {
				if err := c.wait(arrival); err != nil {
					return 0, err
				}
			}
		}
	}
	return c.Conn.Write(p)
}

// wait returns when event is closed or the deadline for writes changes. It fails when the deadline passes or the connection is
// closed.
func (c *conn) wait(event <-chan struct{}) error {
	c.mu.Lock()
	limit, limits := c.limit, c.limits
	c.mu.Unlock()
	var late <-chan time.Time
	if !limit.IsZero() {
		timer := time.NewTimer(time.Until(limit))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-event:
	case <-limits:
	case <-late:
		return os.ErrDeadlineExceeded
	case <-c.closed:
		return net.ErrClosed
	}
	return nil
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.setLimit(t)
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.setLimit(t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *conn) setLimit(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = t
	close(c.limits)
	c.limits = make(chan struct{})
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.host.net.mu.Lock()
		delete(c.host.net.conns, c)
		c.host.net.mu.Unlock()
		close(c.closed)
	})
	return c.Conn.Close()
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// address is a host:port on this network.
type address string

// Network implements net.Addr.
func (address) Network() string { return "mem" }

// String implements net.Addr.
func (a address) String() string { return string(a) }
