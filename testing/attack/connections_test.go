package attack

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/rollcallhq/rollcall/internal/authority"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
)

const (
	// files is the node's limit of open files, and crowd how many connections an attacker opens.
	files = 256
	crowd = 270
	// hold is how long the attack lasts.
	hold = 5 * time.Second
)

// occupy opens crowd connections and calls use on each to keep it open. A connection that the node closes is opened again.
func occupy(ctx context.Context, addr string, hold time.Duration, use func(ctx context.Context, conn net.Conn)) {
	ctx, stop := context.WithTimeout(ctx, hold)
	defer stop()
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			for ctx.Err() == nil {
				conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
				if err == nil {
					end := context.AfterFunc(ctx, func() { _ = conn.Close() })
					use(ctx, conn)
					_, _ = io.Copy(io.Discard, conn) // until the node closes it
					end()
					_ = conn.Close()
				}
				pass(ctx, 500*time.Millisecond)
			}
		})
	}
	all.Wait()
}

// slowly sends one byte at a time until the connection fails.
func slowly(ctx context.Context, conn net.Conn, head, rest string) {
	_, err := io.WriteString(conn, head)
	for err == nil && ctx.Err() == nil {
		pass(ctx, 300*time.Millisecond)
		_, err = io.WriteString(conn, rest)
	}
}

func once(text string) func(context.Context, net.Conn) {
	return func(_ context.Context, conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

// TestConnections checks that webhooks on new connections are answered, whatever a stranger does with more connections than the
// node has file descriptors.
func TestConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{files: files})
	mod := moderator(t, "mine")
	for _, c := range []struct {
		name string
		use  func(ctx context.Context, conn net.Conn)
	}{
		{"idle from the start", once("")},
		{"idle after a request", once("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")},
		{"idle with a token for one room", once(rawGet("/api/rooms/mine", mod))},
		{"slow headers", func(ctx context.Context, conn net.Conn) { slowly(ctx, conn, "GET / HTTP/1.1\r\nHost: x\r\nA: ", "a") }},
		{"slow bodies", func(ctx context.Context, conn net.Conn) {
			slowly(ctx, conn, "POST /api/sync-rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n", "{")
		}},
		{"slow webhooks", func(ctx context.Context, conn net.Conn) {
			slowly(ctx, conn, "POST "+webhookURL+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n{\r\n")
		}},
		{"answers unread", once(strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n", 20))},
		{"streams of one room", once(rawGet("/api/events?room=mine", mod))},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.siege(t, func(ctx context.Context) { occupy(ctx, w.Addr, hold, c.use) })
		})
	}
}

// TestConnectionsWithTLS does the same before and after the TLS handshake.
func TestConnectionsWithTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{files: files, https: true})
	for _, c := range []struct {
		name string
		use  func(ctx context.Context, conn net.Conn)
	}{
		{"silent", once("")},
		{"half a handshake", once("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
		{"an unfinished header block", func(_ context.Context, conn net.Conn) { unfinished(conn) }},
		{"idle after the handshake", func(_ context.Context, conn net.Conn) {
			_ = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.siege(t, func(ctx context.Context) { occupy(ctx, w.Addr, hold, c.use) })
		})
	}
	t.Run("an unfinished header block ends", func(t *testing.T) {
		lasts(t, w.Addr, func(conn net.Conn) net.Conn { return unfinished(conn) })
	})
}

// unfinished begins an HTTP/2 request whose headers never end.
func unfinished(conn net.Conn) net.Conn {
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if secure.Handshake() != nil || secure.ConnectionState().NegotiatedProtocol != "h2" {
		return secure
	}
	_, _ = io.WriteString(secure, http2.ClientPreface)
	f := http2.NewFramer(secure, nil)
	_ = f.WriteSettings()
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82, 0x84, 0x87}, EndHeaders: false})
	return secure
}

// lasts checks that the node closes a connection that makes no progress. The documented limit is 5 s for headers and less for the
// node port; the test allows 9 s, because this machine is busy.
func lasts(t *testing.T, addr string, use func(net.Conn) net.Conn) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn = use(conn)
	begun := time.Now()
	_ = conn.SetReadDeadline(begun.Add(patience))
	_, err = io.Copy(io.Discard, conn)
	if took := time.Since(begun); took > 9*time.Second {
		t.Errorf("the connection lasted %v (%v)", took, err)
	}
}

// TestConnectionsToTheNodePort checks that silent connections are closed, with TLS and without, and that the node keeps working
// whatever their number.
func TestConnectionsToTheNodePort(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca, err := authority.New("attack", now, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	caFile, cert, key := certificateOf(t, ca)
	for _, c := range []struct {
		name  string
		flags []string
	}{
		{"TLS", []string{"--tls-ca=" + caFile, "--tls-cert=" + cert, "--tls-key=" + key}},
		{"the shared secret", nil},
		{"insecure", []string{"--insecure"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addr := freeaddr.ForTest(t, 1)[0]
			w := newWorld(t, options{files: files, flags: append([]string{"--node-addr=" + addr}, c.flags...)})
			w.siege(t, func(ctx context.Context) { occupy(ctx, addr, hold, once("")) })
			lasts(t, addr, func(conn net.Conn) net.Conn { return conn })
			w.siege(t, func(ctx context.Context) { occupy(ctx, addr, hold, once("R")) })
		})
	}
}
