package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// scripted serves one script after another as streams of events, and records the requests.
type scripted struct {
	scripts []func(http.ResponseWriter, *http.Request)
	asked   []string
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.URL.RawQuery+" "+r.Header.Get("Last-Event-ID"))
	next := s.scripts[0]
	if len(s.scripts) > 1 {
		s.scripts = s.scripts[1:]
	}
	next(w, r)
}

func says(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte(text))
	}
}

func refuses(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"error":"no"}`))
	}
}

// TestEventsGoOn checks that the stream continues after the last change, whatever breaks, and that every kind of event is
// decoded.
func TestEventsGoOn(t *testing.T) {
	large := strings.Repeat("x", 100_000) // longer than a buffer
	s := &scripted{scripts: []func(http.ResponseWriter, *http.Request){
		says("id: 7-0\n\n"),
		says(": hello\n\nevent: leader\ndata: {\"leader\":\"n1\",\"term\":3}\n\nevent: new\ndata: {}\n\n:\n\n"),
		refuses(503),
		says("id: 8-0\nevent: change\ndata: {\"room\":\"r\",\"version\":8,\"data\":\"" + large + "\"}\n\nid: 9-0\nevent: change\ndata: {\"ro"),
		says("id: 9-0\r\nevent:change\r\ndata:{\"room\":\"r\",\"version\":9,\r\ndata: \"time\":5}\r\n\r\nevent: members\ndata: {\"members\":[\"n1\"]}\n\n" +
			"event: service\ndata: {\"running\":true}\n\nevent: sync\ndata: {\"durationMs\":5}\n\nevent: cleanup\ndata: {}\n\n"),
		refuses(403),
	}}
	c := serve(t, s.ServeHTTP)
	var got []string
	for e, err := range c.Events(t.Context(), EventsQuery{Room: "r"}) {
		switch {
		case err != nil:
			got = append(got, err.Error())
		case e.Connected:
			got = append(got, "connected")
		case e.Leader != nil:
			got = append(got, "leader "+e.Leader.Leader)
		case e.Change != nil:
			got = append(got, fmt.Sprintf("change %s %d", e.ID, e.Change.Version))
		case e.Members != nil:
			got = append(got, fmt.Sprint("members ", e.Members.Members))
		case e.Service != nil:
			got = append(got, fmt.Sprint("service ", e.Service.Running))
		case e.Sync != nil:
			got = append(got, fmt.Sprint("sync ", e.Sync.DurationMs))
		case e.Cleanup != nil:
			got = append(got, "cleanup")
		}
	}
	want := []string{"connected", "connected", "leader n1", "connected", "change 8-0 8", "connected", "change 9-0 9", "members [n1]", "service true",
		"sync 5", "cleanup", "HTTP 403: no"}
	if !slices.Equal(got, want) {
		t.Errorf("it yields\n%q, want\n%q", got, want)
	}
	if want := []string{"room=r ", "room=r 7-0", "room=r 7-0", "room=r 7-0", "room=r 8-0", "room=r 9-0"}; !slices.Equal(s.asked, want) {
		t.Errorf("it asked %q, want %q", s.asked, want)
	}
}

func TestEventsEnd(t *testing.T) {
	c := serve(t, says("event: leader\ndata: {}\n\n"))
	for range c.Events(t.Context(), EventsQuery{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for e, err := range c.Events(ctx, EventsQuery{}) {
		if last = err; e.Leader != nil {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("cancelled, it ends with %v", last)
	}
	for name, script := range map[string]func(http.ResponseWriter, *http.Request){
		"no stream": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }, "no JSON": says("event: leader\ndata: x\n\n"),
	} {
		for _, err := range serve(t, script).Events(t.Context(), EventsQuery{}) {
			last = err
		}
		if !errors.Is(last, ErrNotRollcall) {
			t.Errorf("%s: it ends with %v", name, last)
		}
	}
}

// silentFirst never answers its first request, and the others with a stream.
type silentFirst struct{ asked int }

func (s *silentFirst) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.asked++; s.asked == 1 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Request: r,
		Body: io.NopCloser(strings.NewReader("event: leader\ndata: {}\n\n"))}, nil
}

// TestEventsGiveUpASilentServer checks that a server which accepts and sends no headers is asked again.
func TestEventsGiveUpASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, server := time.Now(), &silentFirst{}
		c, err := New("http://node", WithHTTPClient(&http.Client{Transport: server}))
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Events(t.Context(), EventsQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if took := time.Since(began); server.asked != 2 || took > eventsSilence+time.Second {
			t.Errorf("%d requests within %v", server.asked, took)
		}
	})
}
