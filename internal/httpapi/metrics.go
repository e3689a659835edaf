package httpapi

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rollcallhq/rollcall/internal/certfile"
)

// metrics are the metrics of the API. Every label takes its values from a closed list: kinds of events, outcomes, route
// patterns and the statuses that this package answers with.
type metrics struct {
	webhooks    *prometheus.CounterVec
	webhookTime *prometheus.HistogramVec
	received    prometheus.Counter
	dropped     prometheus.Counter
	requests    *prometheus.CounterVec
	requestTime *prometheus.HistogramVec
	panics      prometheus.Counter
	handler     http.Handler
	slots       chan struct{} // one for each request that gathers

	// The series of the usual webhook: to look a series up by its labels takes several times as long as to count.
	committed     map[string]prometheus.Counter // by kind of event
	committedTime prometheus.Observer
}

// routeSeries are the series of a route's successes.
type routeSeries struct {
	count prometheus.Counter
	time  prometheus.Observer
}

// served counts a request that has been answered. The route of one that was not found is nil.
func (m *metrics) served(r *route, status int, took time.Duration) {
	series := func() *routeSeries {
		return &routeSeries{m.requests.WithLabelValues(r.name(), strconv.Itoa(status)), m.requestTime.WithLabelValues(r.name())}
	}
	var of *routeSeries
	if r == nil || status != http.StatusOK {
		of = series()
	} else if of = r.ok.Load(); of == nil {
		of = series()
		r.ok.Store(of)
	}
	of.count.Inc()
	of.time.Observe(took.Seconds())
}

// webhook counts a webhook that has been answered.
func (m *metrics) webhook(event, outcome string, took time.Duration) {
	if count := m.committed[event]; outcome == committed && count != nil {
		count.Inc()
		m.committedTime.Observe(took.Seconds())
		return
	}
	m.webhooks.WithLabelValues(event, outcome).Inc()
	m.webhookTime.WithLabelValues(outcome).Observe(took.Seconds())
}

// newMetrics registers the metrics. Error: some are registered already.
func newMetrics(reg *prometheus.Registry, p *adaptiveSemaphore, b *bodyMemory) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_webhooks_total", Help: "Webhook deliveries by kind of event and outcome."}, []string{"event", "outcome"}),
		webhookTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rollcall_webhook_duration_seconds", Help: "Time from receipt of a webhook to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"outcome"}),
		received: counter("rollcall_webhook_received_bytes_total", "Bytes of webhook bodies that were read completely."),
		dropped:  counter("rollcall_livekit_dropped_webhooks_total", "Events that LiveKit says it dropped before they were sent to this URL; a LiveKit up to 1.13.5 does not say so."),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_http_requests_total", Help: "HTTP requests by route and status."}, []string{"route", "code"}),
		requestTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rollcall_http_request_duration_seconds", Help: "Time from receipt of a request to the end of its answer.",
			Buckets: []float64{.001, .005, .025, .1, .5, 1, 5, 15, 60, 300}}, []string{"route"}),
		panics:    counter("rollcall_http_panics_total", "Requests whose handler panicked."),
		committed: map[string]prometheus.Counter{},
		handler:   promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}),
		slots:     make(chan struct{}, gatherAtOnce),
	}
	return m, register(reg, m.webhooks, m.webhookTime, m.received, m.dropped, m.requests, m.requestTime, m.panics,
		gauge("rollcall_webhooks_in_flight", "Webhooks being read or committed.", p.inFlight),
		gauge("rollcall_webhook_body_bytes", "Bytes of webhook bodies in memory.", b.spent.Load))
}

// gauge returns a gauge that is read when it is scraped.
func gauge(name, help string, value func() int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
}

func register(reg *prometheus.Registry, all ...prometheus.Collector) error {
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return fmt.Errorf("register the metrics of HTTP: %w", err)
		}
	}
	return nil
}

