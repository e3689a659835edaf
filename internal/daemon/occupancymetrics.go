package daemon

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcallhq/rollcall/internal/livekit"
	"github.com/rollcallhq/rollcall/reconcile"
)

// otherKind is the label of participants whose kind is not known to this build.
const otherKind = "OTHER"

// occupancyMetrics count the live rooms that this node holds and the participants in them.
type occupancyMetrics struct {
	mu    sync.Mutex
	rooms int
	kinds map[string]int // by kind; its keys never change
}

func newOccupancyMetrics() *occupancyMetrics {
	o := &occupancyMetrics{kinds: map[string]int{otherKind: 0}}
	for _, kind := range livekit.Kinds() {
		o.kinds[kind] = 0
	}
	return o
}

// changed counts the difference between two states of a room; nil stands for a room that is not live or not held.
func (o *occupancyMetrics) changed(before, after *reconcile.State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if before != nil {
		o.rooms--
	}
	if after != nil {
		o.rooms++
	}
	was, is := reconcile.RosterChange(before, after)
	o.add(was, -1)
	o.add(is, 1)
}

// add adds members n times. The caller holds the lock.
func (o *occupancyMetrics) add(members []*reconcile.Member, n int) {
	for _, m := range members {
		kind := m.Kind
		if _, known := o.kinds[kind]; !known {
			kind = otherKind
		}
		o.kinds[kind] += n
	}
}

func roomsDesc() *prometheus.Desc {
	return prometheus.NewDesc("rollcall_rooms", "Live rooms that this node owns. The sum over all nodes is that of the cluster.", nil, nil)
}

func participantsDesc() *prometheus.Desc {
	return prometheus.NewDesc("rollcall_participants",
		"Participants in the live rooms that this node owns, by LiveKit's kind, hidden ones included. The sum over all nodes is that of the cluster.", []string{"kind"}, nil)
}

// Describe implements prometheus.Collector.
func (o *occupancyMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- roomsDesc()
	to <- participantsDesc()
}

// Collect implements prometheus.Collector.
func (o *occupancyMetrics) Collect(to chan<- prometheus.Metric) {
	o.mu.Lock()
	defer o.mu.Unlock()
	to <- prometheus.MustNewConstMetric(roomsDesc(), prometheus.GaugeValue, float64(o.rooms))
	for kind, count := range o.kinds {
		to <- prometheus.MustNewConstMetric(participantsDesc(), prometheus.GaugeValue, float64(count), kind)
	}
}
