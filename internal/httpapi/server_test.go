package httpapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/reconcile"
)

// pipes is a listener without sockets, for synctest bubbles.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return local{c}, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:1"))
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// local is a pipe whose address is that of this machine.
type local struct{ net.Conn }

func (local) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:2"))
}

// serve serves r on pipes and returns a client; the returned function stops the server.
func (r *rig) serve(t *testing.T) (*http.Client, func()) {
	l := newPipes()
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	transport := &http.Transport{DialContext: l.dial, ExpectContinueTimeout: time.Second}
	return &http.Client{Transport: transport}, func() {
		transport.CloseIdleConnections()
		if err := r.Shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
}

func post(t *testing.T, c *http.Client, path string, body io.Reader) *http.Response {
	t.Helper()
	req, err := http.NewRequest("POST", "http://localhost"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if path == "/api/livekit-webhook" {
		req.Header.Set("Authorization", goodSign)
	}
	req.Header.Set("Expect", "100-continue")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp
}

// TestSlowBodies checks that a body that never ends costs its sender five seconds, and the node no more, on any endpoint.
func TestSlowBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &node{}, nil)
		client, stop := r.serve(t)
		defer stop()
		for path, status := range map[string]int{"/api/livekit-webhook": 503, "/api/sync-rooms": 408, "/nowhere": 404} {
			body, end := io.Pipe()
			go io.WriteString(end, `{"event":`)
			start := time.Now()
			resp := post(t, client, path, body)
			if resp.StatusCode != status || time.Since(start) > 5*time.Second {
				t.Errorf("%s: %d after %v", path, resp.StatusCode, time.Since(start))
			}
			end.Close()
		}
		time.Sleep(6 * time.Second) // the bubble's clock: until the server gives up on the bodies that nobody reads
		synctest.Wait()
		if r.metric(t, "rollcall_webhooks_total", tooSlow) != 1 || r.metric(t, "rollcall_webhook_body_bytes") != 0 {
			t.Error("the slow webhook is not accounted for")
		}
	})
}

// TestDeadlinesEndWithTheirRequest checks that a connection continues to serve after a commit that outlasts the deadline of
// the body.
func TestDeadlinesEndWithTheirRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{acting: func(ctx context.Context) {
			select {
			case <-time.After(3 * time.Minute):
			case <-ctx.Done():
			}
		}}
		client, stop := newRig(t, n, nil).serve(t)
		defer stop()
		for range 2 {
			if resp := post(t, client, "/api/sync-rooms", strings.NewReader(`{"action":"sync"}`)); resp.StatusCode != 200 {
				t.Errorf("a long action: %d", resp.StatusCode)
			}
			body := event("room_started", "EV_1", time.Now())
			if resp := post(t, client, "/api/livekit-webhook", strings.NewReader(body)); resp.StatusCode != 200 {
				t.Errorf("a webhook: %d", resp.StatusCode)
			}
			time.Sleep(70 * time.Second) // idle for longer than the time to fetch an answer
		}
	})
}

func TestShutdownWaitsForWebhooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{deliver: func(ctx context.Context, _ reconcile.Event) error {
			time.Sleep(2 * time.Second)
			return ctx.Err()
		}}
		r := newRig(t, n, nil)
		client, stop := r.serve(t)
		answer := make(chan int, 1)
		go func() {
			answer <- post(t, client, "/api/livekit-webhook", strings.NewReader(event("room_started", "EV_1", time.Now()))).StatusCode
		}()
		synctest.Wait()
		start := time.Now()
		stop()
		if code := <-answer; code != 200 || time.Since(start) < 2*time.Second {
			t.Errorf("the webhook in flight got %d after %v", code, time.Since(start))
		}
		if _, err := client.Get("http://localhost/livez"); err == nil {
			t.Error("still accepting")
		}
		client.CloseIdleConnections()
	})
}

func TestShutdownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{acting: func(context.Context) { time.Sleep(time.Hour) }} // ignores its context
		r := newRig(t, n, nil)
		go r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Shutdown(ctx); err == nil {
			t.Error("no error for an action that goes on")
		}
		time.Sleep(time.Hour)
	})
}

