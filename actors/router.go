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
	// reroute is the longest that Router waits for another view before it asks again who owns a room.
	reroute = 50 * time.Millisecond
	// refence is how long Deliver waits, after Redis refused a claim because of a newer owner, for the view that names that owner. Then it relays.
	refence = 500 * time.Millisecond
)

// errMoved ends a request whose room has another owner by now.
var errMoved = fmt.Errorf("%w any more: the view has changed", ErrNotOwner)

// Router sends work to the owners of rooms.
type Router struct {
	// Relay, if not nil, sends an event to its room's owner by the view of another node.
	Relay func(ctx context.Context, e reconcile.Event) error

	own  Ownership
	peer func(Place) (Owner, bool)
}

// NewRouter returns a Router that routes by own's view. peer returns the way to a member, this node included.
func NewRouter(own Ownership, peer func(Place) (Owner, bool)) *Router {
	return &Router{own: own, peer: peer}
}

// Deliver sends an event to the owner of its room. While ownership moves, it tries the next owner, until ctx ends.
func (r *Router) Deliver(ctx context.Context, e reconcile.Event) error {
	for {
		view := r.own.View()
		err := r.deliver(ctx, view, e)
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

// relay sends an event through another node after a newer owner's claim refused it here, although no newer view has come. Either the
// other nodes have that view and this node is cut off from the leader, or the newer owner does not belong to this cluster.
func (r *Router) relay(ctx context.Context, e reconcile.Event, fenced error) error {
	if r.Relay == nil {
		return fenced
	}
	if err := r.Relay(ctx, e); err != nil {
		return fmt.Errorf("%w; nor by another node: %w", fenced, err)
	}
	return nil
}

// deliver sends an event to the owner of its room. It waits while the room stays there; view is from before it asked who the owner is.
func (r *Router) deliver(ctx, view context.Context, e reconcile.Event) error {
	room := e.Room.Name
	place, owner, err := r.owner(room)
	if err != nil {
		return err
	}
	stays := func() bool {
		now, err := r.own.Owner(room)
		return err == nil && now.is(place)
	}
	if host, ok := owner.(*Host); ok {
		return r.deliverHere(ctx, view, host, e, stays)
	}
	ctx, done := r.follow(ctx, stays)
	defer done()
	err = owner.Deliver(ctx, e)
	if err != nil && errors.Is(context.Cause(ctx), errMoved) {
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	return err
}

// deliverHere delivers to a room of this node while the room stays. It does what follow does without another context, which took 4 % of
// a node's work for a webhook.
func (r *Router) deliverHere(ctx, view context.Context, host *Host, e reconcile.Event, stays func() bool) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(lookTimeout)
	}
	reply := host.begin(e.Room.Name, deadline, host.delivery(ctx, e))
	for {
		select {
		case a := <-reply:
			return a.err
		case <-view.Done():
			if view = r.own.View(); !stays() {
				return errMoved
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		case <-host.life.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, ErrClosing)
		}
	}
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

// follow returns a context that ends, with errMoved, at the first view in which holds is false. The caller must call done.
func (r *Router) follow(ctx context.Context, holds func() bool) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	f := &following{own: r.own, holds: holds, moved: func() { cancel(errMoved) }}
	f.next()
	return ctx, func() {
		f.end()
		cancel(nil)
	}
}

// following checks one view after another. It needs no goroutine while the view stays.
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

// ownerBatch is one owner's part of a list of rooms.
type ownerBatch struct {
	place Place
	owner Owner
	rooms []string
}

// byOwner groups rooms by owner. lost are the rooms whose owner cannot be reached.
func (r *Router) byOwner(rooms []string) (shares []*ownerBatch, lost []string) {
	byNode := map[string]*ownerBatch{}
	for _, room := range rooms {
		place, owner, err := r.owner(room)
		if err != nil {
			lost = append(lost, room)
			continue
		}
		part := byNode[place.Node]
		if part == nil {
			part = &ownerBatch{place: place, owner: owner}
			byNode[place.Node] = part
			shares = append(shares, part)
		}
		part.rooms = append(part.rooms, room)
	}
	return shares, lost
}

// places returns where the rooms are now. Rooms without an owner are missing.
func (r *Router) places(rooms []string) map[string]Place {
	at := make(map[string]Place, len(rooms))
	for _, room := range rooms {
		if place, err := r.own.Owner(room); err == nil {
			at[room] = place
		}
	}
	return at
}

// moved returns those of the rooms that are no longer where places has them.
func (r *Router) moved(rooms []string, places map[string]Place) []string {
	now := r.places(rooms)
	return slices.DeleteFunc(slices.Clone(rooms), func(room string) bool { return now[room].is(places[room]) })
}

// stay returns a context that ends, with errMoved, when the place has left the view. The caller must call the func.
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

// owners returns the members of the view that can be reached.
func (r *Router) owners() map[Place]Owner {
	all := map[Place]Owner{}
	for _, place := range r.own.Members() {
		if owner, ok := r.peer(place); ok {
			all[place] = owner
		}
	}
	return all
}
