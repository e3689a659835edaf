package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestWebhookSeriesBeginAtZero checks that each outcome of a webhook has a series before the first event, and that no event adds one.
func TestWebhookSeriesBeginAtZero(t *testing.T) {
	r := newRig(t, &node{}, nil)
	series := func() int { return testutil.CollectAndCount(r.api.metrics.webhooks) }
	before := series()
	if before < 40 || r.metric(t, "rollcall_webhooks_total") != 0 {
		t.Errorf("%d series, with a sum of %v", before, r.metric(t, "rollcall_webhooks_total"))
	}
	r.hook(event("room_started", "EV_1", time.Now()))
	r.hook("no JSON")
	r.ask("POST", "/api/livekit-webhook", "{}", header("Authorization", "forged"))
	if got := r.metric(t, "rollcall_webhooks_total"); got != 3 || series() != before {
		t.Errorf("%v events are counted, in %d series instead of %d", got, series(), before)
	}
	if n, want := testutil.CollectAndCount(r.api.metrics.requests), 3*len(r.api.routes.patterns())+2; n < want {
		t.Errorf("%d series of requests, want at least %d: 200, 500 and 503 of each route", n, want)
	}
}

// TestScrapesAtOnce checks that a scrape beyond those that may gather at once gets a 503 like any other, and that a later one does not.
func TestScrapesAtOnce(t *testing.T) {
	r := newRig(t, &node{}, nil)
	gathering, begun, end := r.api.metrics.handler, make(chan struct{}), make(chan struct{})
	r.api.metrics.handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		begun <- struct{}{}
		<-end
		gathering.ServeHTTP(w, req)
	})
	var scrapes sync.WaitGroup
	for range gatherAtOnce {
		scrapes.Go(func() {
			if w := r.ask("GET", "/metrics", ""); w.Code != 200 {
				t.Errorf("a scrape: %d %s", w.Code, w.Body)
			}
		})
		<-begun
	}
	w := r.ask("GET", "/metrics", "")
	want(t, w, 503, `{"error":"Too much is queued already; try again shortly"}`)
	if after := w.Header().Get("Retry-After"); after != "4" {
		t.Errorf("Retry-After %q, want 4", after)
	}
	close(end)
	scrapes.Wait()
	go func() { <-begun }()
	if w := r.ask("GET", "/metrics", ""); w.Code != 200 {
		t.Errorf("a later scrape: %d %s", w.Code, w.Body)
	}
}

// TestPanicsAreCounted checks that a request whose handler panics is counted.
func TestPanicsAreCounted(t *testing.T) {
	r := newRig(t, &node{acting: func(context.Context) { panic("a bug") }}, nil)
	r.ask("POST", "/api/sync-rooms", `{"action":"sync"}`)
	if got := r.metric(t, "rollcall_http_panics_total"); got != 1 {
		t.Errorf("%v panics are counted, want 1", got)
	}
}

// TestStreamMetrics checks that open streams, what waits for them, and those that are cut off are counted by reason.
func TestStreamMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		h := newHub(&deafWire{}, 100, slog.New(slog.DiscardHandler))
		if err := streamMetrics(reg, h, 64); err != nil {
			t.Fatal(err)
		}
		check := func(when string, want map[string]float64) {
			t.Helper()
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]float64{}
			for _, f := range families {
				for _, m := range f.Metric {
					name := f.GetName()
					for _, l := range m.Label {
						name += " " + l.GetValue()
					}
					got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
			for name, v := range want {
				if have, ok := got["rollcall_"+name]; !ok || have != v {
					t.Errorf("%s: %s is %v, want %v", when, name, have, v)
				}
			}
		}
		check("at first", map[string]float64{"event_streams": 0, "event_streams_limit": 64, "event_streams_cut_total too_slow": 0, "event_streams_cut_total stopping": 0,
			"event_stream_events_total": 0, "feed_follow_failures_total": 0})
		for range 2 {
			if _, err := h.join(t.Context(), "", func() {}); err != nil {
				t.Fatal(err)
			}
		}
		h.pass(t.Context(), &frame{text: make([]byte, 40)})
		check("with two", map[string]float64{"event_streams": 2, "event_stream_waiting_bytes": 40, "event_stream_events_total": 2})
		h.pass(t.Context(), &frame{text: make([]byte, 40)})
		check("when they are too slow", map[string]float64{"event_streams": 0, "event_stream_waiting_bytes": 0, "event_streams_cut_total too_slow": 2})
		if _, err := h.join(t.Context(), "", func() {}); err != nil {
			t.Fatal(err)
		}
		h.close()
		h.readers.Wait()
		check("when the node stops", map[string]float64{"event_streams": 0, "event_streams_cut_total stopping": 1})
	})
}
