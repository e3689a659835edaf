package daemon

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/config"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/internal/rpc"
	"github.com/rollcallhq/rollcall/reconcile"
)

// metrics are the metrics of rooms, LiveKit's API and the leader's cycles. Those of HTTP are in httpapi.
type metrics struct {
	registry   *prometheus.Registry
	leader     *leaderMetrics
	occupancy  *occupancyMetrics
	commits    *prometheus.CounterVec
	commitTime prometheus.Histogram
	refusals   *prometheus.CounterVec
	polls      *prometheus.CounterVec
	crashes    prometheus.Counter
	contained  prometheus.Counter
	rooms      prometheus.Gauge
	requests   *prometheus.CounterVec
	waited     prometheus.Counter
	passedOver *prometheus.CounterVec
	cycles     *prometheus.CounterVec
	cycleTime  *prometheus.HistogramVec
	intervals  *prometheus.GaugeVec
	drift      *prometheus.CounterVec
	converge   *prometheus.HistogramVec
}

func newMetrics(r *prometheus.Registry) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_" + name, Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	rooms := prometheus.NewGauge(prometheus.GaugeOpts{Name: "rollcall_room_actors", Help: "Rooms that have an actor on this node."})
	m := &metrics{registry: r, leader: newLeaderMetrics(), occupancy: newOccupancyMetrics(), rooms: rooms,
		commits:    counter("commits_total", "Scripts that Redis confirmed, by cause and by whether they wrote or only checked.", "cause", "wrote"),
		refusals:   counter("commit_failures_total", "Scripts that Redis refused, or whose outcome is unknown, by reason.", "reason"),
		polls:      counter("polls_total", "Looks at LiveKit that an event asked for, by outcome.", "outcome"),
		crashes:    counter("room_crashes_total", "Rooms that crashed and were restarted.").WithLabelValues(),
		contained:  counter("contained_crashes_total", "Panics outside rooms and HTTP requests that ended one piece of work: a look, a poll, a cycle or a part of one, a request to LiveKit or from another node.").WithLabelValues(),
		requests:   counter("livekit_requests_total", "Requests to LiveKit's API, by method and outcome.", "method", "outcome"),
		waited:     counter("livekit_budget_wait_seconds_total", "Time that requests to LiveKit waited for their turn.").WithLabelValues(),
		passedOver: counter("livekit_passed_over_total", "Entries of LiveKit's lists that could not be used and were passed over, by method.", "method"),
		cycles:     counter("cycles_total", "Syncs and cleanups led by this node, by kind and outcome.", "kind", "outcome"),
		drift:      counter("drift_total", "Differences between Redis and LiveKit that syncs repaired, by reason.", "reason"),
	}
	m.commitTime = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rollcall_commit_seconds",
		Help: "Time from a room's commit to Redis' answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)})
	m.intervals = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rollcall_cycle_interval_seconds",
		Help: "Configured interval of the scheduled cycles, by kind."}, []string{"kind"})
	m.cycleTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rollcall_cycle_seconds",
		Help: "Duration of syncs and cleanups.", Buckets: prometheus.ExponentialBuckets(0.05, 2, 14)}, []string{"kind"})
	m.converge = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rollcall_converge_seconds",
		Help: "Time from a change in LiveKit to its commit to Redis, by the commit's cause. For a webhook: since the participant's " +
			"joinedAt, the room's creation, or (leaves and finishes) the event's createdAt, which has whole seconds: those show up " +
			"to 1 s too long. For a sync: since the joinedAt or creation of what was missed, or, for what had gone, since the first look " +
			"that did not show it: those show too short by up to a sync's interval. Changed metadata, lost writes and foreign " +
			"changes have no known beginning and are not in it. LiveKit's clock is compared with this node's.",
		Buckets: prometheus.ExponentialBuckets(0.005, 2, 20)}, []string{"cause"})
	r.MustRegister(m.rooms, m.commitTime, m.cycleTime, m.intervals, m.converge, m.leader, m.occupancy, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.begin()
	return m
}

// begin gives every series of a closed list its first value, so that the first event is an increase.
func (m *metrics) begin() {
	for _, cause := range reconcile.Causes() {
		for _, wrote := range []string{"no", "yes"} {
			m.commits.WithLabelValues(string(cause), wrote)
		}
		m.converge.WithLabelValues(string(cause))
	}
	for _, word := range refusals() {
		m.refusals.WithLabelValues(word)
	}
	m.refusals.WithLabelValues(unknownOutcome)
	for _, reason := range reconcile.Reasons() {
		m.drift.WithLabelValues(string(reason))
	}
	for _, method := range livekit.Methods() {
		for _, outcome := range livekit.Outcomes() {
			m.requests.WithLabelValues(method, string(outcome))
		}
		m.passedOver.WithLabelValues(method)
	}
	for _, outcome := range []string{okOr(true), okOr(false)} {
		m.polls.WithLabelValues(outcome)
		for _, kind := range cycleKinds() {
			m.cycles.WithLabelValues(string(kind), outcome)
		}
	}
	for _, kind := range cycleKinds() {
		m.cycleTime.WithLabelValues(string(kind))
	}
}

