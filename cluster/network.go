package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Network is how a node listens and dials; nil in a Config is TCP.
type Network interface {
	Listen(ctx context.Context, addr string) (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

type tcp struct{}

// keepAlive ends connections whose other side is gone without a word, though nothing is sent on them.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 3}
}

func (tcp) Listen(ctx context.Context, addr string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive()}
	return lc.Listen(ctx, "tcp", addr)
}

func (tcp) Dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive()}
	return d.DialContext(ctx, "tcp", addr)
}

// A connection to the node address begins, after the TLS handshake if there is TLS, with the byte of its protocol.
const (
	protoRaft = 'R'
	protoPeer = 'P' // HTTP, of peers
	protoRPC  = 'G' // whatever Config.ServeRPC speaks
	// protoRaftTo is raft for the node of one id; see askForNode.
	protoRaftTo = 'I'
)

// helloTimeout bounds the handshake and that byte, on both sides.
const helloTimeout = 2 * time.Second

// mux gives the connections that come to one listener to the protocols.
type mux struct {
	net.Listener
	id    string // this node's
	tls   *tls.Config
	log   *slog.Logger
	raft  *branch
	peer  *branch
	rpc   *branch
	ended chan struct{}
	open  sync.WaitGroup
	stop  sync.Once

	arrivals      *arrivals
	full, refused rate.Sometimes // of their log lines
}

// newMux takes at most limit connections at once; 0 is defaultMaxConns.
func newMux(l net.Listener, id string, secure *tls.Config, limit int, log *slog.Logger) *mux {
	m := &mux{Listener: l, id: id, tls: secure, log: log, ended: make(chan struct{}), arrivals: newArrivals(limit),
		full: rate.Sometimes{Interval: logEvery}, refused: rate.Sometimes{Interval: logEvery}}
	m.raft, m.peer, m.rpc = newBranch(m), newBranch(m), newBranch(m)
	m.open.Go(m.accept)
	return m
}

func (m *mux) accept() {
	for {
		conn, err := m.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, perhaps
			m.log.Warn("a connection of another node was not accepted, which is tried again: has this process file descriptors left (ulimit -n)?", "err", err)
			select {
			case <-time.After(firstRetry):
				continue
			case <-m.ended:
				return
			}
		}
		added, full := m.arrivals.add(conn)
		if full {
			m.full.Do(func() {
				m.log.Warn("too many connections to --node-addr: the oldest that has not said who it is was closed, or the new one; find out who connects to that port",
					"peer", conn.RemoteAddr(), "limit", m.arrivals.limit, "unknown_limit", maxStrangers)
			})
		}
		if added != nil {
			m.open.Go(func() { m.sort(added) })
		}
	}
}

// sort reads what a connection is for and hands it over.
func (m *mux) sort(raw *arrival) {
	_ = raw.SetDeadline(time.Now().Add(helloTimeout))
	conn := net.Conn(raw)
	if m.tls != nil {
		conn = tls.Server(raw, m.tls)
	}
	proto := make([]byte, 1)
	if _, err := conn.Read(proto); err != nil {
		m.refuse(raw, err)
		return
	}
	if proto[0] == protoRaftTo {
		if err := answerForNode(conn, m.id); err != nil {
			m.log.Debug("a connection was for another node, or nobody", "peer", conn.RemoteAddr(), "err", err)
			_ = conn.Close()
			return
		}
	}
	_ = conn.SetDeadline(noDeadline())
	to := map[byte]*branch{protoRaft: m.raft, protoRaftTo: m.raft, protoPeer: m.peer, protoRPC: m.rpc}[proto[0]]
	switch {
	case to == nil && proto[0] == tlsHandshake && m.tls == nil:
		m.sayRefused(raw, speaksTLS)
	case to == nil:
		m.log.Debug("a connection to --node-addr is of no known protocol", "peer", conn.RemoteAddr())
	default:
		raw.greeted()
	}
	if to == nil || !to.give(conn) {
		_ = conn.Close()
	}
}

// tlsHandshake is the first byte of a side that begins TLS.
const tlsHandshake = 0x16

// refuse closes a connection whose handshake failed, and says why where it may be a node's.
func (m *mux) refuse(raw *arrival, err error) {
	why := whyRefused(err)
	if why == "" {
		m.log.Debug("a connection to --node-addr said nothing that this node understands", "peer", raw.RemoteAddr(), "err", err)
	} else {
		m.sayRefused(raw, why)
	}
	var header tls.RecordHeaderError
	if errors.As(err, &header) && header.RecordHeader[0] == protoPeer {
		turnAway(raw)
	}
	_ = raw.Close()
}

func (m *mux) sayRefused(raw *arrival, why string) {
	m.refused.Do(func() {
		m.log.Warn("a connection of another node to --node-addr was refused", "peer", raw.RemoteAddr(), "why", why)
	})
}

func noDeadline() time.Time { return time.Time{} }

// Close ends the listener and all branches. Connections that were handed over belong to whoever took them.
func (m *mux) Close() error {
	err := error(nil)
	m.stop.Do(func() {
		close(m.ended)
		err = m.Listener.Close()
		m.open.Wait()
	})
	return err
}

// branch is the net.Listener of one protocol.
type branch struct {
	mux    *mux
	queue  chan net.Conn
	closed chan struct{}
	stop   sync.Once
}

func newBranch(m *mux) *branch {
	return &branch{mux: m, queue: make(chan net.Conn), closed: make(chan struct{})}
}

func (b *branch) give(conn net.Conn) bool {
	select {
	case b.queue <- conn:
		return true
	case <-b.closed:
	case <-b.mux.ended:
	}
	return false
}

// Accept implements net.Listener.
func (b *branch) Accept() (net.Conn, error) {
	select {
	case conn := <-b.queue:
		return conn, nil
	case <-b.closed:
	case <-b.mux.ended:
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener; the mux goes on.
func (b *branch) Close() error {
	b.stop.Do(func() { close(b.closed) })
	return nil
}

// Addr implements net.Listener.
func (b *branch) Addr() net.Addr { return b.mux.Addr() }

// dialer reaches the node addresses of other nodes.
type dialer struct {
	network Network
	tls     func(host string) *tls.Config // nil without TLS
	// names holds, by address, the name that it was found by: the one that its certificate must bear.
	names *sync.Map
}

// dial gives a connection of that protocol.
func (d dialer) dial(ctx context.Context, addr string, proto byte) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	conn, err := d.network.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	if d.tls != nil {
		secure, err := d.handshake(ctx, conn, addr)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secure
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetWriteDeadline(deadline)
	if _, err := conn.Write([]byte{proto}); err != nil {
		return nil, errors.Join(fmt.Errorf("greet %s: %w", addr, err), conn.Close())
	}
	_ = conn.SetWriteDeadline(time.Time{})
	return conn, nil
}

func (d dialer) handshake(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", addr, err)
	}
	if name, ok := d.names.Load(addr); ok {
		host, _ = name.(string)
	}
	secure := tls.Client(conn, d.tls(host))
	if err := secure.HandshakeContext(ctx); err != nil {
		if why := whyFailed(err); why != "" {
			return nil, fmt.Errorf("TLS with %s: %w: %s", addr, err, why)
		}
		return nil, fmt.Errorf("TLS with %s: %w", addr, err)
	}
	return secure, nil
}
