package daemon

import (
	"cmp"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/cluster"
	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/internal/rpc"
	"github.com/rollcallhq/rollcall/reconcile"
)

// metrics are the metrics of rooms, LiveKit's API and the leader's cycles. Those of HTTP are in httpapi.
type metrics struct {
	registry   *prometheus.Registry
	commits    *prometheus.CounterVec
	commitTime prometheus.Histogram
	refusals   *prometheus.CounterVec
	polls      *prometheus.CounterVec
	crashes    prometheus.Counter
	rooms      prometheus.Gauge
	requests   *prometheus.CounterVec
	waited     prometheus.Counter
	passedOver *prometheus.CounterVec
	cycles     *prometheus.CounterVec
	cycleTime  *prometheus.HistogramVec
	drift      *prometheus.CounterVec
	converge   *prometheus.HistogramVec
	held       *prometheus.GaugeVec
	last       *prometheus.GaugeVec
	slow       *prometheus.GaugeVec
}

func newMetrics(r *prometheus.Registry) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rollcall_" + name, Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rollcall_" + name, Help: help}, labels)
		r.MustRegister(v)
		return v
	}
	m := &metrics{registry: r,
		commits:    counter("commits_total", "Scripts that Redis confirmed, by cause and by whether they wrote or only checked.", "cause", "wrote"),
		refusals:   counter("commit_failures_total", "Scripts that Redis refused, or whose outcome is unknown, by reason.", "reason"),
		polls:      counter("polls_total", "Looks at LiveKit that an event asked for, by outcome.", "outcome"),
		crashes:    counter("room_crashes_total", "Rooms that crashed and were restarted.").WithLabelValues(),
		rooms:      gauge("room_actors", "Rooms that have an actor on this node.").WithLabelValues(),
		requests:   counter("livekit_requests_total", "Requests to LiveKit's API, by method and outcome.", "method", "outcome"),
		waited:     counter("livekit_budget_wait_seconds_total", "Time that requests to LiveKit waited for their turn.").WithLabelValues(),
		passedOver: counter("livekit_passed_over_total", "Entries of LiveKit's lists that could not be used and were passed over, by method.", "method"),
		cycles:     counter("cycles_total", "Syncs and cleanups led by this node, by kind and outcome.", "kind", "outcome"),
		drift:      counter("drift_total", "Differences between Redis and LiveKit that syncs repaired, by reason.", "reason"),
		held:       gauge("held_removals", "Removals that the breaker holds back since the last scheduled sync.", "what"),
		last:       gauge("last_cycle_timestamp_seconds", "When the last cycle led by this node ended without an error.", "kind"),
	}
	m.slow = gauge("cycle_slow", "1 while a cycle led by this node cannot end within 5 min, and after one that did not.", "kind")
	m.commitTime = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rollcall_commit_seconds",
		Help: "Time from a room's commit to Redis' answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)})
	m.cycleTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rollcall_cycle_seconds",
		Help: "Duration of syncs and cleanups.", Buckets: prometheus.ExponentialBuckets(0.05, 2, 14)}, []string{"kind"})
	m.converge = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rollcall_converge_seconds",
		Help: "Time from a change in LiveKit to its commit to Redis, by the commit's cause. For a webhook: since the participant's " +
			"joinedAt, the room's creation, or (leaves and finishes) the event's createdAt, which has whole seconds: those show up " +
			"to 1 s too long. For a sync: since the joinedAt or creation of what was missed, or, for what had gone, since the first look " +
			"that did not show it: those show too short by up to a sync's interval. Changed metadata, lost writes and foreign " +
			"changes have no known beginning and are not in it. LiveKit's clock is compared with this node's.",
		Buckets: prometheus.ExponentialBuckets(0.005, 2, 20)}, []string{"cause"})
	r.MustRegister(m.commitTime, m.cycleTime, m.converge, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

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

func reasonOf(err error) string {
	for refusal, word := range map[reconcile.Refusal]string{reconcile.StaleOwner: "stale_owner",
		reconcile.Split: "split", reconcile.Conflict: "conflict", reconcile.StaleLeader: "stale_leader"} {
		if errors.Is(err, refusal) {
			return word
		}
	}
	return "unknown_outcome"
}

// Polled implements actors.Observer.
func (m *metrics) Polled(ok bool) { m.polls.WithLabelValues(okOr(ok)).Inc() }

// Crashed implements actors.Observer.
func (m *metrics) Crashed() { m.crashes.Inc() }

// Rooms implements actors.Observer.
func (m *metrics) Rooms(n int) { m.rooms.Set(float64(n)) }

// Holds implements actors.Observer. The node itself counts these.
func (m *metrics) Holds(_, _ *reconcile.State) {}

func (m *metrics) request(r livekit.Request) {
	m.requests.WithLabelValues(r.Method, string(r.Outcome)).Inc()
	m.waited.Add(r.Waited.Seconds())
	m.passedOver.WithLabelValues(r.Method).Add(float64(r.PassedOver))
}

// CycleSlow implements node.Telemetry.
func (m *metrics) CycleSlow(kind string) { m.slow.WithLabelValues(kind).Set(1) }

// CycleEnded implements node.Telemetry.
func (m *metrics) CycleEnded(of fsm.Kind, r reconcile.Report) {
	kind, ok := string(of), r.Errors == 0
	m.slow.WithLabelValues(kind).Set(oneIf(r.Slow))
	m.cycles.WithLabelValues(kind, okOr(ok)).Inc()
	m.cycleTime.WithLabelValues(kind).Observe(float64(r.DurationMs) / 1000)
	if ok {
		m.last.WithLabelValues(kind).SetToCurrentTime()
	}
	for reason, n := range r.Drift {
		m.drift.WithLabelValues(string(reason)).Add(float64(n))
	}
	if of == fsm.KindSync && r.Scheduled {
		h := cmp.Or(r.Held, &reconcile.Held{})
		m.held.WithLabelValues("rooms").Set(float64(h.Rooms))
		m.held.WithLabelValues("participants").Set(float64(h.Participants))
	}
}

func okOr(ok bool) string {
	if ok {
		return "ok"
	}
	return "error"
}

// observe adds the metrics of the cluster.
func (m *metrics) observe(own *node.Ownership) {
	gauge := func(name, help string, value func(cluster.Status) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollcall_cluster_" + name, Help: help}, func() float64 {
			n, ok := own.Cluster()
			if !ok {
				return 0
			}
			return value(n.Status())
		}))
	}
	gauge("is_leader", "1 on the node that leads with an established term.", func(s cluster.Status) float64 { return oneIf(s.Established) })
	gauge("has_leader", "1 while this node knows of a leader.", func(s cluster.Status) float64 { return oneIf(s.Leader != "") })
	gauge("members", "Nodes in the view, as this node knows it.", func(s cluster.Status) float64 { return float64(len(s.Members)) })
	gauge("epoch", "Log index of the view, as this node knows it; nodes that differ for long do not see each other.",
		func(s cluster.Status) float64 { return float64(s.Epoch) })
	gauge("term", "Raft's term.", func(s cluster.Status) float64 { return float64(s.Term) })
	gauge("leader_contact_seconds", "Time since this node last heard from the leader; 0 on the leader, -1 if never.", func(s cluster.Status) float64 {
		if s.SinceContact < 0 {
			return -1
		}
		return s.SinceContact.Seconds()
	})
}

// rate adds the rate limit for requests to LiveKit.
func (m *metrics) rate(rooms *livekit.Client) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rollcall_livekit_rate_limit",
		Help: "Requests a second that this node sends to LiveKit at most: its share of --livekit-rate, less for a while after a 429, +Inf without a limit."}, rooms.Rate))
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