func cycleKinds() []fsm.Kind { return []fsm.Kind{fsm.KindSync, fsm.KindCleanup} }

// Committed implements actors.Observer.
func (m *metrics) Committed(cause reconcile.Cause, wrote bool, took time.Duration) {
	did := "no"
	if wrote {
		did = "yes"
	}
	m.commits.WithLabelValues(string(cause), did).Inc()
	m.commitTime.Observe(took.Seconds())
}

// changed observes the time from a change in LiveKit to its commit. If LiveKit's clock is ahead of ours, it observes 0.
func (m *metrics) changed(e actors.Effect) {
	observe := func(since int64) {
		if since != 0 {
			m.converge.WithLabelValues(string(e.Cause)).Observe(float64(max(0, e.At-since)) / 1000)
		}
	}
	if e.Changes > 0 {
		observe(e.Since)
	}
	for _, d := range e.Drift {
		observe(d.Since)
	}
}

// Refused implements actors.Observer.
func (m *metrics) Refused(err error) { m.refusals.WithLabelValues(reasonOf(err)).Inc() }

// unknownOutcome is the reason of a failed commit that Redis has not refused.
const unknownOutcome = "unknown_outcome"

// refusals returns the word for each refusal of Redis.
func refusals() map[reconcile.Refusal]string {
	return map[reconcile.Refusal]string{reconcile.StaleOwner: "stale_owner",
		reconcile.Split: "split", reconcile.Conflict: "conflict", reconcile.StaleLeader: "stale_leader"}
}

func reasonOf(err error) string {
	for refusal, word := range refusals() {
		if errors.Is(err, refusal) {
			return word
		}
	}
	return unknownOutcome
}

// Polled implements actors.Observer.
func (m *metrics) Polled(ok bool) { m.polls.WithLabelValues(okOr(ok)).Inc() }

// Crashed implements actors.Observer.
func (m *metrics) Crashed() { m.crashes.Inc() }

// Rooms implements actors.Observer.
func (m *metrics) Rooms(n int) { m.rooms.Set(float64(n)) }

// Holds implements actors.Observer.
func (m *metrics) Holds(before, after *reconcile.State) { m.occupancy.changed(before, after) }

func (m *metrics) request(r livekit.Request) {
	m.requests.WithLabelValues(r.Method, string(r.Outcome)).Inc()
	m.waited.Add(r.Waited.Seconds())
	m.passedOver.WithLabelValues(r.Method).Add(float64(r.PassedOver))
}

// CycleSlow implements node.Telemetry.
func (m *metrics) CycleSlow(kind string) { m.leader.cycleSlow(fsm.Kind(kind), true) }

// CycleEnded implements node.Telemetry.
func (m *metrics) CycleEnded(kind fsm.Kind, r reconcile.Report) {
	m.leader.cycleEnded(kind, r)
	m.cycles.WithLabelValues(string(kind), okOr(r.Errors == 0)).Inc()
	m.cycleTime.WithLabelValues(string(kind)).Observe(float64(r.DurationMs) / 1000)
	for reason, n := range r.Drift {
		m.drift.WithLabelValues(string(reason)).Add(float64(n))
	}
}

func okOr(ok bool) string {
	if ok {
		return "ok"
	}
	return "error"
}

// gauge adds a gauge that is read when it is scraped.
func (m *metrics) gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollcall_" + name, Help: help}, value))
}

// built adds the metric of the build.
func (m *metrics) built(b httpapi.Build) {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rollcall_build_info", Help: "Always 1. The labels describe the build."},
		[]string{"version", "revision", "goversion"})
	info.WithLabelValues(b.Version, b.Commit, b.Go).Set(1)
	m.registry.MustRegister(info)
}

// configured sets the metric of the schedule's intervals, which a reload may change.
func (m *metrics) configured(c config.Config) {
	m.intervals.WithLabelValues(string(fsm.KindSync)).Set(c.SyncInterval.Seconds())
	m.intervals.WithLabelValues(string(fsm.KindCleanup)).Set(c.CleanupInterval.Seconds())
}

// rate adds the rate limit for requests to LiveKit.
func (m *metrics) rate(rooms *livekit.Client) {
	m.gauge("livekit_rate_limit", "Requests a second that this node sends to LiveKit at most: its share of --livekit-rate, less for a while after a 429, +Inf without a limit.", rooms.Rate)
}

// relays adds the metrics of the connections to the other nodes.
func (m *metrics) relays(peers *rpc.Peers) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rollcall_relayed_requests_total",
		Help: "Events that this node sent through another node, because it does not reach their owner directly, or missed the view that names it."}, func() float64 {
		_, relayed := peers.Links()
		return float64(relayed)
	}), prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollcall_unreachable_nodes",
		Help: "Members of the view that this node has tried to reach directly, and does not reach."}, func() float64 {
		unreachable, _ := peers.Links()
		return float64(len(unreachable))
	}))
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
