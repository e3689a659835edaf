package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// endpoint is this node's connection to the network. Raft's transport, HTTP between nodes, and RPC share one listener. Without a network (a
// Config without NodeAddr) it has only the transport.
type endpoint struct {
	transport raft.Transport
	mux       *mux // nil without a network
	dialer    dialer
	addr      string // what other nodes dial
	// closed blocks raft's messages. A node that has lost its data must not vote under its old name before the leader has added it again.
	closed *atomic.Bool
	book   *addressBook
	// idAt returns the id of the node at an address, empty if the node does not answer.
	idAt *atomic.Pointer[func(ctx context.Context, addr string) string]
}

func openEndpoint(ctx context.Context, cfg Config, log hclog.Logger) (*endpoint, error) {
	if cfg.NodeAddr == "" {
		_, t := raft.NewInmemTransport(raft.ServerAddress(cfg.NodeID))
		return &endpoint{transport: t, addr: cfg.NodeID, closed: &atomic.Bool{}, book: newAddressBook()}, nil
	}
	addr, err := listenAddr(cfg)
	if err != nil {
		return nil, err
	}
	network := cfg.Network
	if network == nil {
		network = tcp{}
	}
	listener, err := network.Listen(ctx, addr)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("--node-addr %s: %w: another program has this port; stop it, or give another", cfg.NodeAddr, err)
		}
		return nil, fmt.Errorf("--node-addr %s: %w", cfg.NodeAddr, err)
	}
	l := &endpoint{mux: newMux(listener, cfg.NodeID, cfg.ServerTLS, cfg.MaxConns, cfg.Logger), dialer: dialer{network: network, tls: cfg.ClientTLS, names: &sync.Map{}},
		addr: cfg.NodeAdvertise, closed: &atomic.Bool{}, book: newAddressBook(), idAt: &atomic.Pointer[func(context.Context, string) string]{}}
	if l.addr == "" {
		l.addr = listener.Addr().String()
	}
	stream := streamLayer{branch: l.mux.raft, dialer: l.dialer, advertise: l.addr, closed: l.closed, idAt: l.askID}
	l.transport = idTransport{book: l.book, gate: &gate{}, ballots: newBallots(), NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: stream, MaxPool: 3, Timeout: transportTimeout, Logger: log.Named("net")})}
	return l, nil
}

// askID returns the id of the node at an address. It returns "" until idAt is set.
func (l *endpoint) askID(ctx context.Context, addr string) string {
	if ask := l.idAt.Load(); ask != nil {
		return (*ask)(ctx, addr)
	}
	return ""
}

// countVotesBy lets r consider the votes of all servers in its configuration; see ballots.
func (l *endpoint) countVotesBy(r *raft.Raft) {
	if t, ok := l.transport.(idTransport); ok {
		servers := func() []raft.Server { return r.GetConfiguration().Configuration().Servers }
		t.ballots.servers.Store(&servers)
	}
}

// advertise returns the address at which other nodes find this one, empty without a network.
func (l *endpoint) advertise() string {
	if l.mux == nil {
		return ""
	}
	return l.addr
}

// reachable returns a raft address for display. It is empty if this node has no network, or if the server has lost its address to another.
func (l *endpoint) reachable(addr raft.ServerAddress) string {
	if l.mux == nil || strings.HasPrefix(string(addr), nowherePrefix) {
		return ""
	}
	return string(addr)
}

func (l *endpoint) close() error {
	err := error(nil)
	if t, ok := l.transport.(idTransport); ok {
		t.gate.close()
		t.ballots.close()
	}
	if c, ok := l.transport.(raft.WithClose); ok {
		err = c.Close()
	}
	if l.mux != nil {
		err = errors.Join(err, l.mux.Close())
	}
	return err
}

// listenAddr returns the address to listen on. It keeps raft off the network unless the configuration allows it, because anyone who reaches
// raft's port can destroy the cluster.
func listenAddr(cfg Config) (string, error) {
	host, port, err := net.SplitHostPort(cfg.NodeAddr)
	if err != nil {
		return "", fmt.Errorf("--node-addr: %w", err)
	}
	if cfg.NodeAdvertise != "" {
		if _, _, err := net.SplitHostPort(cfg.NodeAdvertise); err != nil {
			return "", fmt.Errorf("--node-advertise: %w", err)
		}
	} else if host == "" {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip.IsLoopback()
	if !loopback && !cfg.Insecure && cfg.ServerTLS == nil {
		return "", fmt.Errorf("--node-addr %s can be reached by other machines without TLS: use 127.0.0.1:%s, or give --tls-ca, --tls-cert and --tls-key, or set --insecure", cfg.NodeAddr, port)
	}
	if cfg.NodeAdvertise == "" && ip != nil && ip.IsUnspecified() {
		return "", fmt.Errorf("--node-addr %s names no host: set --node-advertise to what other nodes can reach", cfg.NodeAddr)
	}
	return net.JoinHostPort(host, port), nil
}

// streamLayer connects raft to other nodes. It advertises names without resolving them, so that a node whose name resolves to another address
// after a restart is still the same node.
type streamLayer struct {
	*branch
	dialer    dialer
	advertise string
	closed    *atomic.Bool
	idAt      func(ctx context.Context, addr string) string
}

// Accept implements net.Listener.
func (s streamLayer) Accept() (net.Conn, error) {
	for {
		conn, err := s.branch.Accept()
		if err != nil || !s.closed.Load() {
			return conn, err
		}
		_ = conn.Close()
	}
}

// Addr implements net.Listener. It returns the address that other nodes dial.
func (s streamLayer) Addr() net.Addr { return hostPort(s.advertise) }

// Dial implements raft.StreamLayer.
func (s streamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	id, addr := splitTarget(string(address))
	if id == "" {
		return s.dialer.dial(ctx, addr, protoRaft)
	}
	return s.dialNode(ctx, id, addr)
}

type hostPort string

// Network implements net.Addr.
func (hostPort) Network() string { return "tcp" }

// String implements net.Addr.
func (h hostPort) String() string { return string(h) }
