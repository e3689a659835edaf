package attack

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw sends bytes on a connection and returns everything that comes back until the node closes it or the deadline passes.
func (w *world) raw(t *testing.T, text string) string {
	t.Helper()
	conn := w.dial()
	if conn == nil {
		t.Fatal("no connection")
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, text)
	if c, ok := conn.(*net.TCPConn); ok && !strings.Contains(text, "Connection: close") {
		_ = c.CloseWrite() // so that a kept-alive connection ends; this may also cancel the request
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	raw, _ := io.ReadAll(conn)
	return string(raw)
}

// TestSmuggling checks that requests whose end two servers may disagree on are refused, and that nothing after them is taken for
// another request.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.people("mine", "ada")
	const inner = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
	head := "POST /api/sync-rooms HTTP/1.1\r\nHost: x\r\n"
	for name, text := range map[string]string{
		"two lengths":             head + "Content-Length: 0\r\nContent-Length: 38\r\n\r\n" + inner,
		"a list of lengths":       head + "Content-Length: 0, 38\r\n\r\n" + inner,
		"a signed length":         head + "Content-Length: +0\r\n\r\n" + inner,
		"a negative length":       head + "Content-Length: -1\r\n\r\n" + inner,
		"a length in hex":         head + "Content-Length: 0x0\r\n\r\n" + inner,
		"two encodings":           head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner,
		"an unknown encoding":     head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + inner,
		"a hidden encoding":       head + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + inner,
		"a folded encoding":       head + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 43\r\n\r\n0\r\n\r\n" + inner,
		"space before the colon":  head + "Content-Length : 38\r\n\r\n" + inner,
		"a folded header":         head + "X: a\r\n Content-Length: 0\r\nContent-Length : 1\r\n\r\n" + inner,
		"a chunk of wrong length": head + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + inner,
		"a chunk with a sign":     head + "Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n" + inner,
		"a chunk that overflows":  head + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n" + inner,
		"a null in a header":      head + "X: a\x00b\r\n\r\n" + inner,
		"no host":                 "GET /livez HTTP/1.1\r\n\r\n" + inner,
		"two hosts":               "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + inner,
		"a host with a space":     "GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n" + inner,
		"a method of two words":   "GET /livez /api/rooms HTTP/1.1\r\nHost: x\r\n\r\n" + inner,
		"HTTP/1.9":                "GET /livez HTTP/3.0\r\nHost: x\r\n\r\n" + inner,
		"not HTTP":                "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + inner,
	} {
		t.Run(name, func(t *testing.T) {
			got := w.raw(t, text)
			if strings.Contains(got, `"version":`) {
				t.Errorf("a second request was found in\n%q\nanswered with\n%s", text, got)
			}
			if strings.Contains(got, "HTTP/1.1 200") {
				t.Errorf("answered with\n%s", got)
			}
		})
	}
	t.Run("both lengths", func(t *testing.T) { // RFC 9112 lets a server read it as chunked; then it must close
		got := w.raw(t, head+"Content-Length: 43\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+inner)
		if strings.Contains(got, `"version":`) {
			t.Errorf("a second request was found: %s", got)
		}
	})
	t.Run("bare line feeds", func(t *testing.T) {
		got := w.raw(t, "GET /livez HTTP/1.1\nHost: x\nX: a\rContent-Length: 38\n\n"+inner)
		if strings.Count(got, "HTTP/1.1 ") > 2 {
			t.Errorf("more answers than requests: %s", got)
		}
	})
}

// TestPaths checks that no spelling of a path reaches what its token does not allow, or the page's directory.
func TestPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.people("mine", "ada")
	w.people("other", "bob")
	mod := moderator(t, "mine")
	for _, path := range []string{
		"/api/rooms/other", "/api/rooms/mine/../other", "/api/rooms/mine%2f..%2fother", "/api/rooms/mine/%2e%2e/other", "/api/rooms//other",
		"/api/rooms/./other", "/api/rooms/mine;/other", "/api/rooms/other;mine", "/api/rooms/other%00mine", "/api/rooms/other?room=mine",
		"/api/rooms/other?name=", "/api/rooms?name=other&name=mine", "/api/rooms?name=mine%00&name=other",
		"/api/rooms/other/timeline", "/api/rooms/timeline?name=other&room=mine", "/api/rooms/other/livekit", "/api/rooms/livekit?name=other",
		"/api/events", "/api/events?room=other", "/api/events?room=other&room=mine", "/api/events?ROOM=mine", "/api/events?room[]=mine",
		"/api/events/?room=mine", "//api/rooms/other", "/API/rooms/other", "/api/rooms/OTHER", "/api/check-match?room=mine",
		"/api/rooms/mine/../../check-match", "/..;/api/rooms/other", "/api/rooms/mine%252f..%252fother", "/api\\rooms\\other",
		"/../../../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/static/../../../etc/passwd", "/.git/config",
		"/debug/pprof/", "/debug/vars", "/api/cluster/", "/metrics/", "/metrics?room=mine",
	} {
		got := w.raw(t, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer "+mod+"\r\n\r\n")
		if strings.Contains(got, " 200 ") || strings.Contains(got, "bob") || strings.Contains(got, "root:") {
			t.Errorf("%s: %.300s", path, got)
		}
	}
	for _, line := range []string{ // the last of two rooms never wins, and the authority in the request line is not another host
		"GET http://localhost/api/rooms/other HTTP/1.1", "GET http://other:80/api/rooms HTTP/1.1", "OPTIONS * HTTP/1.1", "CONNECT localhost:80 HTTP/1.1",
		"TRACE /api/rooms HTTP/1.1", "PUT /api/sync-rooms HTTP/1.1", "DELETE /api/rooms/mine HTTP/1.1", "PATCH /api/cluster HTTP/1.1", "get /api/rooms HTTP/1.1",
	} {
		if got := w.raw(t, line+"\r\nHost: localhost\r\nConnection: close\r\n\r\n"); strings.Contains(got, `"rooms"`) || strings.Contains(got, "bob") {
			t.Errorf("%s: %.300s", line, got)
		}
	}
	for _, header := range []string{"X-HTTP-Method-Override", "X-Original-Url", "X-Rewrite-Url", "X-Forwarded-Prefix"} {
		a := w.ask(http.MethodGet, "/livez", mod, "", http.Header{header: {"/api/rooms/other"}})
		if err := a.is(200); err != nil || strings.Contains(a.body, "bob") {
			t.Errorf("%s: %v %s", header, err, a.body)
		}
	}
	for _, name := range []string{"x%0d%0aInjected:%201", "x%0aInjected:1", "%e2%80%a8Injected"} {
		if got := w.raw(t, rawGet("/api/rooms/"+name, adminToken, "Connection: close")); strings.Contains(got, "\nInjected") {
			t.Errorf("a header was made by the path: %s", got)
		}
	}
}
