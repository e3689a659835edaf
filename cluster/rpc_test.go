package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/authority"
)

// echo sends back what it receives on each connection.
func echo(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(conn, conn)
			_ = conn.Close()
		}()
	}
}

// withTLS sets both sides of TLS in a Config, with one authority.
func withTLS(t *testing.T, c *Config) {
	t.Helper()
	now := time.Now()
	ca, err := authority.New("test", now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("n", []string{"127.0.0.1"}, now.Add(-time.Hour), now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.Pair().Cert)
	c.ServerTLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	c.ClientTLS = func(host string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ServerName: host}
	}
}

// TestRPCSharesTheNodePort: RPC connections arrive intact, behind the same TLS as all connections between nodes.
func TestRPCSharesTheNodePort(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t.TempDir())
			cfg.ServeRPC = echo
			if secure {
				withTLS(t, &cfg)
			}
			n := openReady(t, cfg)
			conn, err := n.DialRPC(t.Context(), n.Status().NodeAddr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, encrypted := conn.(*tls.Conn); encrypted != secure {
				t.Errorf("encrypted: %v", encrypted)
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := conn.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 5)
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
				t.Errorf("got %q, %v", got, err)
			}
			if !secure {
				return
			}
			// A client without a certificate does not get as far as any protocol.
			stranger, err := net.Dial("tcp", n.Status().NodeAddr)
			if err != nil {
				t.Fatal(err)
			}
			defer stranger.Close()
			_ = stranger.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = stranger.Write([]byte{protoRPC, 'x'})
			if n, err := io.ReadAll(stranger); err == nil && len(n) > 0 && n[0] == 'x' {
				t.Error("a stranger is answered")
			}
		})
	}
}

// TestRPCThatNobodyServes: RPC connections to a node without ServeRPC are closed at once.
func TestRPCThatNobodyServes(t *testing.T) {
	t.Parallel()
	n := openReady(t, config(t.TempDir()))
	conn, err := n.DialRPC(t.Context(), n.Status().NodeAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var timeout net.Error
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection says %v", err)
	}
}

// TestAloneWithoutANetwork: a node that is alone needs no node address and may get one later. It may not lose the address by which other
// nodes know it.
func TestAloneWithoutANetwork(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	addr := freeAddr(t)
	for _, node := range []string{"", addr, ""} {
		cfg.NodeAddr = node
		n := openReady(t, cfg)
		s := n.Status()
		if s.NodeAddr != node || s.Members[0].NodeAddr != node || len(s.Servers) != 1 || s.Servers[0].NodeAddr != node {
			t.Errorf("with the address %q: %+v", node, s)
		}
		if node == "" {
			if _, err := n.DialRPC(t.Context(), addr); !errors.Is(err, ErrNoLeader) {
				t.Error(err)
			}
		}
		shut(t, n)
	}
	s := newSeveral(t, 3, 3)
	s.start(1, 2, 3)
	s.ready(1, 2, 3)
	s.stop(1, 2, 3)
	promised := config(t.TempDir())
	data := store(t, promised)
	if err := errors.Join(data.promise(server{ID: "n2", Addr: addr}), data.close()); err != nil {
		t.Fatal(err)
	}
	promised.NodeAddr = ""
	if err := refused(t, promised); !errors.Is(err, ErrNoNetwork) {
		t.Error("it has promised to found a cluster with n2:", err)
	}
	lost := s.configs[1]
	lost.NodeAddr, lost.Join, lost.BootstrapExpect = "", nil, 1
	if err := refused(t, lost); !errors.Is(err, ErrNoNetwork) {
		t.Error(err)
	}
}
