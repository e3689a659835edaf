package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	adminToken = "admin-token-of-the-tests"
	goodSign   = "signed"
)

var errSecret = errors.New("redis://:hunter2@db failed")

// node is a fake of all ports. The zero value of each field is a working default.
type node struct {
	mu sync.Mutex

	verify  func(body []byte, authorization string, now time.Time) (reconcile.Event, bool, error)
	deliver func(ctx context.Context, ev reconcile.Event) error
	events  []reconcile.Event

	status    Status
	statusErr error
	report    reconcile.Report
	cluster   Membership
	actErr    error
	acting    func(ctx context.Context) // called within each action
	asked     []string
	nextToken string // what the file of the admin token holds

	present, states map[string]string
	readErr         error
	read            int // number of states read
	active, queue   int64

	grants   map[string]reconcile.Grant
	readyErr error
	redis    Dependency // the zero value answers

	timeline []reconcile.TimelineEntry
	drift    []reconcile.DriftEntry
	look     reconcile.Look
	looking  func() // called within each look at LiveKit
	stats    Stats
	wire     wire
}

func (n *node) Admit(authorization string, now time.Time) (Admission, error) {
	if n.verify == nil && authorization != goodSign {
		return nil, ErrUnauthorized
	}
	return admission{n, authorization, now}, nil
}

// admission is the token of a webhook to a node.
type admission struct {
	node          *node
	authorization string
	now           time.Time
}

