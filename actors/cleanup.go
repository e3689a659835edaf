package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/internal/crash"
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
	Moved   []string // rooms that this owner does not own any more
	Errors  int
	Err     string
}

func (t *Tended) add(other Tended) {
	t.Orphans = append(t.Orphans, other.Orphans...)
	t.Stale = append(t.Stale, other.Stale...)
	t.Moved = append(t.Moved, other.Moved...)
	t.Errors += other.Errors
	if t.Err == "" {
		t.Err = other.Err
	}
}

// Tend delists orphans and finds the rooms that no look has confirmed.
func (h *Host) Tend(ctx context.Context, t Tending) (Tended, error) {
	sum, mu := Tended{}, sync.Mutex{}
	each(t.Rooms, func(room string) {
		var one Tended
		err := crash.Contain(h.env.log, "tending room "+strconv.Quote(room), func() error { one = h.tend(ctx, t, room); return nil })
		if err != nil {
			one = Tended{Errors: 1, Err: err.Error()}
		}
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
	case errors.Is(err, ErrNotOwner):
		return Tended{Moved: []string{room}}
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
	defer s.begin("cleanup", start)()
	known := map[string]bool{}
	err := s.indexed(ctx, known, &r)
	if err == nil {
		err = s.tendAll(ctx, leader, known, o, &r)
	}
	if err == nil && !o.DryRun && s.Housekeeping != nil {
		err = s.Housekeeping(ctx)
	}
	if err != nil {
		r.Errors, r.Error = r.Errors+1, err.Error()
	}
	r.took(time.Since(start))
	return r, ctx.Err()
}

func (s *Sweep) tendAll(ctx context.Context, leader reconcile.Token, known map[string]bool, o Options, r *Report) error {
	sum := s.tendEach(ctx, Tending{Leader: leader, Stale: s.StaleAfter, Dry: o.DryRun}, slices.Sorted(maps.Keys(known)))
	slices.Sort(sum.Orphans)
	r.Cleaned, r.Errors, r.Error = len(sum.Orphans), r.Errors+sum.Errors, cmp.Or(r.Error, sum.Err)
	for _, room := range sum.Orphans {
		r.Differences = append(r.Differences, Difference{Room: room, Change: "index_entry_removed", Reason: "it has no keys"})
	}
	if len(sum.Stale) == 0 {
		return nil
	}
	fresh := o
	fresh.Scheduled = false // only a sync's cycles count for the breaker
	slices.Sort(sum.Stale)
	s.rounds(ctx, s.batch(leader, fresh, reconcile.ByCleanup), sum.Stale, nil, fresh, r)
	return nil
}

// tendEach sends each owner its part and sums what it came to.
func (s *Sweep) tendEach(ctx context.Context, t Tending, rooms []string) Tended {
	sum, mu := Tended{}, sync.Mutex{}
	left := s.Router.spread(ctx, rooms, func(ctx context.Context, owner Owner, rooms []string) (moved, again []string, err error) {
		mine := t
		mine.Rooms = rooms
		var one Tended
		err = crash.Contain(s.Log, "a cleanup's part", func() (err error) { one, err = owner.Tend(ctx, mine); return err })
		if err != nil && elsewhere(ctx, err) {
			return nil, nil, err
		}
		if err != nil {
			one.add(Tended{Errors: 1, Err: err.Error()})
		}
		moved = one.Moved
		one.Moved = nil
		mu.Lock()
		defer mu.Unlock()
		sum.add(one)
		return moved, nil, nil
	})
	if len(left) > 0 {
		sum.add(Tended{Errors: len(left), Err: fmt.Sprintf("%d rooms have no owner that can be reached", len(left))})
	}
	return sum
}
