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

// Network listens and dials for a node. A nil Network in a Config means TCP.
type Network interface {
	Listen(ctx context.Context, addr string) (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

type tcp struct{}

// keepAlive ends connections whose other side has vanished without closing them, even if nothing is sent on them.
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

// A connection to the node address begins, after the TLS handshake if there is one, with the byte of its protocol.
const (
	protoRaft = 'R'
	protoPeer = 'P' // HTTP between nodes
	protoRPC  = 'G' // whatever Config.ServeRPC speaks
	// protoRaftTo is raft for the node with a given id; see askForNode.
	protoRaftTo = 'I'
)

// helloTimeout limits the time for the TLS handshake and the protocol byte, on both sides.
const helloTimeout = 2 * time.Second

// mux accepts the connections of one listener and passes each to its protocol.
type mux struct {
	net.Listener
	id    string // of this node
	tls   *tls.Config
	log   *slog.Logger
	raft  *branch
	peer  *branch
	rpc   *branch
	ended chan struct{}
	open  sync.WaitGroup
	stop  sync.Once

	arrivals      *arrivals
	full, refused rate.Sometimes // limit the log lines about these cases
}

// newMux returns a mux that serves l. At most limit connections are open at once; 0 means defaultMaxConns.
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
		if err != nil { // perhaps out of file descriptors
			m.log.Warn("a connection of another node could not be accepted and is tried again: is this process out of file descriptors (ulimit -n)?", "error", err)
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
				m.log.Warn("too many connections to --node-addr: the oldest one still in its handshake was closed, or the new one; find out who connects to that port",
					"peer", conn.RemoteAddr(), "limit", m.arrivals.limit, "unknown_limit", maxStrangers)
			})
		}
		if added != nil {
			m.open.Go(func() { m.route(added) })
		}
	}
}

// route reads the protocol of a connection and passes the connection on.
func (m *mux) route(raw *arrival) {
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
			m.log.Debug("a connection was for another node, or nobody", "peer", conn.RemoteAddr(), "error", err)
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
		raw.handshakeDone()
	}
	if to == nil || !to.give(conn) {
		_ = conn.Close()
	}
}

// tlsHandshake is the first byte of a connection with TLS.
const tlsHandshake = 0x16

// refuse closes a connection whose handshake failed. It logs the reason as a warning if the other side may be a node.
func (m *mux) refuse(raw *arrival, err error) {
	why := whyRefused(err)
	if why == "" {
		m.log.Debug("a connection to --node-addr said nothing that this node understands", "peer", raw.RemoteAddr(), "error", err)
	} else {
		m.sayRefused(raw, why)
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok && header.RecordHeader[0] == protoPeer {
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

// Close ends the listener and all branches. It leaves open the connections that were passed on.
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

// Close implements net.Listener. The mux keeps running.
func (b *branch) Close() error {
	b.stop.Do(func() { close(b.closed) })
	return nil
}

// Addr implements net.Listener.
func (b *branch) Addr() net.Addr { return b.mux.Addr() }

// dialer dials the node addresses of other nodes.
type dialer struct {
	network Network
	tls     func(host string) *tls.Config // nil without TLS
	// names maps an address to the host name that resolved to it. The certificate must be for that name.
	names *sync.Map
}

// dial opens a connection of the given protocol.
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
		return nil, errors.Join(fmt.Errorf("write the protocol byte to %s: %w", addr, err), conn.Close())
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
