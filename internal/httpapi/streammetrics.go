package httpapi

import (
	"github.com/prometheus/client_golang/prometheus"
)

// streamCounts count what the streams of /api/events do.
type streamCounts struct {
	sent     prometheus.Counter
	failures prometheus.Counter
	cut      *prometheus.CounterVec
}

func newStreamCounts() streamCounts {
	c := streamCounts{
		sent: prometheus.NewCounter(prometheus.CounterOpts{Name: "rollcall_event_stream_events_total",
			Help: "Events that were queued for streams of /api/events, counted once for each stream."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "rollcall_feed_follow_failures_total",
			Help: "Failures to follow the changes for the streams of /api/events; each is retried after 1 s and loses nothing."}),
		cut: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_event_streams_cut_total",
			Help: "Streams of /api/events that this node cut off, by reason."}, []string{"reason"}),
	}
	for _, reason := range []cutReason{cutSlow, cutStopping} {
		c.cut.WithLabelValues(string(reason))
	}
	return c
}

// streamMetrics registers the metrics of /api/events.
func streamMetrics(reg *prometheus.Registry, h *hub, limit int) error {
	return register(reg, h.counts.sent, h.counts.failures, h.counts.cut,
		gauge("rollcall_event_streams", "Open streams of /api/events.", func() int64 { n, _ := h.load(); return int64(n) }),
		gauge("rollcall_event_streams_limit", "Limit of open streams of /api/events.", func() int64 { return int64(limit) }),
		gauge("rollcall_event_stream_waiting_bytes", "Bytes of events that wait for streams of /api/events, each event counted once.",
			func() int64 { _, waiting := h.load(); return waiting }))
}

// load returns the number of watchers and the bytes that wait for them.
func (h *hub) load() (watchers int, waiting int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers), h.waiting
}
