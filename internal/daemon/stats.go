package daemon

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/httpapi"
	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	statsInterval = 10 * time.Second
	statsPoints   = 180 // half an hour
	// statsSamples limits the times from which a point's median is computed. If there are more, a random sample of that size
	// is kept.
	statsSamples = 256
)

// stats counts what happens on this node in points of statsInterval, for the last half hour.
type stats struct {
	node string
	now  func() time.Time

	mu    sync.Mutex
	began int64                 // number of the first point
	slots [statsPoints + 1]slot // by number; one more than is shown, for the current one
}

// slot is a point that is being counted. Its number is its time in intervals since 1970.
type slot struct {
	number                   int64
	webhooks, changes, drift int
	times                    []int64 // ms
	seen                     int     // number of times; the field times holds a sample of them
	occupancy                *reconcile.Occupancy
}

func newStats(node string, now func() time.Time) *stats {
	s := &stats{node: node, now: now}
	s.began = s.number()
	return s
}

func (s *stats) number() int64 { return s.now().UnixMilli() / statsInterval.Milliseconds() }

// note counts in the current point.
func (s *stats) note(count func(*slot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := s.number()
	at := &s.slots[number%int64(len(s.slots))]
	if at.number != number {
		*at = slot{number: number, times: at.times[:0]}
	}
	count(at)
}

func (t *slot) took(ms int64) {
	t.seen++
	if len(t.times) < statsSamples {
		t.times = append(t.times, ms)
	} else if i := rand.IntN(t.seen); i < statsSamples {
		t.times[i] = ms
	}
}

func (t *slot) median() int64 {
	if len(t.times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.times))
	return sorted[len(sorted)/2]
}

// Stats implements httpapi.Meter.
func (s *stats) Stats() httpapi.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := httpapi.Stats{Node: s.node, Interval: statsInterval.Milliseconds(), Points: []httpapi.Point{}}
	current := s.number()
	for number := max(s.began, current-statsPoints); number < current; number++ {
		p := httpapi.Point{Time: number * statsInterval.Milliseconds()}
		if at := &s.slots[number%int64(len(s.slots))]; at.number == number {
			p.Webhooks, p.Changes, p.Drift, p.Converge = at.webhooks, at.changes, at.drift, at.median()
			p.Occupancy = at.occupancy
		}
		answer.Points = append(answer.Points, p)
	}
	return answer
}
