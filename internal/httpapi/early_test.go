package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// webhookRequest returns a whole request as LiveKit sends it, with more headers if there are any.
func webhookRequest(body string, headers ...string) string {
	return fmt.Sprintf("POST /api/livekit-webhook HTTP/1.1\r\nHost: rollcall:8080\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\n"+
		"Authorization: %s\r\nContent-Type: application/webhook+json\r\n%s\r\n%s", len(body), goodSign, strings.Join(headers, ""), body)
}

func TestIsWebhook(t *testing.T) {
	whole := webhookRequest("{}")
	for name, c := range map[string]struct {
		read string
		want bool
	}{
		"whole":                       {whole, true},
		"without a body":              {webhookRequest(""), true},
		"other letter case":           {strings.Replace(whole, "Content-Length", "content-length", 1), true},
		"nothing":                     {"", false},
		"another path":                {strings.Replace(whole, "webhook", "webhooks", 1), false},
		"another method":              {strings.Replace(whole, "POST", "PUT", 1), false},
		"a query":                     {strings.Replace(whole, " HTTP", "?a=b HTTP", 1), false},
		"HTTP/1.0":                    {strings.Replace(whole, "HTTP/1.1", "HTTP/1.0", 1), false},
		"a part of the head":          {whole[:len(whole)-10], false},
		"a part of the body":          {whole[:len(whole)-1], false},
		"more than the body":          {whole + "G", false},
		"two requests":                {whole + whole, false},
		"two lengths":                 {webhookRequest("{}", "Content-Length: 3\r\n"), false},
		"a length and chunks":         {webhookRequest("2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n"), false},
		"a body that waits":           {webhookRequest("{}", "Expect: 100-continue\r\n"), false},
		"the last of its connection":  {webhookRequest("{}", "Connection: close\r\n"), false},
		"from a page":                 {webhookRequest("{}", "Origin: https://example.com\r\n"), false},
		"a proxy's headers":           {webhookRequest("{}", "X-Forwarded-For: 192.0.2.1\r\n", "connection: Keep-Alive\r\n"), true},
		"a proxy's other connection":  {webhookRequest("{}", "Connection: keep-alive, Expect\r\n"), false},
		"the same length twice":       {webhookRequest("{}", "Content-Length: 2\r\n"), false},
		"a signed length":             {strings.Replace(whole, "Content-Length: ", "Content-Length: +", 1), false},
		"a name with a space":         {webhookRequest("{}", "Transfer-Encoding : chunked\r\n"), false},
		"a value over two lines":      {webhookRequest("{}", "A: b\r\n", " c\r\n"), false},
		"a line that ends with LF":    {webhookRequest("{}", "A: b\nTransfer-Encoding: chunked\r\n"), false},
		"a header with a broken line": {webhookRequest("{}", "A\r\n"), false},
	} {
		if got := isWebhook([]byte(c.read)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// bytesConn is a connection on which the client has sent all it will send.
type bytesConn struct {
	net.Conn
	sent *bytes.Reader
}

func (c *bytesConn) Read(p []byte) (int, error)     { return c.sent.Read(p) }
func (*bytesConn) Write(p []byte) (int, error)      { return len(p), nil }
func (*bytesConn) Close() error                     { return nil }
func (*bytesConn) SetDeadline(time.Time) error      { return nil }
func (*bytesConn) SetReadDeadline(time.Time) error  { return nil }
func (*bytesConn) SetWriteDeadline(time.Time) error { return nil }
func (*bytesConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*bytesConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }

// oneConn is a listener with a single connection.
type oneConn chan net.Conn

func (l oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (oneConn) Close() error   { return nil }
func (oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// FuzzIsWebhook has net/http's server read what counts as one whole webhook, and checks that it finds that and nothing else.
func FuzzIsWebhook(f *testing.F) {
	whole := webhookRequest("{}")
	for _, read := range []string{whole, whole + whole, whole[:len(whole)-1], webhookRequest("", "A: b\r\n"), webhookRequest("{}", "Content-Length: 2\r\n"),
		webhookRequest("2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n"), webhookRequest("{}", "Content-Length : 0\r\n"), webhookRequest("{}", " continued\r\n"),
		strings.Replace(whole, "\r\n\r\n", "\n\n", 1), strings.Replace(whole, "Host: rollcall:8080", "Host: a b", 1)} {
		f.Add([]byte(read))
	}
	f.Fuzz(func(t *testing.T, read []byte) {
		if !isWebhook(read) {
			return
		}
		requests, bodyBytes := 0, 0
		server := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if requests++; err != nil || r.URL.Path != webhookPath || r.Method != http.MethodPost {
				t.Errorf("%s %s, %v", r.Method, r.URL.Path, err)
			}
			bodyBytes += len(body)
		})}
		conn := &bytesConn{sent: bytes.NewReader(read)}
		ended := make(chan struct{})
		server.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(ended)
			}
		}
		l := make(oneConn, 1)
		l <- conn
		go func() { _ = server.Serve(l) }()
		<-ended
		close(l)
		head := bytes.Index(read, []byte("\r\n\r\n")) + 4
		// The server refuses some heads that isWebhook accepts, such as a Host with a space. Then it reads nothing more either.
		if requests > 0 && (requests != 1 || conn.sent.Len() > 0 || head >= 4 && bodyBytes != len(read)-head) {
			t.Errorf("%d requests, %d bytes of bodies, %d bytes left of %q", requests, bodyBytes, conn.sent.Len(), read)
		}
	})
}

