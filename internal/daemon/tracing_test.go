package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakecollector"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/harness/freeaddr"
	"github.com/rollcallhq/rollcall/testing/harness/nodetest"
	"github.com/rollcallhq/rollcall/testing/harness/redistest"
)

// pair is two nodes in this process. LiveKit sends its webhooks to the first.
type pair struct {
	*world
	nodes []*Daemon
	logs  [2]logBuffer
}

// logBuffer keeps what a node logs.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newPair(t *testing.T, flags ...string) *pair {
	t.Helper()
	addrs := freeaddr.ForTest(t, 4)
	w := &world{T: t, livekit: fakelivekit.New(fakelivekit.Options{Seed: 1, URLs: []string{"http://" + addrs[0] + "/api/livekit-webhook"}})}
	api := httptest.NewServer(w.livekit)
	t.Cleanup(func() {
		api.CloseClientConnections()
		api.Close()
		w.livekit.Close()
	})
	store := redistest.Start(t)
	w.redis = store.Client()
	p := &pair{world: w}
	for i := range 2 {
		c := nodetest.Config(t, fakelivekit.Env(api.URL), append([]string{fmt.Sprintf("--node-id=n%d", i+1), "--http-addr=" + addrs[i], "--node-addr=" + addrs[2+i],
			"--bootstrap-expect=2", "--join=" + addrs[2] + "," + addrs[3], "--data-dir=" + t.TempDir(), "--redis-url=" + store.URL(), "--drain-delay=0s",
			"--sync-interval=1s"}, flags...)...)
		d, err := Start(t.Context(), c, httpapi.Build{Version: "v1.2.3"}, slog.New(slog.NewTextHandler(&p.logs[i], nil)))
		if err != nil {
			t.Fatal(err)
		}
		p.nodes = append(p.nodes, d)
		t.Cleanup(func() {
			if err := d.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	w.await("both nodes own rooms", func() error {
		for _, d := range p.nodes {
			if err := d.node.Ready(); err != nil {
				return err
			}
			if n := len(d.node.Ownership.Members()); n != 2 {
				return fmt.Errorf("%d members", n)
			}
		}
		return nil
	})
	return p
}

// roomOf returns the name of a room that a node owns.
func (p *pair) roomOf(node string) string {
	p.Helper()
	for i := range 1000 {
		room := fmt.Sprint("room-", i)
		if place, err := p.nodes[0].node.Ownership.Owner(room); err == nil && place.Node == node {
			return room
		}
	}
	p.Fatalf("%s owns nothing", node)
	return ""
}

// child returns the only span of that name below a parent.
func child(c *fakecollector.Collector, parent fakecollector.Span, name string) (fakecollector.Span, error) {
	for _, s := range c.Spans(name) {
		if s.Trace == parent.Trace && s.Parent == parent.ID {
			return s, nil
		}
	}
	return fakecollector.Span{}, fmt.Errorf("no %q below %q of trace %s; there is %v", name, parent.Name, parent.Trace, names(c, parent.Trace))
}

func names(c *fakecollector.Collector, trace string) (all []string) {
	for _, s := range c.Spans("") {
		if s.Trace == trace {
			all = append(all, s.Name+" of "+s.Resource["service.instance.id"])
		}
	}
	return all
}

// descend follows a trace from a span down, one name after another, and checks which node and kind each span has.
func descend(c *fakecollector.Collector, from fakecollector.Span, path ...string) (s fakecollector.Span, err error) {
	s = from
	for _, step := range path {
		words := strings.Split(step, "/") // name/node/kind
		if s, err = child(c, s, words[0]); err != nil {
			return s, err
		}
		if node, kind := s.Resource["service.instance.id"], strings.TrimPrefix(s.Kind, "SPAN_KIND_"); node != words[1] || kind != words[2] {
			return s, fmt.Errorf("%q is of node %s and kind %s, want %v", s.Name, node, kind, words[1:])
		}
	}
	return s, nil
}

// TestTraceAcrossNodes sends a webhook to a node that does not own the room, and checks that the collector gets one trace of it, from the
// webhook on one node to the commit on the other. It checks the same for a sync, and that the standard variables hold.
func TestTraceAcrossNodes(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "rooms")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k1")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	collector := fakecollector.New(t)
	p := newPair(t, "--otlp-endpoint="+collector.URL)
	far, near := p.roomOf("n2"), p.roomOf("n1")
	p.livekit.Join(far, fakelivekit.Who{Identity: "anna"})
	p.livekit.Join(near, fakelivekit.Who{Identity: "anna"})
	p.present(2)
	p.await("the trace of a webhook for the other node's room", func() error {
		return p.webhookTrace(collector, far, "send owner/n1/CLIENT", "owner/n2/SERVER", "commit/n2/CLIENT")
	})
	p.await("the trace of a webhook for this node's room", func() error {
		return p.webhookTrace(collector, near, "owner/n1/INTERNAL", "commit/n1/CLIENT")
	})
	p.await("the trace of a sync that has both nodes at work", func() error {
		return syncTrace(collector)
	})
	if h := collector.Headers()[0].Get("X-Key"); h != "k1" {
		t.Errorf("the collector got the header %q", h)
	}
	for _, s := range collector.Spans("") {
		if s.Resource["service.name"] != "rooms" || s.Resource["deployment.environment.name"] != "test" || s.Resource["service.version"] != "v1.2.3" {
			t.Fatalf("%q has the resource %v", s.Name, s.Resource)
		}
		if text := fmt.Sprint(s.Attributes); strings.Contains(text, "anna") {
			t.Fatalf("%q names a participant: %v", s.Name, s.Attributes)
		}
	}
}

// webhookTrace returns nil if a join into a room has a trace with those spans.
func (p *pair) webhookTrace(c *fakecollector.Collector, room string, path ...string) error {
	err := fmt.Errorf("no webhook of %s", room)
	for _, root := range c.Spans("webhook") {
		if root.Attributes["rollcall.room"] != room || root.Attributes["rollcall.event"] != "participant_joined" {
			continue
		}
		if root.Parent != "" || root.Kind != "SPAN_KIND_SERVER" || root.Failed {
			return fmt.Errorf("the root is %+v", root)
		}
		if _, err = descend(c, root, path...); err == nil {
			return nil
		}
	}
	return err
}

// syncTrace returns nil if some sync has a trace with the surveys of both nodes.
func syncTrace(c *fakecollector.Collector) error {
	err := fmt.Errorf("no sync")
	for _, root := range c.Spans("sync") {
		leader := root.Resource["service.instance.id"]
		other := map[string]string{"n1": "n2", "n2": "n1"}[leader]
		if _, err = descend(c, root, "survey/"+leader+"/INTERNAL"); err != nil {
			continue
		}
		if _, err = descend(c, root, "send survey/"+leader+"/CLIENT", "survey/"+other+"/SERVER"); err == nil {
			return nil
		}
	}
	return err
}

// TestTracesOff checks that each standard variable that switches traces off does so.
func TestTracesOff(t *testing.T) {
	for name, off := range map[string]string{"OTEL_TRACES_SAMPLER": "always_off", "OTEL_SDK_DISABLED": "True", "OTEL_TRACES_EXPORTER": "none"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, off)
			t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
			collector := fakecollector.New(t)
			w := newWorld(t, "--otlp-endpoint="+collector.URL)
			w.fill(3)
			w.report(time.Time{}, func(reconcile.Report) bool { return true })
			w.stop()
			if got := collector.Spans(""); len(got) != 0 {
				t.Errorf("the collector got %v", got)
			}
			w.start() // for the end of the test
		})
	}
}

// TestCollectorDown checks that a collector that hangs delays neither webhooks nor the stop.
func TestCollectorDown(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
	hangs := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangs }))
	t.Cleanup(collector.Close)
	t.Cleanup(func() { close(hangs) })
	w := newWorld(t, "--otlp-endpoint="+collector.URL)
	began := time.Now()
	w.fill(30)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("30 rooms took %v", took)
	}
	began = time.Now()
	w.stop()
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the stop took %v", took)
	}
	w.start() // for the end of the test
}

// TestNoTracesByDefault checks that a node without a collector has nothing of tracing on the way of a webhook.
func TestNoTracesByDefault(t *testing.T) {
	d := &Daemon{config: config.Config{}}
	if err := d.openTracing(t.Context()); err != nil || d.tracer != nil {
		t.Fatalf("there is a tracer: %v", err)
	}
	if c := d.traced(node.Config{}); c.Tracer != nil || c.Local != nil || c.Remote != nil || c.Store != nil {
		t.Errorf("the node has %+v", c)
	}
}
