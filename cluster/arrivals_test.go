package cluster

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// closer is a connection that records whether it was closed.
type closer struct {
	net.Conn
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

// TestTheOldestStrangerMakesRoom: connections that send nothing keep no node out, and no node's connection is closed for a new one.
func TestTheOldestStrangerMakesRoom(t *testing.T) {
	a := newArrivals(maxStrangers + 2)
	var nodes []*arrival
	for range 2 {
		node, _ := a.add(&closer{})
		node.handshakeDone()
		nodes = append(nodes, node)
	}
	var silent []*closer
	for i := range 3 * maxStrangers {
		silent = append(silent, &closer{})
		added, full := a.add(silent[i])
		if added == nil || full != (i >= maxStrangers) {
			t.Fatalf("stranger %d: %v, full: %t", i, added, full)
		}
	}
	for i, c := range silent {
		if c.closed != (i < 2*maxStrangers) {
			t.Errorf("stranger %d closed: %t", i, c.closed)
		}
	}
	for a.strangers.Len() > 0 {
		added, _ := a.add(&closer{})
		added.handshakeDone()
	}
	last := &closer{}
	if added, full := a.add(last); added != nil || !full || !last.closed {
		t.Errorf("one connection above the limit was accepted: %v", added)
	}
	for _, node := range nodes {
		if c, _ := node.Conn.(*closer); c.closed {
			t.Error("a node was cut")
		}
		_ = node.Close()
		_ = node.Close()
	}
	if a.open != a.limit-len(nodes) {
		t.Errorf("%d are open, want %d", a.open, a.limit-len(nodes))
	}
}

// muxOn starts a mux on a loopback port and returns its address and its log.
func muxOn(t *testing.T, secure *tls.Config) (addr string, said *logged) {
	t.Helper()
	l, err := tcp{}.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said = &logged{}
	m := newMux(l, "n1", secure, 0, slog.New(slog.NewTextHandler(said, nil)))
	t.Cleanup(func() { _ = m.Close() })
	return l.Addr().String(), said
}

// TestASilentConnectionEnds: with and without TLS, a connection that sends nothing, or too little, is closed.
func TestASilentConnectionEnds(t *testing.T) {
	for name, secure := range map[string]*tls.Config{"plain": nil, "TLS": {MinVersion: tls.VersionTLS13}} {
		for what, bytes := range map[string]string{"nothing": "", "half a record": "\x16\x03\x01\x02"} {
			if secure == nil && bytes != "" {
				continue
			}
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				addr, _ := muxOn(t, secure)
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, bytes)
				_ = conn.SetReadDeadline(time.Now().Add(helloTimeout + 6*time.Second)) // it once took twelve seconds
				var late net.Error
				if _, err := io.Copy(io.Discard, conn); errors.As(err, &late) && late.Timeout() {
					t.Errorf("it is still open: %v", err)
				}
			})
		}
	}
}

// TestBothEndsNameTheCause: if one node has --insecure and the other has not, both name the cause.
func TestBothEndsNameTheCause(t *testing.T) {
	for name, tt := range map[string]struct {
		server *tls.Config
		client func(string) *tls.Config
		asker  string
	}{
		"TLS asked without": {&tls.Config{MinVersion: tls.VersionTLS13}, nil, "--insecure"},
		"without, asked by TLS": {nil, func(string) *tls.Config {
			return &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}
		}, "--insecure"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, logs := muxOn(t, tt.server)
			l := &endpoint{dialer: dialer{network: tcp{}, tls: tt.client, names: &sync.Map{}}}
			p := newPeers(l, nil, slog.New(slog.DiscardHandler))
			defer func() { _ = p.close() }()
			err := p.call(t.Context(), addr, reachPath, struct{}{}, nil)
			if err == nil || !strings.Contains(err.Error(), tt.asker) {
				t.Errorf("the asking node gets %v", err)
			}
			for deadline := time.Now().Add(10 * time.Second); !logs.has("--insecure"); {
				if time.Now().After(deadline) {
					t.Fatal("the asked node does not log it")
				}
				<-time.After(10 * time.Millisecond)
			}
		})
	}
}
