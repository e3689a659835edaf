package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// webhookRequest returns a whole request as LiveKit sends it, with more headers if there are any.
func webhookRequest(body string, headers ...string) string {
	return fmt.Sprintf("POST /api/livekit-webhook HTTP/1.1\r\nHost: rollcall:8080\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %d\r\n"+
		"Authorization: %s\r\nContent-Type: application/webhook+json\r\n%s\r\n%s", len(body), goodSign, strings.Join(headers, ""), body)
}

func TestParseWebhook(t *testing.T) {
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
		"no host":                     {strings.Replace(whole, "Host: rollcall:8080\r\n", "", 1), false},
		"two hosts":                   {webhookRequest("{}", "Host: x\r\n"), false},
		"a host with a space":         {strings.Replace(whole, "rollcall:8080", "roll call", 1), false},
		"an empty host":               {strings.Replace(whole, "rollcall:8080", "", 1), false},
		"an address as host":          {strings.Replace(whole, "rollcall:8080", "[::1]:80", 1), true},
		"a header with a broken line": {webhookRequest("{}", "A\r\n"), false},
	} {
		token, body, got := parseWebhook([]byte(c.read))
		if got != c.want || got && (token != goodSign || !strings.HasSuffix(c.read, "\r\n\r\n"+string(body))) {
			t.Errorf("%s: %v, token %q, body %q", name, got, token, body)
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

// FuzzParseWebhook has net/http's server read what counts as one whole webhook, and checks that it finds the same and nothing else.
func FuzzParseWebhook(f *testing.F) {
	whole := webhookRequest("{}")
	for _, read := range []string{whole, whole + whole, whole[:len(whole)-1], webhookRequest("", "A: b\r\n"), webhookRequest("{}", "Content-Length: 2\r\n"),
		webhookRequest("2\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n"), webhookRequest("{}", "Content-Length : 0\r\n"), webhookRequest("{}", " continued\r\n"),
		strings.Replace(whole, "\r\n\r\n", "\n\n", 1), strings.Replace(whole, "Host: rollcall:8080", "Host: a b", 1),
		webhookRequest("{}", "Authorization: other\r\n"), webhookRequest("{}", "authorization:other \t\r\n"), strings.Replace(whole, "Host: rollcall:8080", "Host: [", 1)} {
		f.Add([]byte(read))
	}
	f.Fuzz(func(t *testing.T, read []byte) {
		token, want, ok := parseWebhook(read)
		if !ok {
			return
		}
		requests := 0
		server := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if requests++; err != nil || r.URL.Path != webhookPath || r.Method != http.MethodPost {
				t.Errorf("%s %s, %v", r.Method, r.URL.Path, err)
			}
			if !bytes.Equal(body, want) || oneToken(r.Header) != token {
				t.Errorf("token %q, body %q; net/http has %q and %q", token, want, oneToken(r.Header), body)
			}
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
		if requests != 1 || conn.sent.Len() > 0 {
			t.Errorf("%d requests, %d bytes left of %q", requests, conn.sent.Len(), read)
		}
	})
}

// TestAHeadThatCameInPartIsNoWebhook lets the first lines of a head come with the request before it. What follows is the rest of that head, even if it
// is a whole webhook.
func TestAHeadThatCameInPartIsNoWebhook(t *testing.T) {
	r := newRig(t, &node{}, nil)
	address := serveRig(t, r).String()
	hook := webhookRequest(event("room_started", "EV_1", time.Now()))
	head := "POST /elsewhere HTTP/1.1\r\nHost: x\r\nX-Other: y\r\n"
	for _, limit := range []int64{0, 1} {
		r.api.hooks.slots.mu.Lock()
		r.api.hooks.slots.limit = limit
		r.api.hooks.slots.mu.Unlock()
		for cut := range head {
			if cut > 0 && head[cut-1] != '\n' {
				continue
			}
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			e := &exchange{conn, bufio.NewReader(conn)}
			if status, _, _ := e.ask(t, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"+head[:cut]); status != http.StatusOK {
				t.Errorf("another request: %d", status)
			}
			time.Sleep(50 * time.Millisecond) // net/http reads what it has of the head
			want := http.StatusBadRequest
			switch {
			case cut == 0 && limit == 0:
				want = http.StatusServiceUnavailable
			case cut == 0:
				want = http.StatusOK
			}
			if status, header, _ := e.ask(t, hook); status != want {
				t.Errorf("limit %d, behind %q: status %d, %v, want %d", limit, head[:cut], status, header, want)
			}
			_ = conn.Close()
		}
	}
}

// readDeadlines records the read deadlines that a connection is given.
type readDeadlines struct {
	net.Conn
	at chan time.Time
}

func (d *readDeadlines) SetDeadline(at time.Time) error     { return d.SetReadDeadline(at) }
func (d *readDeadlines) SetReadDeadline(at time.Time) error { d.at <- at; return nil }
func (d *readDeadlines) SetWriteDeadline(time.Time) error   { return nil }

// TestAnEarlyAnswerLengthensNoHead checks that the time that a connection may idle after an early answer is not the time for the next head.
func TestAnEarlyAnswerLengthensNoHead(t *testing.T) {
	theirs, ours := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	d := &readDeadlines{ours, make(chan time.Time, 8)}
	all := newConnections(1, nil)
	c := &tracked{Conn: d, all: all, between: true}
	all.early = func(conn *tracked, read []byte) bool {
		conn.stay(time.Now())
		return string(read) == "webhook"
	}
	go func() {
		_, _ = io.WriteString(theirs, "webhook")
		_, _ = io.WriteString(theirs, "GET ")
	}()
	if n, err := c.Read(make([]byte, emptyBuffer)); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	if left := time.Until(<-d.at); left < idleTimeout-10*time.Second {
		t.Errorf("after an early answer, %v are left", left)
	}
	select {
	case at := <-d.at:
		if left := time.Until(at); left > headerTimeout {
			t.Errorf("a head has %v", left)
		}
	default:
		t.Error("a head has the time that a connection may idle")
	}
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
	e := &exchange{conn, bufio.NewReader(conn)}
	ask := func(request string) (int, http.Header, string) { return e.ask(t, request) }
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
	head := strings.Replace(outer[:len(outer)-len(hook)], "webhook", "elsewhere", 1)
	if status, _, _ := ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + head); status != http.StatusOK {
		t.Errorf("another request: %d", status)
	}
	time.Sleep(100 * time.Millisecond)
	if status, header, _ := ask(hook); status != http.StatusNotFound {
		t.Errorf("a webhook within a body whose head came with the request before: status %d, %v", status, header)
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
	go hooks.refuseEarly(&tracked{Conn: ours, all: r.conns}, []byte(webhookRequest("{}")))
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

// exchange sends requests on one connection, and returns the answers.
type exchange struct {
	net.Conn
	from *bufio.Reader
}

// dial serves a rig and connects to it. read counts the requests that net/http has read.
func dial(t *testing.T, r *rig) (e *exchange, read *atomic.Int64) {
	t.Helper()
	idle, read := &atomic.Bool{}, &atomic.Int64{}
	r.http.ConnState = func(conn net.Conn, state http.ConnState) {
		noteState(conn, state)
		switch state {
		case http.StateActive:
			read.Add(1)
		case http.StateIdle:
			idle.Store(true)
		}
	}
	addr := serveRig(t, r).String()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	e = &exchange{conn, bufio.NewReader(conn)}
	// Only once net/http waits for another request, all of its bytes come at once.
	if status, _, _ := e.ask(t, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for !idle.Load() {
		time.Sleep(time.Millisecond)
	}
	return e, read
}

func (e *exchange) ask(t *testing.T, request string) (status int, header http.Header, body string) {
	t.Helper()
	if _, err := io.WriteString(e, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(e.from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(all)
}

// TestEarlyAnswers sends each kind of webhook so that it is answered early, and again so that net/http reads it, because it is longer than
// its buffer. Answers, metrics and log must be the same.
func TestEarlyAnswers(t *testing.T) {
	good := event("participant_joined", "EV_1", time.Now())
	long := "X-Long: " + strings.Repeat("x", emptyBuffer) + "\r\n"
	for name, c := range map[string]struct {
		request func(more ...string) string
		deliver func(context.Context, reconcile.Event) error
		origins []string
		status  int
	}{
		"committed": {request: func(more ...string) string { return webhookRequest(good, more...) }, status: 200},
		"unknown": {request: func(more ...string) string {
			return webhookRequest(event("egress_started", "EV_1", time.Now()), more...)
		}, status: 200},
		"with origins": {request: func(more ...string) string { return webhookRequest(good, more...) }, origins: []string{"https://example.com"}, status: 200},
		"unsigned": {request: func(more ...string) string {
			return strings.Replace(webhookRequest(good, more...), goodSign, "forged", 1)
		}, status: 401},
		"signed twice": {request: func(more ...string) string {
			return webhookRequest(good, append(more, "Authorization: "+goodSign+"\r\n")...)
		}, status: 401},
		"malformed": {request: func(more ...string) string { return webhookRequest("{", more...) }, status: 400},
		"empty":     {request: func(more ...string) string { return webhookRequest("", more...) }, status: 400},
		"events dropped": {request: func(more ...string) string {
			return webhookRequest(strings.Replace(good, "{", `{"numDropped":1,`, 1), more...)
		}, status: 200},
		"not now": {request: func(more ...string) string { return webhookRequest(good, more...) }, status: 503,
			deliver: func(context.Context, reconcile.Event) error { return errSecret }},
		"expired": {request: func(more ...string) string { return webhookRequest(good, more...) }, status: 401,
			deliver: func(context.Context, reconcile.Event) error { return ErrExpired }},
		"a panic": {request: func(more ...string) string { return webhookRequest(good, more...) }, status: 500,
			deliver: func(context.Context, reconcile.Event) error { panic("deliberate") }},
	} {
		t.Run(name, func(t *testing.T) {
			type outcome struct {
				status int
				header http.Header
				body   string
				log    string
			}
			var got []outcome
			for _, more := range [][]string{nil, {long}} {
				r := newRig(t, &node{deliver: c.deliver}, func(cfg *Config) { cfg.CORSOrigins = c.origins })
				e, read := dial(t, r)
				before := read.Load()
				status, header, body := e.ask(t, c.request(more...))
				if n := read.Load() - before; n != int64(len(more)) {
					t.Fatalf("net/http has read %d requests, want %d", n, len(more))
				}
				if _, err := http.ParseTime(header.Get("Date")); err != nil {
					t.Error(err)
				}
				header.Del("Date")
				for _, again := range []string{"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", webhookRequest(good)} {
					if status, _, _ := e.ask(t, again); status != http.StatusOK && c.deliver == nil {
						t.Errorf("the next request: %d", status)
					}
				}
				if n := r.metric(t, "rollcall_http_requests_total", webhookPath); n != 2 {
					t.Errorf("%v requests counted, want 2", n)
				}
				if n := r.metric(t, "rollcall_webhooks_in_flight"); n != 0 {
					t.Errorf("%v are in flight", n)
				}
				got = append(got, outcome{status, header, body, uniform(r.logs.String())})
			}
			if got[0].status != c.status || !reflect.DeepEqual(got[0], got[1]) {
				t.Errorf("early:\n%+v\nby net/http:\n%+v\nwant status %d", got[0], got[1], c.status)
			}
		})
	}
}

// uniform removes from a log what differs from time to time.
func uniform(log string) string {
	for _, of := range []string{`time=\S+`, `took=\S+`, `peer=\S+`, `stack=".*"`} {
		log = regexp.MustCompile(of).ReplaceAllString(log, "")
	}
	return log
}

// TestShutdownWaitsForEarlyWebhooks checks that a shutdown, to which such a connection is idle, leaves it open until its webhook is answered.
func TestShutdownWaitsForEarlyWebhooks(t *testing.T) {
	for name, within := range map[string]time.Duration{"in time": 10 * time.Second, "too late": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			began, release := make(chan struct{}), make(chan struct{})
			r := newRig(t, &node{deliver: func(context.Context, reconcile.Event) error { close(began); <-release; return nil }}, nil)
			e, read := dial(t, r)
			if _, err := io.WriteString(e, webhookRequest(event("room_started", "EV_1", time.Now()))); err != nil {
				t.Fatal(err)
			}
			<-began
			if read.Load() != 1 {
				t.Fatal("net/http has read the webhook")
			}
			stopped := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), within)
				defer cancel()
				stopped <- r.Shutdown(ctx)
			}()
			time.Sleep(50 * time.Millisecond)
			if within < time.Second {
				if err := <-stopped; !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if _, err := e.from.ReadByte(); err == nil {
					t.Error("the connection is open")
				}
				close(release)
				return
			}
			select {
			case err := <-stopped:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			close(release)
			resp, err := http.ReadResponse(e.from, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK || !resp.Close {
				t.Errorf("status %d, closes: %v", resp.StatusCode, resp.Close)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
			if body, err := io.ReadAll(e.from); err != nil || len(body) == 0 {
				t.Errorf("%q, %v", body, err) // the body, and the end of the connection
			}
		})
	}
}

// deadlines records the write deadline of a connection, and fails writes after it.
type deadlines struct {
	bytesConn
	write  time.Time
	wrote  bytes.Buffer
	closed bool
}

func (d *deadlines) SetDeadline(t time.Time) error      { d.write = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }
func (d *deadlines) Close() error                       { d.closed = true; return nil }
func (d *deadlines) Write(p []byte) (int, error) {
	if !d.write.IsZero() && !time.Now().Before(d.write) {
		return 0, os.ErrDeadlineExceeded
	}
	return d.wrote.Write(p)
}

// TestDeadlinesOfEarlyAnswers checks that an answer has time however long ago the last one was, that nobody holds a connection by not fetching
// answers, and that the deadline for that does not end a longer answer that net/http writes on the same connection.
func TestDeadlinesOfEarlyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, &node{deliver: func(context.Context, reconcile.Event) error { time.Sleep(3 * time.Second); return nil }}, nil)
		hook := webhookRequest(event("room_started", "EV_1", time.Now()))
		d := &deadlines{bytesConn: bytesConn{sent: bytes.NewReader(nil)}}
		c, buffer := r.conns.add(d), make([]byte, emptyBuffer)
		c.used = true
		read := func(request string) (int, error) {
			d.wrote.Reset()
			d.sent.Reset([]byte(request))
			return c.Read(buffer)
		}
		for range 3 {
			if _, err := read(hook); !errors.Is(err, io.EOF) || !strings.HasSuffix(d.wrote.String(), success+"\n") || d.closed {
				t.Fatalf("%v, closed %v, it wrote %q", err, d.closed, d.wrote.String())
			}
			if left := time.Until(d.write); left > idleTimeout || left < idleTimeout-10*time.Second {
				t.Errorf("it has %v", left)
			}
			time.Sleep(time.Until(d.write) - time.Second) // the next one is committed after the deadline that was set with this one
		}
		if n, err := read("GET /"); n != 5 || err != nil || !d.write.IsZero() {
			t.Errorf("%d, %v; the deadline is %v", n, err, d.write)
		}
	})
}

// failing is a connection that accepts half of what is written.
type failing struct {
	deadlines
}

func (f *failing) Write(p []byte) (int, error) {
	n, _ := f.deadlines.Write(p[:len(p)/2])
	return n, os.ErrDeadlineExceeded
}

// TestAnEarlyAnswerThatIsCutOff checks that no other answer follows a part of one.
func TestAnEarlyAnswerThatIsCutOff(t *testing.T) {
	r := newRig(t, &node{}, nil)
	for name, full := range map[string]bool{"an answer": false, "a refusal": true} {
		if full {
			r.api.hooks.slots.limit = 0
		}
		f := &failing{deadlines{bytesConn: bytesConn{sent: bytes.NewReader([]byte(webhookRequest(event("room_started", "EV_1", time.Now()))))}}}
		c := r.conns.add(f)
		c.used = true
		if _, err := c.Read(make([]byte, emptyBuffer)); !errors.Is(err, io.EOF) || f.wrote.Len() == 0 || !f.closed {
			t.Errorf("%s: %v, %d bytes, closed %v", name, err, f.wrote.Len(), f.closed)
		}
	}
}
