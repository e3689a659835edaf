package livekit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/proto"

	"github.com/rollcallhq/rollcall/internal/crash"
)

// newClient returns a client of a server that runs handler, and closes both with the test.
func newClient(t *testing.T, handler http.HandlerFunc, change func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return clientOf(t, server.URL, change)
}

func clientOf(t *testing.T, host string, change func(*Options)) *Client {
	t.Helper()
	opts := Options{Host: host, Key: testKey, Secret: testSecret}
	if change != nil {
		change(&opts)
	}
	c, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func answer(w http.ResponseWriter, m proto.Message) {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/protobuf")
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	_, _ = w.Write(b)
}

// TestLyingAnswers wants an error, and never an empty list, for each answer that is not certainly LiveKit's, from both lists.
func TestLyingAnswers(t *testing.T) {
	typed := func(kind string, status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	cases := map[string]struct {
		handler http.HandlerFunc
		words   string
		want    Outcome
	}{
		"empty 200 of no type":    {func(http.ResponseWriter, *http.Request) {}, "something else than LiveKit", Failed},
		"empty 200 HTML":          {typed("text/html", 200, ""), "text/html", Failed},
		"a portal's page":         {typed("text/html; charset=utf-8", 200, "<html>log in</html>"), "text/html", Failed},
		"JSON":                    {typed("application/json", 200, "{}"), "application/json", Failed},
		"other protobuf":          {typed("application/protobuf-x", 200, ""), "protobuf-x", Failed},
		"rubbish as protobuf":     {typed("application/protobuf", 200, "<html>"), "not the protobuf of a list", Failed},
		"no content":              {typed("application/protobuf", 204, ""), "204", Failed},
		"redirect":                {redirect, "302", Failed},
		"unauthorized":            {typed("text/plain", 401, "invalid token"), "API key", Refused},
		"permission denied":       {typed("application/json", 403, `{"code":"permission_denied","msg":"no"}`), "API key", Refused},
		"unavailable":             {typed("application/json", 503, `{"code":"unavailable","msg":"no response from servers"}`), "no response from servers", Unavailable},
		"gateway":                 {typed("text/html", 502, "<html>"), "502", Unavailable},
		"not found":               {typed("text/html", 404, "<html>"), "no RoomService", Failed},
		"long words":              {typed("application/json", 500, `{"code":"internal","msg":"`+strings.Repeat("x", 9000)+`"}`), "xxx", Failed},
		"endless words":           {typed("application/json", 500, strings.Repeat("x", maxRefusal*4)), "500", Failed},
		"exhausted without a 429": {typed("application/json", 403, `{"code":"resource_exhausted","msg":"slow down"}`), "limit", Limited},
		"a proxy's not found":     {typed("application/json", 404, `{"error":"not found"}`), "no RoomService", Failed},
		"a proxy's unavailable":   {typed("text/plain", 503, "no healthy upstream"), "503", Unavailable},
		"cut":                     {cut, "unexpected EOF", Failed},
		"no length":               {said("\r\n"), "how long", Failed},
		"encoded":                 {said("Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"), "encoded", Failed},
		"cut within a length":     {typed("application/protobuf", 200, "\x0a"), "unexpected EOF", Failed},
		"cut within an entry":     {typed("application/protobuf", 200, "\x0a\x05ab"), "unexpected EOF", Failed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var seen Outcome
			client := newClient(t, c.handler, func(o *Options) {
				o.Observe = func(r Request) { seen = r.Outcome }
				o.Timeout = 30 * time.Second
			})
			ctx := t.Context()
			if c.want == Limited { // otherwise it would retry for a long time
				short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
				defer cancel()
				ctx = short
			}
			rooms, err := client.ListRooms(ctx)
			if err == nil || rooms.Names != nil || !strings.Contains(err.Error(), c.words) || len(err.Error()) > 600 {
				t.Errorf("ListRooms: %v, %v; want words of %q", rooms, err, c.words)
			}
			if seen != c.want {
				t.Errorf("outcome %q, want %q", seen, c.want)
			}
			if c.want == Limited {
				return
			}
			if list, err := client.Participants(t.Context(), "r"); err == nil || list.Active != nil {
				t.Errorf("Participants: %v, %v", list, err)
			}
			if list, _ := client.Participants(t.Context(), "r"); list.NoRoom {
				t.Error("somebody else's words are taken for LiveKit's")
			}
			if listed, err := client.Listed(t.Context(), []string{"r"}); err == nil || listed.Rooms != nil {
				t.Errorf("Listed: %v, %v", listed, err)
			}
		})
	}
}

// redirect would end in an empty list if the client followed it.
func redirect(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/portal" {
		answer(w, &livekit.ListRoomsResponse{})
		return
	}
	http.Redirect(w, r, "/portal", http.StatusFound)
}