func (a admission) Event(body []byte) (reconcile.Event, bool, error) {
	if a.node.verify != nil {
		return a.node.verify(body, a.authorization, a.now)
	}
	var e struct {
		ID, Event string
		CreatedAt int64 `json:",string"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return reconcile.Event{}, false, fmt.Errorf("%w: %s", ErrMalformed, body) // as careless as an implementation can be
	}
	kinds := map[string]reconcile.EventKind{"room_started": reconcile.Started, "room_finished": reconcile.Finished,
		"participant_joined": reconcile.Joined, "participant_left": reconcile.Left,
		"participant_connection_aborted": reconcile.Aborted,
		"track_published":                reconcile.Track, "track_unpublished": reconcile.Track}
	kind, known := kinds[e.Event]
	return reconcile.Event{ID: e.ID, Kind: kind, CreatedAt: e.CreatedAt}, known, nil
}

func (n *node) Dropped(body []byte) int { return strings.Count(string(body), "numDropped") }

func (n *node) Deliver(ctx context.Context, ev reconcile.Event) error {
	n.mu.Lock()
	n.events = append(n.events, ev)
	n.mu.Unlock()
	if n.deliver != nil {
		return n.deliver(ctx, ev)
	}
	return nil
}

func (n *node) delivered() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.events)
}

func (n *node) Status(context.Context) (Status, error) { return n.status, n.statusErr }

func (n *node) note(ctx context.Context, format string, args ...any) {
	n.mu.Lock()
	n.asked = append(n.asked, fmt.Sprintf(format, args...))
	n.mu.Unlock()
	if n.acting != nil {
		n.acting(ctx)
	}
}

func (n *node) Sync(ctx context.Context, o reconcile.Options) (reconcile.Report, error) {
	what := fmt.Sprintf("sync dry %t force %t", o.DryRun, o.Force)
	if o.Room != "" {
		what += " room " + o.Room
	}
	n.note(ctx, "%s", what)
	return n.report, n.actErr
}

func (n *node) Cleanup(ctx context.Context, o reconcile.Options) (reconcile.Report, error) {
	n.note(ctx, "cleanup dry %t force %t", o.DryRun, o.Force)
	return n.report, n.actErr
}

func (n *node) FullSync(ctx context.Context, o reconcile.Options) (reconcile.Report, reconcile.Report, error) {
	n.note(ctx, "full-sync dry %t force %t", o.DryRun, o.Force)
	return n.report, n.report, n.actErr
}

func (n *node) SetService(ctx context.Context, running bool) (bool, error) {
	n.note(ctx, "service %t", running)
	return running, n.actErr
}

func (n *node) Cluster(context.Context) (Membership, error) { return n.cluster, n.readErr }

func (n *node) Remove(ctx context.Context, id string) error {
	n.note(ctx, "remove %s", id)
	return n.actErr
}

func (n *node) Reload(ctx context.Context) (Reloaded, error) {
	n.note(ctx, "reload")
	return Reloaded{Node: "n1", Changed: []string{"log-level"}, NeedRestart: []string{}}, n.actErr
}

func (n *node) AdminToken() string { return n.nextToken }

// Rooms uses the last name of a page as its cursor.
func (n *node) Rooms(_ context.Context, cursor string, limit int, search string) (names []string, next string, err error) {
	if n.readErr != nil && !errors.Is(n.readErr, ErrIncomplete) {
		return nil, "", n.readErr
	}
	if strings.HasPrefix(cursor, "!") {
		return nil, "", fmt.Errorf("cursor: %w", ErrMalformed)
	}
	var all []string
	for name := range n.states {
		if name > cursor && strings.Contains(strings.ToLower(name), strings.ToLower(search)) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	if len(all) > limit {
		return all[:limit], all[limit-1], n.readErr
	}
	return all, "", n.readErr
}

func (n *node) Sizes(_ context.Context, rooms []string) ([]reconcile.RoomSize, error) {
	sizes := make([]reconcile.RoomSize, len(rooms))
	for i, room := range rooms {
		sizes[i] = reconcile.RoomSize{Participants: int64(len(n.present[room])), State: int64(len(n.states[room]))}
	}
	return sizes, n.readErr
}

func (n *node) State(_ context.Context, room string, most int64) (json.RawMessage, bool, error) {
	n.mu.Lock()
	n.read++
	n.mu.Unlock()
	value, ok := n.states[room]
	if int64(len(value)) > most {
		return nil, true, ErrUnavailable
	}
	return json.RawMessage(value), ok, n.readErr
}

func (n *node) States(_ context.Context, rooms []string) (present, states map[string]json.RawMessage, err error) {
	present, states = map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, room := range rooms {
		if v, ok := n.present[room]; ok && json.Valid([]byte(v)) {
			present[room] = json.RawMessage(v)
		}
		if v, ok := n.states[room]; ok && json.Valid([]byte(v)) {
			states[room] = json.RawMessage(v)
		}
	}
	return present, states, n.readErr
}

func (n *node) Count(context.Context) (int64, error) { return int64(len(n.states)), n.readErr }

func (n *node) Matching(context.Context) (int64, int64, error) { return n.active, n.queue, n.readErr }

func (n *node) VerifyToken(token string, _ time.Time) (reconcile.Grant, error) {
	if g, ok := n.grants[token]; ok {
		return g, nil
	}
	return reconcile.Grant{}, ErrUnauthorized
}

func (n *node) Ready(context.Context) error { return n.readyErr }

func (n *node) Redis() Dependency { return cmp.Or(n.redis, Dependency{State: Answers}) }

func (n *node) put(room, present, state string) {
	if n.states == nil {
		n.present, n.states = map[string]string{}, map[string]string{}
	}
	n.present[room], n.states[room] = present, state
}

// logs keeps everything that was logged.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type rig struct {
	*Server
	node     *node
	logs     *logs
	registry *prometheus.Registry
}

// newRig makes a server with the ports of n; change may adjust its configuration.
func newRig(t testing.TB, n *node, change func(*Config)) *rig {
	t.Helper()
	l := &logs{}
	cfg := Config{Registry: prometheus.NewRegistry(), Build: Build{Version: "v1.2.3", Go: "go1.26"},
		Log: slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg, n.ports())
	if err != nil {
		t.Fatal(err)
	}
	return &rig{s, n, l, cfg.Registry}
}

// ask sends a request from this machine, changed by tweak.
func (r *rig) ask(method, target, body string, tweak ...func(*http.Request)) *httptest.ResponseRecorder {
	var reader io.Reader = http.NoBody
	if body != "" {
		reader = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, reader)
	req.RemoteAddr, req.Host = "127.0.0.1:4711", "localhost:8080"
	for _, f := range tweak {
		f(req)
	}
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, req)
	return w
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func (r *rig) hook(body string, tweak ...func(*http.Request)) *httptest.ResponseRecorder {
	return r.ask("POST", "/api/livekit-webhook", body, append([]func(*http.Request){header("Authorization", goodSign)}, tweak...)...)
}

// metric sums the samples of a metric whose labels contain all of with.
func (r *rig) metric(t testing.TB, name string, with ...string) (sum float64) {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			missing := slices.ContainsFunc(with, func(l string) bool { return !slices.Contains(labels, l) })
			if f.GetName() == name && !missing {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func want(t testing.TB, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d; body %s", w.Code, status, w.Body)
	}
	if got := strings.TrimSpace(w.Body.String()); got != body {
		t.Errorf("body\n got %s\nwant %s", got, body)
	}
}

func event(name, id string, created time.Time) string {
	return fmt.Sprintf(`{"event":%q,"id":%q,"createdAt":"%d"}`, name, id, created.Unix())
}

// held returns how much all callers hold together.
func (q *quota) held() (sum int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range q.spent {
		sum += n
	}
	return sum
}

// Handler returns the API without a listener.
func (s *Server) Handler() http.Handler { return s.api }
