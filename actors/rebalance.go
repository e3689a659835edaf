package actors

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// adoptPage is how many names of the index are read at a time.
	adoptPage = 1000
	// adoptRetry is the first pause before failed claims are retried. It doubles, up to adoptSoon if Redis failed and up to adoptLate if
	// Redis refused: then a later owner has claimed the room, and that claim stays until that owner ends or the view changes.
	adoptRetry = time.Second
	adoptSoon  = 5 * time.Second
	adoptLate  = 2 * time.Minute
)

// follow keeps the rooms in step with the view. A room that has moved away stops after the messages that it has. A room that
// has moved here is claimed at once, because Redis can refuse the previous owner only after a newer claim on that room.
func (h *Host) follow(index Index) {
	for h.life.Err() == nil {
		view := h.env.own.View()
		h.send(viewChanged{})
		if index != nil {
			h.adoptAll(view, index)
		}
		select {
		case <-view.Done():
		case <-h.life.Done():
		}
	}
}

// adoptAll tries until every room of the index that this node owns has been claimed, or the view changes.
func (h *Host) adoptAll(view context.Context, index Index) {
	ctx, cancel := context.WithCancel(h.life)
	defer cancel()
	defer context.AfterFunc(view, cancel)()
	for pause := adoptRetry; ; pause *= 2 {
		err := h.env.guard.Contain("claiming the rooms of the index", func() error { return h.claimRooms(ctx, index) })
		if err == nil || ctx.Err() != nil {
			return
		}
		if pause = min(pause, adoptLate); !errors.Is(err, ErrFenced) {
			pause = min(pause, adoptSoon)
		}
		if wait.For(ctx, pause) != nil {
			return
		}
	}
}

// claimRooms claims the rooms of the index that this node owns. If several rooms fail, it returns a refusal rather than another error. If the
// index is incomplete, it claims the rooms that are listed.
func (h *Host) claimRooms(ctx context.Context, index Index) error {
	var failed error
	for cursor := ""; ; {
		page, cancel := context.WithTimeout(ctx, lookTimeout)
		names, next, err := index.Rooms(page, cursor, adoptPage, "")
		cancel()
		if err != nil && !errors.Is(err, reconcile.ErrIncomplete) {
			return err
		}
		if err != nil && failed == nil {
			failed = err
		}
		errs := make(chan error, len(names))
		each(names, func(room string) {
			errs <- h.env.guard.Contain("claiming room "+strconv.Quote(room), func() error {
				if _, err := h.env.own.Claim(room, reconcile.Claim{}); err != nil {
					return nil // not this node's
				}
				return h.prepare(ctx, room, false)
			})
		})
		close(errs)
		for err := range errs {
			if err != nil && !errors.Is(err, ErrNotOwner) && !errors.Is(failed, ErrFenced) {
				failed = err
			}
		}
		if cursor = next; cursor == "" || ctx.Err() != nil {
			return failed
		}
	}
}

// viewChanged asks the supervisor to stop the rooms that this node no longer owns.
type viewChanged struct{}

func (s *supervisor) viewChanged(c actor.Context) {
	for name, e := range s.rooms {
		if e.closing {
			continue
		}
		if _, err := s.env.own.Claim(name, reconcile.Claim{}); errors.Is(err, ErrNotOwner) {
			e.closing = true
			c.Poison(e.pid)
		}
	}
}