func TestDrainAndReady(t *testing.T) {
	n := &node{}
	r := newRig(t, n, nil)
	want(t, r.ask("GET", "/readyz", ""), 200, `{"status":"ready"}`)
	n.readyErr = errSecret
	want(t, r.ask("GET", "/readyz", "", from("203.0.113.9:1", "rollcall.example")), 503, `{"error":"Not ready"}`)
	n.readyErr = nil
	r.Drain()
	want(t, r.ask("GET", "/readyz", ""), 503, `{"error":"Draining"}`)
	want(t, r.ask("GET", "/livez", ""), 200, `{"status":"ok"}`)
	want(t, r.hook(event("room_started", "EV_1", time.Now())), 200, success)
	want(t, r.ask("GET", "/version", ""), 200, `{"version":"v1.2.3","go":"go1.26"}`)
}

func TestMethods(t *testing.T) {
	r := newRig(t, &node{}, nil)
	for path, allow := range map[string]string{"/api/livekit-webhook": "POST", "/api/sync-rooms": "GET, HEAD, POST",
		"/api/rooms/x": "GET, HEAD", "/api/rooms": "GET, HEAD", "/api/check-match": "GET, HEAD", "/livez": "GET, HEAD", "/": "GET, HEAD"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			w := r.ask(method, path, "{}")
			refused := w.Code == http.StatusMethodNotAllowed
			if allowed := strings.Contains(allow, method); allowed == refused {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
			if refused && w.Header().Get("Allow") != allow {
				t.Errorf("%s %s: Allow %q", method, path, w.Header().Get("Allow"))
			}
			if refused && method != "HEAD" {
				want(t, w, 405, `{"error":"Method not allowed here"}`)
			}
			if method == "HEAD" && w.Body.Len() != 0 {
				t.Errorf("HEAD %s has a body", path)
			}
			kept := "no-store"
			if path == "/" && !refused {
				kept = "no-cache" // the page is revalidated, and has an ETag
			}
			for name, value := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": kept} {
				if w.Header().Get(name) != value {
					t.Errorf("%s %s lacks %s", method, path, name)
				}
			}
		}
	}
}

func TestRoutesAreCountedByPattern(t *testing.T) {
	r := newRig(t, &node{}, nil)
	for _, path := range []string{"/api/rooms/one", "/api/rooms/two", "/api/rooms?name=three", "/a", "/b"} {
		r.ask("GET", path, "")
	}
	if r.metric(t, "rollcall_http_requests_total", roomPattern, "404") != 3 || r.metric(t, "rollcall_http_requests_total", elsewhere) != 2 {
		t.Error("not counted by pattern")
	}
	for _, name := range []string{"one", "two", "three"} {
		if strings.Contains(r.logs.String(), name) {
			t.Errorf("the access log holds the name %q", name)
		}
	}
}

func TestTLSReadsAChangedCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, "first.example")
	r := newRig(t, &node{}, func(c *Config) { c.TLSCert, c.TLSKey = cert, key })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	resp, err := client.Get("https://" + l.Addr().String() + "/livez")
	if err != nil || resp.StatusCode != 200 || resp.ProtoMajor != 2 || resp.TLS.PeerCertificates[0].Subject.CommonName != "first.example" {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	client.CloseIdleConnections()
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func writePair(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	n := &node{}
	ports := n.ports()
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	if _, err := New(Config{Log: log, Registry: reg}, Ports{}); err == nil {
		t.Error("no ports")
	}
	if _, err := New(Config{}, ports); err == nil {
		t.Error("no log")
	}
	if _, err := New(Config{Log: log, Registry: prometheus.NewRegistry(), TLSCert: "none.pem", TLSKey: "none.key"}, ports); err == nil {
		t.Error("no certificate")
	}
	if _, err := New(Config{Log: log, Registry: reg}, ports); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{Log: log, Registry: reg}, ports); err == nil {
		t.Error("twice the same metrics")
	}
}

// TestSlowReaders checks that a client that does not fetch the answer loses the connection after Limits.Stall, and that its
// memory is freed.
func TestSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{}
		n.put("large", `[]`, `{"x":"`+strings.Repeat("x", 1<<20)+`"}`)
		r, l := newRig(t, n, nil), newPipes()
		served := make(chan error, 1)
		go func() { served <- r.Serve(l) }()
		conn, err := l.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		start := time.Now()
		if _, err := io.WriteString(conn, "GET /api/rooms/large HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := r.Shutdown(context.Background()); err != nil || <-served != nil {
			t.Errorf("shutdown: %v", err)
		}
		if took := time.Since(start); took < 9*time.Second || took > 12*time.Second || r.api.answers.held() != 0 {
			t.Errorf("the connection ended after %v", took)
		}
	})
}
