package httpapi

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestUnfinishedHTTP2 begins a part of HTTP/2 and does not complete it. The connection must end within the time for headers
// although some bytes continue to arrive; a connection with nothing incomplete must stay.
func TestUnfinishedHTTP2(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, "first.example")
	r := newRig(t, &node{}, func(c *Config) { c.TLSCert, c.TLSKey = cert, key })
	addr := serveRig(t, r).String()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", "/livez"}} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			t.Fatal(err)
		}
	}
	frames := func(do func(f *http2.Framer) error) []byte {
		var b bytes.Buffer
		b.WriteString(http2.ClientPreface)
		f := http2.NewFramer(&b, nil)
		if err := errors.Join(f.WriteSettings(), do(f)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	trickle := frames(func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes()[:1]})
	})
	for name, tt := range map[string]struct {
		begin []byte
		more  []byte // sent every second
		stays bool
	}{
		"nothing":                   {},
		"half a preface":            {begin: []byte(http2.ClientPreface[:10])},
		"half a frame":              {begin: frames(func(*http2.Framer) error { return nil })[:len(http2.ClientPreface)+4]},
		"a header block":            {begin: trickle},
		"a header block that grows": {begin: trickle, more: []byte{0, 0, 0, byte(http2.FrameContinuation), 0, 0, 0, 0, 1}},
		"a whole request": {begin: frames(func(f *http2.Framer) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		}), stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			start := time.Now()
			if _, err := conn.Write(tt.begin); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, conn)
				ended <- err
			}()
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			const much = headerTimeout + 4*time.Second // with the fault it took twelve seconds
			for {
				select {
				case <-ended:
					if tt.stays {
						t.Error("it was ended")
					}
					return
				case <-tick.C:
					if tt.more != nil {
						_, _ = conn.Write(tt.more)
					}
					if time.Since(start) > much {
						if !tt.stays {
							t.Errorf("it is still open after %v", much)
						}
						return
					}
				}
			}
		})
	}
}

// overHTTP2 starts a node with a certificate, and returns its URL and a client that speaks HTTP/2 with it.
func overHTTP2(t *testing.T, limits Limits) (r *rig, base string, client *http.Client) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, "first.example")
	r = newRig(t, &node{}, func(c *Config) { c.TLSCert, c.TLSKey, c.Limits = cert, key, limits })
	base = "https://" + serveRig(t, r).String()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return r, base, &http.Client{Transport: transport}
}

// TestQuietEventsOverHTTP2 checks that a stream without events lasts: HTTP/2 ends a stream whose deadline for writing passes while it is idle.
func TestQuietEventsOverHTTP2(t *testing.T) {
	r, base, client := overHTTP2(t, Limits{Heartbeat: 100 * time.Millisecond})
	resp, err := client.Get(base + "/api/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Fatalf("%s %s", resp.Proto, resp.Status)
	}
	lines, beats := bufio.NewReader(resp.Body), 0
	for beats < 10 {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("after %d beats: %v", beats, err)
		}
		if line == ":\n" {
			beats++
		}
	}
	r.api.hub.close()
	if rest, err := io.ReadAll(lines); err != nil || !strings.Contains(string(rest), ": this node stops: connect to another\n") {
		t.Errorf("the stream ends with %v after %q", err, rest)
	}
}

// TestStrangersShareRequests opens many requests on one connection. Strangers get an answer without a body once too many are open; a caller whose
// token was accepted goes on.
func TestStrangersShareRequests(t *testing.T) {
	const limit = 32
	all := newConnections(limit, nil)
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	end := make(chan struct{})
	inside := make(chan struct{})
	handler := counting(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		inside <- struct{}{}
		<-end
	}))
	var calls sync.WaitGroup
	open := func(c *tracked) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/", nil)
		r = r.WithContext(withConn(r.Context(), c))
		w, refused := httptest.NewRecorder(), make(chan struct{})
		calls.Go(func() {
			defer close(refused)
			handler.ServeHTTP(w, r)
		})
		select {
		case <-inside:
			return nil
		case <-refused:
			return w
		}
	}
	one, two, caller := all.add(ours), all.add(theirs), all.add(ours)
	for n := range 1 + limit/moreStrangers {
		if open(one) != nil {
			t.Fatalf("request %d is refused", n)
		}
	}
	if w := open(one); w == nil || w.Code != http.StatusServiceUnavailable || w.Body.Len() > 0 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("one too many gets %+v", w)
	}
	if open(two) != nil {
		t.Error("the first request of another connection is refused")
	}
	if open(two) == nil {
		t.Error("the second request of another connection is not refused")
	}
	caller.trust()
	for range limit {
		if open(caller) != nil {
			t.Error("a caller's request is refused")
		}
	}
	one.trust()
	if all.more != 0 || open(two) != nil {
		t.Errorf("strangers hold %d after one of them is none", all.more)
	}
	close(end)
	calls.Wait()
	if all.more != 0 {
		t.Errorf("strangers hold %d after all requests", all.more)
	}
}