// begin gives the series of closed lists their first value, so that the first event is an increase. Of the statuses of requests these are
// success and this node's own failures: all others are answers to what the caller has sent.
func (m *metrics) begin(patterns []string) {
	for _, event := range []string{"room_started", "room_finished", "participant_joined", "participant_left",
		"participant_connection_aborted", "track", "other"} {
		for _, outcome := range []string{committed, expired, malformed, unavailable, panicked} {
			m.webhooks.WithLabelValues(event, outcome)
		}
		m.committed[event] = m.webhooks.WithLabelValues(event, committed)
	}
	m.webhooks.WithLabelValues("other", ignored)
	for _, outcome := range []string{unauthorizedWebhook, expired, malformed, tooLarge, tooSlow, broken, overloaded, unavailable, wrongPath, panicked} {
		m.webhooks.WithLabelValues(kindUnverified, outcome)
	}
	for _, pattern := range append(patterns, elsewhere) {
		for _, status := range []int{http.StatusOK, http.StatusInternalServerError, http.StatusServiceUnavailable} {
			if pattern == elsewhere && status == http.StatusOK {
				continue
			}
			m.requests.WithLabelValues(pattern, strconv.Itoa(status))
		}
	}
	for _, outcome := range []string{committed, unavailable} {
		m.webhookTime.WithLabelValues(outcome)
	}
	m.committedTime = m.webhookTime.WithLabelValues(committed)
}

// gathered keeps an answer in memory, so that a slow client does not hold one of the slots for gathering.
type gathered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (g *gathered) Header() http.Header { return g.header }

// WriteHeader implements http.ResponseWriter.
func (g *gathered) WriteHeader(status int) { g.status = status }

// Write implements http.ResponseWriter.
func (g *gathered) Write(b []byte) (int, error) { return g.body.Write(b) }

// gatherBytes is the memory needed to gather the metrics.
const gatherBytes = 1 << 20

// gatherAtOnce is how many requests gather the metrics at once.
const gatherAtOnce = 4

func (m *metrics) gather(r *http.Request) (*gathered, error) {
	select {
	case m.slots <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	defer func() { <-m.slots }()
	g := &gathered{header: http.Header{}, status: http.StatusOK}
	m.handler.ServeHTTP(g, r)
	return g, nil
}

// serve writes the metrics in Prometheus' own format.
func (m *metrics) serve(c *call) (any, error) {
	if err := c.need(gatherBytes); err != nil {
		return nil, err
	}
	g, err := m.gather(c.r)
	if err != nil {
		return nil, err
	}
	if err := c.keep(int64(g.body.Cap())); err != nil {
		return nil, err
	}
	maps.Copy(c.w.Header(), g.header)
	c.writeWithin(time.Minute)
	c.w.WriteHeader(g.status)
	// If this fails, the client is gone: there is nobody to tell.
	_, _ = c.w.Write(g.body.Bytes())
	return nil, nil
}

// connectionMetrics registers the metrics of the listeners' connections. The returned function counts a connection that was
// closed to make room.
func connectionMetrics(reg *prometheus.Registry, t *connections) (closed func(reason string), err error) {
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_http_connections_closed_total",
		Help: "HTTP connections closed because the limit was reached, by reason."}, []string{"reason"})
	for _, reason := range []string{closedStranger, closedIdle, closedServed, closedNew} {
		count.WithLabelValues(reason)
	}
	return func(reason string) { count.WithLabelValues(reason).Inc() }, register(reg, count,
		gauge("rollcall_http_connections", "Open HTTP connections.", t.count),
		gauge("rollcall_http_connections_limit", "Limit of open HTTP connections.", func() int64 { return int64(t.limit) }))
}

// CertificateExpiry returns the metric of when a listener's certificate expires. The listener is node or http.
func CertificateExpiry(listener string, pair *certfile.Watched[*tls.Certificate]) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollcall_tls_certificate_expiry_timestamp_seconds",
		Help:        "When the certificate of a listener with TLS files expires; replaced files are read again within 10 s.",
		ConstLabels: prometheus.Labels{"listener": listener}}, func() float64 {
		return float64(certfile.NotAfter(pair.Get()).Unix())
	})
}
