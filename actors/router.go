package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	// reroute is how long Router waits for another view, at the most, before it asks again who owns a room.
	reroute = 50 * time.Millisecond
	// refence is how long it waits for the view that made a newer owner, when an owner was refused for that one.
	refence = 500 * time.Millisecond
)

// errMoved ends a request whose room is owned elsewhere by now.
var errMoved = fmt.Errorf("%w any more: the view has changed", ErrNotOwner)

// Router brings work to the owners of rooms.
type Router struct {
	// Relay, where there are other nodes, brings an event to its room's owner by another node's view.
	Relay func(ctx context.Context, e reconcile.Event) error

	own  Ownership
	peer func(Place) (Owner, bool)
}

// NewRouter routes by own's view; peer gives the way to a member, this node included.
func NewRouter(own Ownership, peer func(Place) (Owner, bool)) *Router {
	return &Router{own: own, peer: peer}
}

// Deliver brings an event to the owner of its room, and to the next one while ownership moves, until ctx ends.
func (r *Router) Deliver(ctx context.Context, e reconcile.Event) error {
	for {
		view := r.own.View()
		err := r.deliver(ctx, e)
		switch {
		case errors.Is(err, ErrFenced):
			if nextView(ctx, view, refence); view.Err() == nil {
				return r.relay(ctx, e, err)
			}
		case !errors.Is(err, ErrNotOwner):
			return err
		default:
			nextView(ctx, view, reroute)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// relay is for an event that a newer owner's claim refused, though no newer view has come. The others may have that view, and
// this node be cut off from the leader. Otherwise the newer owner is none of this cluster.
func (r *Router) relay(ctx context.Context, e reconcile.Event, fenced error) error {
	if r.Relay == nil {
		return fenced
	}
	if err := r.Relay(ctx, e); err != nil {
		return fmt.Errorf("%w; nor by another node: %w", fenced, err)
	}
	return nil
}

func (r *Router) deliver(ctx context.Context, e reconcile.Event) error {
	place, owner, err := r.owner(e.Room.Name)
	if err != nil {
		return err
	}
	ctx, done := r.follow(ctx, func() bool {
		now, err := r.own.Owner(e.Room.Name)
		return err == nil && now.is(place)
	})
	defer done()
	err = owner.Deliver(ctx, e)
	if err != nil && errors.Is(context.Cause(ctx), errMoved) {
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	return err
}

func (r *Router) owner(room string) (Place, Owner, error) {
	place, err := r.own.Owner(room)
	if err != nil {
		return Place{}, nil, err
	}
	owner, ok := r.peer(place)
	if !ok {
		return Place{}, nil, fmt.Errorf("%w: no way to node %s", ErrNotOwner, place.Node)
	}
	return place, owner, nil
}

// nextView returns when the view has changed, or that long has passed, or ctx has ended.
func nextView(ctx, view context.Context, within time.Duration) {
	wait, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case <-view.Done():
	case <-wait.Done():
	}
}

// follow gives a context that ends, with errMoved, at the first view in which holds is false. done must be called.
func (r *Router) follow(ctx context.Context, holds func() bool) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	f := &following{own: r.own, holds: holds, moved: func() { cancel(errMoved) }}
	f.next()
	return ctx, func() {
		f.end()
		cancel(nil)
	}
}

// following looks at one view after another. It costs no goroutine while the view stays.
type following struct {
	own   Ownership
	holds func() bool
	moved func()

	mu    sync.Mutex
	ended bool
	stop  func() bool
}

func (f *following) next() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	view := f.own.View()
	if !f.holds() {
		f.moved()
		return
	}
	f.stop = context.AfterFunc(view, f.next)
}

func (f *following) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if f.stop != nil {
		f.stop()
	}
}

// share is what one owner gets of a list of rooms.
type share struct {
	place Place
	owner Owner
	rooms []string
}

// split sorts rooms by owner; lost are those whose owner cannot be reached.
func (r *Router) split(rooms []string) (shares []*share, lost []string) {
	byNode := map[string]*share{}
	for _, room := range rooms {
		place, owner, err := r.owner(room)
		if err != nil {
			lost = append(lost, room)
			continue
		}
		part := byNode[place.Node]
		if part == nil {
			part = &share{place: place, owner: owner}
			byNode[place.Node] = part
			shares = append(shares, part)
		}
		part.rooms = append(part.rooms, room)
	}
	return shares, lost
}

// places are where rooms are now; those without an owner are missing.
func (r *Router) places(rooms []string) map[string]Place {
	at := make(map[string]Place, len(rooms))
	for _, room := range rooms {
		if place, err := r.own.Owner(room); err == nil {
			at[room] = place
		}
	}
	return at
}

// moved are those of the rooms that are not where they were.
func (r *Router) moved(rooms []string, places map[string]Place) []string {
	now := r.places(rooms)
	return slices.DeleteFunc(slices.Clone(rooms), func(room string) bool { return now[room].is(places[room]) })
}

// stay gives a context that ends, with errMoved, when the place has left the view.
func (r *Router) stay(ctx context.Context, place Place) (context.Context, func()) {
	return r.follow(ctx, func() bool {
		for _, m := range r.own.Members() {
			if m.is(place) {
				return true
			}
		}
		return false
	})
}

// owners are the members of the view that can be reached.
func (r *Router) owners() map[Place]Owner {
	all := map[Place]Owner{}
	for _, place := range r.own.Members() {
		if owner, ok := r.peer(place); ok {
			all[place] = owner
		}
	}
	return all
}
