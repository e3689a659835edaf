package rpc

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	// dialTimeout limits each attempt to reach a peer.
	dialTimeout = time.Second
	// silence is how long a stream may carry nothing back while answers are due. It is so short that a webhook that meets a
	// cut is sent through another node, and answered, within 3 s.
	silence = 1500 * time.Millisecond
	// pingEvery is how often a peer that owes answers is asked for a sign of life.
	pingEvery = 250 * time.Millisecond
	// batchBytes is the approximate size at which a batch is sent although more is waiting.
	batchBytes = 1 << 20
	// window is how many bytes of a stream may be unacknowledged. It is fixed, because gRPC's own estimate would ping with every batch.
	window = 4 << 20
	// keepAlive and keepAliveTimeout end streams that nobody uses and nobody closed. gRPC allows no less than 10 s.
	keepAlive        = 10 * time.Second
	keepAliveTimeout = 2 * time.Second
)

func serverOptions(limit int) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(limit + 2*batchBytes), grpc.MaxSendMsgSize(limit + 2*batchBytes),
		grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window),
		grpc.ConnectionTimeout(dialTimeout), grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepAlive, Timeout: keepAliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepAlive / 2, PermitWithoutStream: true}),
	}
}

// dial makes a gRPC connection to addr, which tries to connect only once: link decides whether and when to try again. The
// connection is as secure as those that Config.Dial makes.
func (p *Peers) dial(addr string, under *wireConn) (*grpc.ClientConn, error) {
	limit := p.cfg.Limits.Bytes + 2*batchBytes
	return grpc.NewClient("passthrough:///"+addr,
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := p.cfg.Dial(ctx, addr)
			if err != nil {
				return nil, err
			}
			return under.carry(conn)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(), grpc.WithIdleTimeout(0),
		grpc.WithDisableServiceConfig(), grpc.WithDisableHealthCheck(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Hour, MaxDelay: time.Hour}, MinConnectTimeout: dialTimeout}),
		grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(limit), grpc.MaxCallSendMsgSize(limit)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepAlive, Timeout: keepAliveTimeout}))
}

// wireConn is the connection under a session. It knows when bytes last came back. It counts bytes rather than answers,
// because a large answer takes its time. It can also be cut at once: gRPC alone would wait 5 s for a peer that reads nothing.
type wireConn struct {
	heard atomic.Pointer[time.Time]

	mu     sync.Mutex
	conn   net.Conn
	broken bool
}

func (w *wireConn) carry(conn net.Conn) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	w.conn = conn
	return &noted{conn, w}, nil
}

func (w *wireConn) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = true
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

// silent returns for how long nothing has come, counted from begun at the earliest.
func (w *wireConn) silent(begun time.Time) time.Duration {
	if at := w.heard.Load(); at != nil && at.After(begun) {
		begun = *at
	}
	return time.Since(begun)
}

// noted is a connection that records when something comes.
type noted struct {
	net.Conn
	wire *wireConn
}

// Read implements net.Conn.
func (n *noted) Read(b []byte) (int, error) {
	read, err := n.Conn.Read(b)
	if read > 0 {
		now := time.Now()
		n.wire.heard.Store(&now)
	}
	return read, err
}
