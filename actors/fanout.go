package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

const (
	// ownerBatchSize is the most rooms that go to an owner in one request. It is small, so that a cycle can show its progress
	// and a request that is lost with its owner costs little.
	ownerBatchSize = 500
	// fanoutRetries is how often rooms whose owner went away are sent to the next one.
	fanoutRetries = 3
)

// work has an owner do its work for some of its rooms. Rooms that moved go to their next owner; rooms to be done again go to this owner.
type work func(ctx context.Context, owner Owner, rooms []string) (moved, again []string, err error)

// fanout sends rooms to their owners, to all owners concurrently, in batches of at most ownerBatchSize. A room that was not done
// because its owner changed goes to the next owner. left are the rooms that have no owner after fanoutRetries tries.
func (r *Router) fanout(ctx context.Context, rooms []string, do work) (left []string) {
	for range fanoutRetries {
		view := r.own.View()
		shares, lost := r.byOwner(rooms)
		left = append(lost, r.send(ctx, shares, do)...)
		if len(left) == 0 {
			break
		}
		if nextView(ctx, view, reroute); ctx.Err() != nil {
			break
		}
		rooms = left
	}
	return left
}

func (r *Router) send(ctx context.Context, shares []*ownerBatch, do work) (left []string) {
	var mu sync.Mutex
	var owners sync.WaitGroup
	for _, part := range shares {
		owners.Go(func() {
			ctx, done := r.stay(ctx, part.place)
			defer done()
			for rest := part.rooms; len(rest) > 0; {
				batch := rest[:min(len(rest), ownerBatchSize)]
				moved, again, err := do(ctx, part.owner, batch)
				if err != nil && ownerChanged(ctx, err) {
					moved, again = batch, nil
				}
				mu.Lock()
				left = append(left, moved...)
				mu.Unlock()
				rest = slices.Concat(again, rest[len(batch):])
			}
		})
	}
	owners.Wait()
	return left
}

// ownerChanged reports whether a failure means that another owner may do the work.
func ownerChanged(ctx context.Context, err error) bool {
	return errors.Is(context.Cause(ctx), errMoved) || errors.Is(err, ErrNotOwner)
}

// surveyAll sends each owner its part and sums the findings.
func (s *Sweep) surveyAll(ctx context.Context, b Batch, rooms []string) Findings {
	s.expect(len(rooms))
	sum, mu := Findings{}, sync.Mutex{}
	left := s.Router.fanout(ctx, rooms, func(ctx context.Context, owner Owner, rooms []string) (moved, again []string, err error) {
		mine := b
		mine.Rooms = rooms
		var f Findings
		err = s.guard.Contain("a survey", func() (err error) { f, err = owner.Survey(ctx, mine); return err })
		if err != nil && ownerChanged(ctx, err) {
			return nil, nil, err // whatever it found is looked at again
		}
		moved, again = f.Moved, f.Unlooked
		if err != nil {
			again = nil
			f.add(failed(max(0, len(rooms)-f.Examined-f.Errors-len(moved)), err))
		}
		f.Moved, f.Unlooked = nil, nil
		mu.Lock()
		defer mu.Unlock()
		sum.add(f)
		s.advance(len(rooms) - len(moved) - len(again))
		return moved, again, nil
	})
	if len(left) > 0 {
		sum.add(failed(len(left), fmt.Errorf("%d rooms have no owner that can be reached", len(left))))
	}
	return sum
}