func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/protobuf")
	w.Header().Set("Content-Length", "100")
	_, _ = w.Write([]byte{0x0a, 0x00})
}

// said answers 200 with these header lines and closes the connection.
func said(header string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\nConnection: close\r\n"+header)
		_ = conn.Close()
	}
}

// TestACrashOfARequestIsItsError checks that an answer that the client cannot handle is an error of that request, and is counted.
func TestACrashOfARequestIsItsError(t *testing.T) {
	contained := 0
	client := clientOf(t, "livekit.test", func(o *Options) {
		o.Contained = func() { contained++ }
		o.Transport = roundTrip(func(*http.Request) (*http.Response, error) { panic("a bug") })
	})
	if _, err := client.Participants(t.Context(), "r"); !errors.Is(err, crash.Err) || contained == 0 {
		t.Errorf("%v, %d crashes are counted", err, contained)
	}
}

func TestStates(t *testing.T) {
	var people []*livekit.ParticipantInfo
	for state := range livekit.ParticipantInfo_State(6) { // 4 and 5 are states of a newer server
		people = append(people, &livekit.ParticipantInfo{Sid: "PA", Identity: state.String(), State: state, JoinedAt: 7})
	}
	client := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, &livekit.ListParticipantsResponse{Participants: people})
	}, nil)
	list, err := client.Participants(t.Context(), "r")
	if err != nil || len(list.Active) != 1 || list.Active[0].Identity != "ACTIVE" || list.Active[0].JoinedAt != 7000 || list.Waiting != 4 {
		t.Errorf("got %+v, %v", list, err)
	}
}

// TestNamesThatLiveKitCannotHave uses names from keys that others wrote. Such rooms are absent, and they do not affect the request for other
// rooms.
func TestNamesThatLiveKitCannotHave(t *testing.T) {
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/ListParticipants") {
			t.Error("asks for the participants of such a room")
		}
		answer(w, &livekit.ListRoomsResponse{Rooms: []*livekit.Room{{Name: "a", Sid: "RM_a", CreationTime: 1}}})
	}, nil)
	listed, err := client.Listed(t.Context(), []string{"", "a", "\xff"})
	if err != nil || len(listed.Rooms) != 1 || len(listed.Rooms["a"]) != 1 || listed.Rooms["a"][0].SID != "RM_a" {
		t.Errorf("got %+v, %v", listed, err)
	}
	for _, name := range []string{"", "\xff"} {
		if list, err := client.Participants(t.Context(), name); err != nil || len(list.Active) != 0 || list.Waiting != 0 {
			t.Errorf("%q: %+v, %v", name, list, err)
		}
	}
}

// TestListedInParts also checks that a call without names sends no request: to LiveKit it would mean all rooms.
func TestListedInParts(t *testing.T) {
	var calls, running, most atomic.Int32
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		var req livekit.ListRoomsRequest
		if body, err := io.ReadAll(r.Body); err != nil || proto.Unmarshal(body, &req) != nil || len(req.Names) == 0 || len(req.Names) > namesPerRequest {
			t.Errorf("asked for %d names", len(req.Names))
		}
		m := &livekit.ListRoomsResponse{Rooms: []*livekit.Room{{Name: "not asked for", Sid: "RM_0"}}}
		for i, name := range req.Names {
			if i%2 == 0 {
				m.Rooms = append(m.Rooms, &livekit.Room{Name: name, Sid: "RM_" + name, CreationTime: 1, CreationTimeMs: 1234})
			}
		}
		answer(w, m)
	}, func(o *Options) { o.Concurrency = 2 })
	if listed, err := client.Listed(t.Context(), nil); err != nil || len(listed.Rooms) != 0 || calls.Load() != 0 {
		t.Errorf("no names: %v, %v, %d calls", listed, err, calls.Load())
	}
	names := make([]string, 950)
	for i := range names {
		names[i] = fmt.Sprintf("r%d", i)
	}
	listed, err := client.Listed(t.Context(), names)
	r2 := listed.Rooms["r2"]
	if err != nil || len(listed.Rooms) != 475 || len(r2) != 1 || r2[0].SID != "RM_r2" || r2[0].CreatedMs != 1234 {
		t.Errorf("%d listed, %+v, %v", len(listed.Rooms), r2, err)
	}
	if calls.Load() != 10 || most.Load() > 2 {
		t.Errorf("%d calls, %d at once", calls.Load(), most.Load())
	}
}

