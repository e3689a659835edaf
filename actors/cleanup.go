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

	"github.com/rollcallhq/rollcall/reconcile"
)

// CleanupRequest is one owner's part of a cleanup: rooms of the index.
type CleanupRequest struct {
	Leader reconcile.Token
	Stale  time.Duration
	Dry    bool
	Rooms  []string
}

// CleanupResult is the outcome of a CleanupRequest.
type CleanupResult struct {
	Orphans []string // delisted: in the index without public keys
	Stale   []string // not confirmed for too long
	Moved   []string // rooms that this owner no longer owns
	Errors  int
	Err     string
}

func (t *CleanupResult) add(other CleanupResult) {
	t.Orphans = append(t.Orphans, other.Orphans...)
	t.Stale = append(t.Stale, other.Stale...)
	t.Moved = append(t.Moved, other.Moved...)
	t.Errors += other.Errors
	if t.Err == "" {
		t.Err = other.Err
	}
}

// Cleanup delists orphans and finds the rooms that no look has confirmed for too long.
func (h *Host) Cleanup(ctx context.Context, t CleanupRequest) (CleanupResult, error) {
	sum, mu := CleanupResult{}, sync.Mutex{}
	each(t.Rooms, func(room string) {
		var one CleanupResult
		err := h.env.guard.Contain("cleaning up room "+strconv.Quote(room), func() error { one = h.cleanupRoom(ctx, t, room); return nil })
		if err != nil {
			one = CleanupResult{Errors: 1, Err: err.Error()}
		}
		mu.Lock()
		defer mu.Unlock()
		sum.add(one)
	})
	return sum, ctx.Err()
}

func (h *Host) cleanupRoom(ctx context.Context, t CleanupRequest, room string) CleanupResult {
	a, err := h.ask(ctx, room, &cleanup{leader: t.Leader, stale: t.Stale, dry: t.Dry})
	switch {
	case errors.Is(err, ErrNotOwner):
		return CleanupResult{Moved: []string{room}}
	case err != nil:
		return CleanupResult{Errors: 1, Err: fmt.Sprintf("room %q: %v", room, err)}
	case a.orphan:
		return CleanupResult{Orphans: []string{room}}
	case !a.idle:
		return CleanupResult{Stale: []string{room}}
	}
	return CleanupResult{}
}

// Cleanup removes what the sync leaves behind: orphans of the index, and rooms that no look has confirmed for StaleAfter.
// Such a room is removed after two successful looks and under the breaker.
func (s *Sweep) Cleanup(ctx context.Context, leader reconcile.Token, o reconcile.Options) (reconcile.Report, error) {
	return s.exclusive(ctx, func() (reconcile.Report, error) { return s.cleanup(ctx, leader, o) })
}

func (s *Sweep) cleanup(ctx context.Context, leader reconcile.Token, o reconcile.Options) (reconcile.Report, error) {
	start := time.Now()
	r := reconcile.Report{StartedAt: start.UTC(), Scheduled: o.Scheduled, DryRun: o.DryRun, Forced: o.Force}
	defer s.begin("cleanup", start)()
	known := map[string]bool{}
	_, err := s.indexed(ctx, known, &r)
	if err != nil {
		r.Fault = reconcile.RedisSilent
	} else {
		err = s.cleanupAll(ctx, leader, known, o, &r)
	}
	if err == nil && !o.DryRun && s.Housekeeping != nil {
		err = s.Housekeeping(ctx)
	}
	if err != nil {
		r.Errors, r.Error = r.Errors+1, err.Error()
	}
	took(&r, time.Since(start))
	return r, ctx.Err()
}

func (s *Sweep) cleanupAll(ctx context.Context, leader reconcile.Token, known map[string]bool, o reconcile.Options, r *reconcile.Report) error {
	sum := s.cleanupEach(ctx, CleanupRequest{Leader: leader, Stale: time.Duration(s.stale.Load()), Dry: o.DryRun}, slices.Sorted(maps.Keys(known)))
	slices.Sort(sum.Orphans)
	r.Cleaned, r.Errors, r.Error = len(sum.Orphans), r.Errors+sum.Errors, cmp.Or(r.Error, sum.Err)
	for _, room := range sum.Orphans {
		r.Differences = append(r.Differences, reconcile.Difference{Room: room, Change: "index_entry_removed", Reason: "it has no keys"})
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

// cleanupEach sends each owner its part and sums the results.
func (s *Sweep) cleanupEach(ctx context.Context, t CleanupRequest, rooms []string) CleanupResult {
	sum, mu := CleanupResult{}, sync.Mutex{}
	left := s.Router.fanout(ctx, rooms, func(ctx context.Context, owner Owner, rooms []string) (moved, again []string, err error) {
		mine := t
		mine.Rooms = rooms
		var one CleanupResult
		err = s.guard.Contain("a cleanup's part", func() (err error) { one, err = owner.Cleanup(ctx, mine); return err })
		if err != nil && ownerChanged(ctx, err) {
			return nil, nil, err
		}
		if err != nil {
			one.add(CleanupResult{Errors: 1, Err: err.Error()})
		}
		moved = one.Moved
		one.Moved = nil
		mu.Lock()
		defer mu.Unlock()
		sum.add(one)
		return moved, nil, nil
	})
	if len(left) > 0 {
		sum.add(CleanupResult{Errors: len(left), Err: fmt.Sprintf("%d rooms have no owner that can be reached", len(left))})
	}
	return sum
}
