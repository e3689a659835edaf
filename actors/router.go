package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// reroute is how long Router waits for its view to catch up before it asks again who owns a room.
const reroute = 50 * time.Millisecond

// Router brings work to the owners of rooms.
type Router struct {
	own  Ownership
	peer func(node string) (Owner, bool)
}

// NewRouter routes by own's view; peer gives the way to a node, this one included.
func NewRouter(own Ownership, peer func(node string) (Owner, bool)) *Router {
	return &Router{own: own, peer: peer}
}

// Deliver brings an event to the owner of its room, and to the next one while ownership moves, until ctx ends.
func (r *Router) Deliver(ctx context.Context, e reconcile.Event) error {
	for {
		err := r.deliver(ctx, e)
		if !errors.Is(err, ErrNotOwner) {
			return err
		}
		if sleep(ctx, reroute) != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

func (r *Router) deliver(ctx context.Context, e reconcile.Event) error {
	_, owner, err := r.owner(e.Room.Name)
	if err != nil {
		return err
	}
	return owner.Deliver(ctx, e)
}

func (r *Router) owner(room string) (string, Owner, error) {
	node, err := r.own.Owner(room)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrNotOwner, err)
	}
	owner, ok := r.peer(node)
	if !ok {
		return "", nil, fmt.Errorf("%w: no way to node %s", ErrNotOwner, node)
	}
	return node, owner, nil
}

// share is what one owner gets of a list of rooms.
type share struct {
	owner Owner
	rooms []string
}

// split sorts rooms by owner; lost are those whose owner cannot be reached.
func (r *Router) split(rooms []string) (shares map[string]*share, lost int) {
	shares = map[string]*share{}
	for _, room := range rooms {
		node, owner, err := r.owner(room)
		if err != nil {
			lost++
			continue
		}
		if shares[node] == nil {
			shares[node] = &share{owner: owner}
		}
		shares[node].rooms = append(shares[node].rooms, room)
	}
	return shares, lost
}
