package daemon

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rollcallhq/rollcall/actors"
	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/reconcile"
)

func TestStats(t *testing.T) {
	now := time.UnixMilli(1795399860000)
	s := newStats("n1", func() time.Time { return now })
	if got := s.Stats(); got.Node != "n1" || got.Interval != 10_000 || len(got.Points) != 0 {
		t.Errorf("at the beginning: %+v", got)
	}
	for _, ms := range []int64{30, 10, 20} {
		s.note(func(at *slot) { at.webhooks++; at.took(ms) })
	}
	now = now.Add(25 * time.Second)
	s.note(func(at *slot) { at.drift += 2 })
	got := s.Stats().Points
	want := []httpapi.Point{{Time: 1795399860000, Webhooks: 3, Converge: 20}, {Time: 1795399870000}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, want %+v: the point at hand is not shown", got, want)
	}
	now = now.Add(10 * time.Second)
	if got = s.Stats().Points; len(got) != 3 || got[2].Drift != 2 {
		t.Errorf("then %+v", got)
	}
	now = now.Add(24 * time.Hour)
	s.note(func(at *slot) { at.changes++ })
	now = now.Add(statsInterval)
	got = s.Stats().Points
	if len(got) != statsPoints || got[statsPoints-1] != (httpapi.Point{Time: now.Add(-statsInterval).UnixMilli() / 10_000 * 10_000, Changes: 1}) {
		t.Errorf("a day later %d points, the last %+v", len(got), got[len(got)-1])
	}
	for _, p := range got[:statsPoints-1] {
		if p.Webhooks+p.Changes+p.Drift != 0 || p.Converge != 0 {
			t.Errorf("a day later %+v is still there", p)
		}
	}
}

// TestOccupancyIsKept checks that a point keeps how many people were in how many rooms at its end, and that one without an answer
// has none.
func TestOccupancyIsKept(t *testing.T) {
	now := time.UnixMilli(1795399860000)
	s := newStats("n1", func() time.Time { return now })
	for _, people := range []int{3, 5} {
		s.note(func(at *slot) { at.occupancy = &reconcile.Occupancy{Rooms: 2, People: people} })
	}
	now = now.Add(2 * statsInterval)
	if got := s.Stats().Points; len(got) != 2 || got[0].Occupancy == nil || *got[0].Occupancy != (reconcile.Occupancy{Rooms: 2, People: 5}) || got[1].Occupancy != nil {
		t.Errorf("%+v", got)
	}
	now = now.Add(time.Duration(statsPoints) * statsInterval)
	s.note(func(at *slot) { at.webhooks++ })
	if at := s.slots[s.number()%int64(len(s.slots))]; at.occupancy != nil {
		t.Error("a point begins with the occupancy of half an hour ago")
	}
}

func TestMedianOfMany(t *testing.T) {
	var at slot
	for i := range 100_000 {
		at.took(int64(i))
	}
	// The limits are 10 standard deviations wide.
	if m := at.median(); len(at.times) != statsSamples || m < 15_000 || m > 85_000 {
		t.Errorf("the median of 0 to 99999 is %d, of %d samples", m, len(at.times))
	}
}

// TestConverge checks that the time to a commit is observed by cause if its beginning is known, and otherwise not at all.
func TestConverge(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry())
	for _, e := range []actors.Effect{
		{Cause: reconcile.ByWebhook, At: 10_000, Since: 9_000, Changes: 1},
		{Cause: reconcile.ByWebhook, At: 10_000, Since: 12_000, Changes: 1}, // LiveKit's clock is ahead
		{Cause: reconcile.ByWebhook, At: 10_000, Since: 5_000},              // it repaired something else, and changed nothing of its own
		{Cause: reconcile.BySync, At: 10_000, Changes: 3, Drift: []reconcile.Drift{{Reason: reconcile.MissedJoin, Since: 6_000},
			{Reason: reconcile.StaleMetadata}, {Reason: reconcile.LostWrite}}},
	} {
		m.changed(e)
	}
	for cause, want := range map[string]struct {
		count uint64
		sum   float64
	}{"webhook": {2, 1}, "sync": {1, 4}, "cleanup": {0, 0}} {
		var got dto.Metric
		if err := m.converge.WithLabelValues(cause).(prometheus.Histogram).Write(&got); err != nil {
			t.Fatal(err)
		}
		if h := got.GetHistogram(); h.GetSampleCount() != want.count || h.GetSampleSum() != want.sum {
			t.Errorf("%s: %d observations of %v s together, want %+v", cause, h.GetSampleCount(), h.GetSampleSum(), want)
		}
	}
}
