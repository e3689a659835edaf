package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rollcallhq/rollcall/internal/crash"
)

const (
	// shareChunk is how many rooms go to an owner in one request, so that a cycle can tell how far it is and a request
	// that is lost with its owner costs little.
	shareChunk = 500
	// spreads is how often rooms whose owner went away are sent to the next one.
	spreads = 3
)

// work is what an owner does for some of its rooms. Rooms that moved go to their next owner; those that are to be done again, to this one.
type work func(ctx context.Context, owner Owner, rooms []string) (moved, again []string, err error)

// spread brings rooms to their owners, some at a time and all owners at once. Rooms that it could not do because their
// owner changed go to the next one; those that stay without are left.
func (r *Router) spread(ctx context.Context, rooms []string, do work) (left []string) {
	for range spreads {
		view := r.own.View()
		shares, lost := r.split(rooms)
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

func (r *Router) send(ctx context.Context, shares []*share, do work) (left []string) {
	var mu sync.Mutex
	var owners sync.WaitGroup
	for _, part := range shares {
		owners.Go(func() {
			ctx, done := r.stay(ctx, part.place)
			defer done()
			for rest := part.rooms; len(rest) > 0; {
				chunk := rest[:min(len(rest), shareChunk)]
				moved, again, err := do(ctx, part.owner, chunk)
				if err != nil && elsewhere(ctx, err) {
					moved, again = chunk, nil
				}
				mu.Lock()
				left = append(left, moved...)
				mu.Unlock()
				rest = slices.Concat(again, rest[len(chunk):])
			}
		})
	}
	owners.Wait()
	return left
}

// elsewhere tells whether a failure means that the work may be done by another owner.
func elsewhere(ctx context.Context, err error) bool {
	return errors.Is(context.Cause(ctx), errMoved) || errors.Is(err, ErrNotOwner)
}

// survey sends each owner its part and sums the findings.
func (s *Sweep) survey(ctx context.Context, b Batch, rooms []string) Findings {
	s.expect(len(rooms))
	sum, mu := Findings{}, sync.Mutex{}
	left := s.Router.spread(ctx, rooms, func(ctx context.Context, owner Owner, rooms []string) (moved, again []string, err error) {
		mine := b
		mine.Rooms = rooms
		var f Findings
		err = crash.Contain(s.Log, "a survey", func() (err error) { f, err = owner.Survey(ctx, mine); return err })
		if err != nil && elsewhere(ctx, err) {
			return nil, nil, err // whatever it found is looked at anew
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
