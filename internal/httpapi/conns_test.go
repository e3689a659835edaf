package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// pipeConn is a connection that records that it was closed.
type pipeConn struct {
	net.Conn
	closed bool
}

func (p *pipeConn) Close() error { p.closed = true; return nil }

// TestAFullTableMakesRoom fills the table and checks which connection makes room.
func TestAFullTableMakesRoom(t *testing.T) {
	all := newConnections(4, slog.New(slog.DiscardHandler))
	var reasons []string
	all.closed = func(reason string) { reasons = append(reasons, reason) }
	conns := map[string]*pipeConn{}
	add := func(name string) *tracked { conns[name] = &pipeConn{}; return all.add(conns[name]) }
	gone := func(name, reason string) {
		t.Helper()
		for other, c := range conns {
			if c.closed != (other == name) {
				t.Errorf("%s closed: %v, want %s closed", other, c.closed, name)
			}
		}
		delete(conns, name)
		if got := reasons[len(reasons)-1]; got != reason {
			t.Errorf("%s went as %s, want %s", name, got, reason)
		}
	}
	webhook, page, moderator := add("webhook"), add("page"), add("moderator")
	add("stranger")
	moderator.enter()
	moderator.trust()
	moderator.leave()
	webhook.enter()
	webhook.trust()
	page.enter()

	fresh := add("fresh")
	gone("stranger", closedStranger)
	fresh.enter()
	fresh.trust()
	second := add("second")
	gone("moderator", closedIdle)
	second.enter()
	second.trust()
	third := add("third")
	gone("page", closedServed)
	third.enter()
	third.trust()
	if add("late") != nil {
		t.Error("a connection too many was taken")
	}
	gone("late", closedNew)
	webhook.leave()
	if add("last") == nil {
		t.Error("it was refused while another was idle")
	}
	gone("webhook", closedIdle)
	page.leave() // after its connection was closed
	for _, c := range []*tracked{fresh, second, third} {
		_ = c.Close()
		_ = c.Close()
	}
	if n := all.count(); n != 1 {
		t.Errorf("%d are open, want 1", n)
	}
}

// serveRig serves on a loopback port until the test ends.
func serveRig(t *testing.T, r *rig) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel() // open connections are cut
		_ = r.Shutdown(ended)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr()
}

// TestIdleStrangersDoNotKeepCallersOut opens more silent connections than may be open, some of which have begun a request.
func TestIdleStrangersDoNotKeepCallersOut(t *testing.T) {
	const limit = 12
	r := newRig(t, &node{}, func(c *Config) { c.Limits.Connections = limit })
	addr := serveRig(t, r).String()
	for i := range 4 * limit {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 0 {
			if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "pipe") {
				t.Fatal(err)
			}
		}
	}
	for range 3 * limit {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := fmt.Fprintf(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("a caller was kept out: %v", err)
		}
		resp.Body.Close()
		// The connection stays open: the next ones have to find room nevertheless.
		defer conn.Close()
	}
	if r.metric(t, "rollcall_http_connections_closed_total", closedStranger) == 0 || r.metric(t, "rollcall_http_connections_limit") != limit {
		t.Error("the metrics do not report it")
	}
	if !strings.Contains(r.logs.String(), "LimitNOFILE") {
		t.Error("the log does not report it")
	}
}
