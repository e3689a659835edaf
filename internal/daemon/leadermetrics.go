package daemon

import (
	"cmp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/internal/node"
	"github.com/rollcallhq/rollcall/reconcile"
)

// leaderMetrics are the gauges of the cycles that this node leads. They exist only on a leader with an established term, and only about that
// term: a node that has led before shows nothing of it.
type leaderMetrics struct {
	// leads returns since when this node leads with an established term, and what the nodes have agreed on; a zero time if it does not lead.
	leads func() (since time.Time, state fsm.State)

	mu   sync.Mutex
	last map[fsm.Kind]time.Time // when a cycle last ended without an error
	slow map[fsm.Kind]slowness
	held heldRemovals
}

// slowness is whether the last cycle, or the running one, is slow, and when that was found.
type slowness struct {
	slow bool
	at   time.Time
}

// heldRemovals is what the last scheduled sync held, and when it ended.
type heldRemovals struct {
	reconcile.Held
	at time.Time
}

func newLeaderMetrics() *leaderMetrics {
	return &leaderMetrics{leads: func() (time.Time, fsm.State) { return time.Time{}, fsm.State{} },
		last: map[fsm.Kind]time.Time{}, slow: map[fsm.Kind]slowness{}}
}

// cluster makes the gauges follow the leadership of a node.
func (l *leaderMetrics) cluster(own *node.Ownership) {
	l.leads = func() (time.Time, fsm.State) {
		n, ok := own.Cluster()
		if !ok {
			return time.Time{}, fsm.State{}
		}
		return n.LeaderSince(), n.State()
	}
}

func (l *leaderMetrics) cycleSlow(kind fsm.Kind, slow bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slow[kind] = slowness{slow, time.Now()}
}

func (l *leaderMetrics) cycleEnded(kind fsm.Kind, r reconcile.Report) {
	l.cycleSlow(kind, r.Slow)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if r.Errors == 0 {
		l.last[kind] = now
	}
	if kind == fsm.KindSync && r.Scheduled {
		l.held = heldRemovals{*cmp.Or(r.Held, &reconcile.Held{}), now}
	}
}

func leaderSinceDesc() *prometheus.Desc {
	return prometheus.NewDesc("rollcall_cluster_leader_since_timestamp_seconds", "Since when this node leads with an established term.", nil, nil)
}

func lastDesc() *prometheus.Desc {
	return prometheus.NewDesc("rollcall_last_cycle_timestamp_seconds",
		"When the last cycle of this leader's term ended without an error, by kind; absent until one has.", []string{"kind"}, nil)
}

func slowDesc() *prometheus.Desc {
	return prometheus.NewDesc("rollcall_cycle_slow", "1 while a cycle cannot end within 5 min, and after one that did not, by kind.", []string{"kind"}, nil)
}

func heldDesc() *prometheus.Desc {
	return prometheus.NewDesc("rollcall_held_removals", "Removals that the breaker holds back since the last scheduled sync.", []string{"what"}, nil)
}

// Describe implements prometheus.Collector.
func (l *leaderMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{leaderSinceDesc(), lastDesc(), slowDesc(), heldDesc()} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (l *leaderMetrics) Collect(to chan<- prometheus.Metric) {
	since, state := l.leads()
	if since.IsZero() {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	gauge(leaderSinceDesc(), unixSeconds(since))
	for _, kind := range cycleKinds() {
		if at := l.last[kind]; !at.Before(since) {
			gauge(lastDesc(), unixSeconds(at), string(kind))
		}
		s := l.slow[kind]
		gauge(slowDesc(), oneIf(s.slow && !s.at.Before(since)), string(kind))
	}
	held := l.heldIn(since, state)
	gauge(heldDesc(), float64(held.Rooms), "rooms")
	gauge(heldDesc(), float64(held.Participants), "participants")
}

// heldIn returns what the breaker holds. That is what the last scheduled sync of this term held. Before the term's first sync it is what the
// previous leader's last report says. The caller holds the lock.
func (l *leaderMetrics) heldIn(since time.Time, state fsm.State) reconcile.Held {
	if !l.held.at.Before(since) {
		return l.held.Held
	}
	if r := node.LastReport(state, fsm.KindSync); r != nil && r.Scheduled && r.Held != nil {
		return *r.Held
	}
	return reconcile.Held{}
}

func unixSeconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