// TestConnections checks that as many connections are kept as may be in use at once.
func TestConnections(t *testing.T) {
	const n = 8
	var opened atomic.Int32
	full := make(chan struct{}, n)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		full <- struct{}{}
		for len(full) < n && r.Context().Err() == nil { // wait until all are in use at once
			runtime.Gosched()
		}
		answer(w, &livekit.ListParticipantsResponse{})
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := clientOf(t, server.URL, func(o *Options) { o.Concurrency, o.Timeout = n, 30*time.Second })
	for round := range 3 {
		var group sync.WaitGroup
		for range n {
			group.Go(func() {
				if _, err := client.Participants(t.Context(), "r"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if opened.Load() > n {
			t.Fatalf("round %d: %d connections were opened", round, opened.Load())
		}
		for range n {
			<-full
		}
	}
}

func TestTimeout(t *testing.T) {
	stop := make(chan struct{})
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}
	halfway := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/protobuf")
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte{0x0a})
		_ = http.NewResponseController(w).Flush()
		hang(w, r)
	}
	for name, handler := range map[string]http.HandlerFunc{"no answer": hang, "half an answer": halfway} {
		var seen Request
		client := newClient(t, handler, func(o *Options) {
			o.Timeout = 50 * time.Millisecond
			o.Observe = func(r Request) { seen = r }
		})
		_, err := client.ListRooms(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 50ms") || seen.Outcome != TimedOut {
			t.Errorf("%s: %v, %+v", name, err, seen)
		}
		patient := newClient(t, handler, func(o *Options) {
			o.Timeout = time.Minute
			o.Observe = func(r Request) { seen = r }
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := patient.Participants(ctx, "r"); !errors.Is(err, context.Canceled) || seen.Outcome != Canceled {
			t.Errorf("%s, canceled: %v, %+v", name, err, seen)
		}
	}
	close(stop)
}

func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for _, c := range []struct{ host, words string }{
		{server.URL, "connection refused"},
		{secure.URL, "certificate signed by unknown authority"},
		{strings.Replace(plain.URL, "http:", "https:", 1), "HTTP response to HTTPS client"},
	} {
		_, err := clientOf(t, c.host, nil).ListRooms(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), c.host) {
			t.Errorf("%s: %v", c.host, err)
		}
		t.Log(err)
	}
}

// TestNoSecrets provokes all failures and reads everything that was logged or returned.
func TestNoSecrets(t *testing.T) {
	var said bytes.Buffer
	var calls atomic.Int32
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader([]int{401, 429, 500, 200}[calls.Add(1)%4])
	}, func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(&said, nil)) })
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := client.ListRooms(ctx)
		cancel()
		fmt.Fprintf(&said, "%v\n%+v\n", err, err)
	}
	if strings.Contains(said.String(), testSecret) || strings.Contains(said.String(), "eyJ") {
		t.Errorf("a secret or token is said: %s", said.String())
	}
	for _, opts := range []Options{{}, {Host: "h", Secret: testSecret}, {Host: "h", Key: "k"}, {Host: "ftp://h", Key: "k", Secret: testSecret},
		{Host: "h", Key: "k", Secret: testSecret, Rate: -1}, {Host: "h", Key: "k", Secret: testSecret, Concurrency: -1}} {
		if _, err := New(opts); err == nil || strings.Contains(err.Error(), testSecret) {
			t.Errorf("New: %v", err)
		}
	}
}
