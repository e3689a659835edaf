package actors

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Tending is one owner's part of a cleanup: rooms of the index.
type Tending struct {
	Leader reconcile.Token
	Stale  time.Duration
	Dry    bool
	Rooms  []string
}

// Tended is what it came to.
type Tended struct {
	Orphans []string // delisted: in the index without public keys
	Stale   []string // not confirmed for too long
	Errors  int
	Err     string
}

func (t *Tended) add(other Tended) {
	t.Orphans = append(t.Orphans, other.Orphans...)
	t.Stale = append(t.Stale, other.Stale...)
	t.Errors += other.Errors
	if t.Err == "" {
		t.Err = other.Err
	}
}

// Tend delists orphans and finds the rooms that no look has confirmed.
func (h *Host) Tend(ctx context.Context, t Tending) (Tended, error) {
	sum, mu := Tended{}, sync.Mutex{}
	each(t.Rooms, func(room string) {
		one := h.tend(ctx, t, room)
		mu.Lock()
		defer mu.Unlock()
		sum.add(one)
	})
	return sum, ctx.Err()
}

func (h *Host) tend(ctx context.Context, t Tending, room string) Tended {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	a, err := h.ask(ctx, room, func(c call) message { return &tend{c, t.Leader, t.Stale, t.Dry} })
	switch {
	case err != nil:
		return Tended{Errors: 1, Err: fmt.Sprintf("room %q: %v", room, err)}
	case a.look.tally.Cleaned > 0:
		return Tended{Orphans: []string{room}}
	case !a.idle:
		return Tended{Stale: []string{room}}
	}
	return Tended{}
}

// Cleanup removes what the sync leaves: orphans of the index, and rooms that no look has confirmed for StaleAfter, after
// two successful looks and under the breaker.
func (s *Sweep) Cleanup(ctx context.Context, leader reconcile.Token, o Options) (Report, error) {
	return s.exclusive(ctx, func() (Report, error) { return s.cleanup(ctx, leader, o) })
}

func (s *Sweep) cleanup(ctx context.Context, leader reconcile.Token, o Options) (Report, error) {
	start := time.Now()
	r := Report{StartedAt: start.UTC(), Scheduled: o.Scheduled, DryRun: o.DryRun, Forced: o.Force}
	known := map[string]bool{}
	err := s.indexed(ctx, known)
	if err == nil {
		err = s.tendAll(ctx, leader, known, o, &r)
	}
	if err == nil && !o.DryRun && s.Housekeeping != nil {
		err = s.Housekeeping(ctx)
	}
	if err != nil {
		r.Errors, r.Error = r.Errors+1, err.Error()
	}
	r.DurationMs = time.Since(start).Milliseconds()
	return r, ctx.Err()
}

func (s *Sweep) tendAll(ctx context.Context, leader reconcile.Token, known map[string]bool, o Options, r *Report) error {
	shares, lost := s.Router.split(slices.Sorted(maps.Keys(known)))
	sum := Tended{Errors: lost}
	for _, part := range shares {
		one, err := part.owner.Tend(ctx, Tending{Leader: leader, Stale: s.StaleAfter, Dry: o.DryRun, Rooms: part.rooms})
		if err != nil {
			one.add(Tended{Errors: 1, Err: err.Error()})
		}
		sum.add(one)
	}
	slices.Sort(sum.Orphans)
	r.Cleaned, r.Errors, r.Error = len(sum.Orphans), sum.Errors, sum.Err
	for _, room := range sum.Orphans {
		r.Differences = append(r.Differences, Difference{Room: room, Change: "index_entry_removed", Reason: "it has no keys"})
	}
	if len(sum.Stale) == 0 {
		return nil
	}
	fresh := o
	fresh.Scheduled = false // only a sync's cycles count for the breaker
	slices.Sort(sum.Stale)
	s.rounds(ctx, s.batch(leader, fresh, reconcile.ByCleanup), sum.Stale, fresh, r)
	return nil
}
