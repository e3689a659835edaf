package e2e

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// mood is how the proxy treats a request to LiveKit's API.
type mood int

const (
	honest   mood = iota
	failing       // 503
	empty         // answers lists, but with nothing in them
	hanging       // does not answer until the caller gives up
	roomless      // ListRooms is empty, ListParticipants is honest
	unknown       // ListParticipants answers like LiveKit Cloud that there is no such room
	stale         // the last honest answer to the same request
)

// proxy lies between rollcall and LiveKit's API.
type proxy struct {
	url string
	// rule returns the mood for the nth call (from 1) since the rule was set, of the method, such as ListRooms.
	rule atomic.Pointer[rule]
	past sync.Map // the last honest answers, by request
}

type rule struct {
	mood  func(method string, nth int64) mood
	calls atomic.Int64
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	p.is(honest)
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, ModifyResponse: p.remember}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(pass, w, r) }))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// is sets one mood for all calls.
func (p *proxy) is(m mood) { p.by(func(string, int64) mood { return m }) }

// by sets a rule.
func (p *proxy) by(of func(method string, nth int64) mood) { p.rule.Store(&rule{mood: of}) }

// calls returns the number of requests since the rule was set.
func (p *proxy) calls() int64 { return p.rule.Load().calls.Load() }

func (p *proxy) serve(pass http.Handler, w http.ResponseWriter, r *http.Request) {
	asked, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(asked))
	r = r.WithContext(context.WithValue(r.Context(), askedKey{}, r.URL.Path+string(asked)))
	method := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	now := p.rule.Load()
	m := now.mood(method, now.calls.Add(1))
	switch {
	case m == failing:
		http.Error(w, "out of order", http.StatusServiceUnavailable)
	case m == unknown && method == "ListParticipants":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"code":"not_found","msg":"requested room does not exist"}`)
	case m == stale:
		if old, ok := p.past.Load(r.Context().Value(askedKey{})); ok {
			w.Header().Set("Content-Type", "application/protobuf")
			_, _ = w.Write(old.([]byte))
			return
		}
		pass.ServeHTTP(w, r)
	case m == hanging:
		<-r.Context().Done()
	case m == empty, m == roomless && method == "ListRooms":
		// An empty message is an empty list. The body is read first, so that the connection can be kept alive.
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/protobuf")
	default:
		pass.ServeHTTP(w, r)
	}
}

type askedKey struct{}

// remember keeps an honest answer, for when the proxy is stale.
func (p *proxy) remember(answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if err == nil && answer.StatusCode == http.StatusOK {
		p.past.Store(answer.Request.Context().Value(askedKey{}), body)
	}
	return err
}