// TestEarlyRefusal overloads a server and compares the refusal of a webhook that net/http reads, because it is longer than its buffer,
// with that of one that it does not read. It checks that the connection serves other requests, and webhooks once there is a slot again.
func TestEarlyRefusal(t *testing.T) {
	r := newRig(t, &node{}, nil)
	conn, err := net.Dial("tcp", serveRig(t, r).String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	from := bufio.NewReader(conn)
	ask := func(request string) (int, http.Header, string) {
		t.Helper()
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, string(body)
	}
	slots := &r.api.hooks.slots
	slots.mu.Lock()
	slots.limit = 0
	slots.mu.Unlock()
	hook := webhookRequest(event("room_started", "EV_1", time.Now()))
	status, header, body := ask(webhookRequest(strings.Repeat(" ", 4096)))
	if date := header.Get("Date"); date == "" || status != http.StatusServiceUnavailable || header.Get("Retry-After") != "4" {
		t.Errorf("status %d, header %v", status, header)
	}
	header.Del("Date")
	early := 0
	for range 10 { // net/http may have read the first byte while it ended the request before; then it reads the rest as well
		status, other, otherBody := ask(hook)
		if other.Get("Date") == "" { // the only difference
			early++
		}
		other.Del("Date")
		if status != http.StatusServiceUnavailable || !reflect.DeepEqual(other, header) || otherBody != body {
			t.Errorf("status %d, header %v, body %q; of the first %v, %q", status, other, otherBody, header, body)
		}
	}
	if early < 5 {
		t.Errorf("net/http read all but %d of 10 webhooks", early)
	}
	if status, _, _ := ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); status != http.StatusOK {
		t.Errorf("another request: %d", status)
	}
	// A body that is itself a webhook is a body, though no handler reads it and it comes by itself.
	outer := webhookRequest(hook)
	if _, err := io.WriteString(conn, strings.Replace(outer[:len(outer)-len(hook)], "webhook", "elsewhere", 1)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if status, header, _ := ask(hook); status != http.StatusNotFound {
		t.Errorf("a webhook within a body: status %d, %v", status, header)
	}
	// A byte that net/http has read already belongs to the request.
	if status, _, _ := ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\nX"); status != http.StatusOK {
		t.Errorf("another request: %d", status)
	}
	time.Sleep(50 * time.Millisecond)
	if status, header, _ := ask(hook); status != http.StatusMethodNotAllowed {
		t.Errorf("a method that ends like POST: status %d, %v", status, header)
	}
	slots.mu.Lock()
	slots.limit = 1
	slots.mu.Unlock()
	if status, _, body := ask(hook); status != http.StatusOK {
		t.Errorf("with a slot: status %d, %s", status, body)
	}
	if n := r.metric(t, "rollcall_webhooks_total", kindUnverified, overloaded); n != 11 {
		t.Errorf("%v counted as overloaded, want 11", n)
	}
	if n := r.metric(t, "rollcall_http_requests_total", webhookPath, "503"); n != 11 {
		t.Errorf("%v requests counted, want 11", n)
	}
}

// TestFewRefusalsAtOnce checks that a webhook that is to be refused waits while as many refusals as may run at once are under way.
func TestFewRefusalsAtOnce(t *testing.T) {
	r := newRig(t, &node{}, nil)
	hooks := r.api.hooks
	hooks.slots.mu.Lock()
	hooks.slots.limit = 0
	hooks.slots.mu.Unlock()
	ours, client := net.Pipe()
	defer ours.Close()
	defer client.Close()
	for range refusalsAtOnce {
		hooks.refusals <- struct{}{}
	}
	go hooks.refuseEarly(ours, []byte(webhookRequest("{}")))
	answered := make(chan error, 1)
	go func() {
		_, err := http.ReadResponse(bufio.NewReader(client), nil)
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("answered while %d refusals are under way: %v", refusalsAtOnce, err)
	case <-time.After(100 * time.Millisecond):
	}
	<-hooks.refusals
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
