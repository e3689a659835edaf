package cluster

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// newTransport listens for raft.
func newTransport(ctx context.Context, cfg Config, log hclog.Logger) (raft.Transport, error) {
	if cfg.RaftAddr == "" {
		_, t := raft.NewInmemTransport(raft.ServerAddress(cfg.NodeID))
		return t, nil
	}
	addr, err := listenAddr(cfg)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--raft-addr %s: %w", cfg.RaftAddr, err)
	}
	stream := streamLayer{Listener: listener, advertise: cfg.RaftAdvertise}
	if stream.advertise == "" {
		stream.advertise = listener.Addr().String()
	}
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: stream, MaxPool: 3, Timeout: transportTimeout, Logger: log.Named("net")}), nil
}

// listenAddr keeps raft off the network unless it was told otherwise: whoever reaches its port can end the cluster.
func listenAddr(cfg Config) (string, error) {
	host, port, err := net.SplitHostPort(cfg.RaftAddr)
	if err != nil {
		return "", fmt.Errorf("--raft-addr: %w", err)
	}
	if cfg.RaftAdvertise != "" {
		if _, _, err := net.SplitHostPort(cfg.RaftAdvertise); err != nil {
			return "", fmt.Errorf("--raft-advertise: %w", err)
		}
	} else if host == "" {
		host = "127.0.0.1"
	}
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip.IsLoopback()
	if !loopback && !cfg.Insecure {
		return "", fmt.Errorf("--raft-addr %s can be reached by other machines without TLS: use 127.0.0.1:%s, or set --insecure", cfg.RaftAddr, port)
	}
	if cfg.RaftAdvertise == "" && ip != nil && ip.IsUnspecified() {
		return "", fmt.Errorf("--raft-addr %s names no host: set --raft-advertise to what other nodes can reach", cfg.RaftAddr)
	}
	return net.JoinHostPort(host, port), nil
}

// streamLayer is raft's way to other nodes; TLS goes in here. It advertises names as they are, so that a node
// whose name resolves to another address after a restart is still the same.
type streamLayer struct {
	net.Listener
	advertise string
}

// Addr implements net.Listener with what other nodes dial.
func (s streamLayer) Addr() net.Addr { return hostPort(s.advertise) }

// Dial implements raft.StreamLayer.
func (s streamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", string(address), timeout)
}

type hostPort string

// Network implements net.Addr.
func (hostPort) Network() string { return "tcp" }

// String implements net.Addr.
func (h hostPort) String() string { return string(h) }
