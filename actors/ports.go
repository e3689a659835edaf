package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// These errors say why a room did not do its work. Each leaves Redis unchanged, except ErrUnavailable: there the outcome
// may be unknown, and the room finds it out before it does anything else.
var (
	ErrFenced      = errors.New("a newer owner or leader has taken over")
	ErrNotOwner    = errors.New("this node does not own the room")
	ErrExpired     = errors.New("the delivery's token has expired")
	ErrUnavailable = errors.New("the room's record cannot be committed now")
	ErrBusy        = errors.New("too many messages are waiting")
	ErrClosing     = errors.New("the node is shutting down")
)

// Store keeps the rooms' records. Each call runs one script, which is applied as a whole or refused with a
// reconcile.Refusal. After any other error the outcome is unknown.
type Store interface {
	// Claim writes the claim and returns the record that the store holds.
	Claim(ctx context.Context, room string, claim reconcile.Claim) (reconcile.Record, error)
	Commit(ctx context.Context, c reconcile.Commit) (reconcile.Receipt, error)
	// Delist removes a room without public keys from the index.
	Delist(ctx context.Context, room string, claim reconcile.Claim, leader reconcile.Token) error
}

// Index lists rooms with public keys.
type Index interface {
	// Rooms returns a page of names in a stable order. An empty next means that it is the last page. With reconcile.ErrIncomplete the page
	// is valid too, but holds only the rooms of the shards that answer.
	Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error)
}

// Rooms is LiveKit's API. A failed call is never taken as an answer; an empty answer without an error is an absence. A call may
// wait for its turn in the request budget for as long as ctx lasts. Once it has its turn, it ends by itself within a minute.
type Rooms interface {
	ListRooms(ctx context.Context) (reconcile.RoomNames, error)
	// Listed asks for rooms by name. It returns the instances of each room that LiveKit lists, in any order. A room that LiveKit does not
	// list is missing from the answer.
	Listed(ctx context.Context, names []string) (reconcile.RoomList, error)
	// Participants returns the participants of a room. The error is reconcile.ErrNoAnswer if LiveKit itself has no answer for the room.
	Participants(ctx context.Context, room string) (reconcile.ParticipantList, error)
}

// Place is a member of the view of Epoch: one process, which owns rooms in that view.
type Place struct {
	Node        string
	Incarnation uint64
	Epoch       uint64
	Addr        string // of its node port; empty for a node without one
}

// is reports whether both are the same process, in whatever view.
func (p Place) is(o Place) bool { return p.Node == o.Node && p.Incarnation == o.Incarnation }

// Ownership says who owns a room in the current view.
type Ownership interface {
	// Owner returns the place that owns the room. ErrNotOwner means that nobody owns it, ErrUnavailable that this node has
	// been out of contact with the leader for too long to say.
	Owner(room string) (Place, error)
	// Claim returns this node's claim on the room: held itself if this process has owned the room ever since, otherwise a
	// new claim with the epoch of the current view. The error is a NotOwner or ErrUnavailable.
	Claim(room string, held reconcile.Claim) (reconcile.Claim, error)
	// Leader returns the newest leader's token that this node knows of.
	Leader() reconcile.Token
	// Members returns all places of the current view.
	Members() []Place
	// View returns a context that ends when another view becomes current. Take it first, then call the other methods, then wait.
	View() context.Context
	// Epoch returns the epoch of the current view.
	Epoch() uint64
}

// NotOwner is an ErrNotOwner that names the epoch of the view in which the node does not own the room.
type NotOwner struct{ Epoch uint64 }

// Error implements error.
func (e NotOwner) Error() string {
	return fmt.Sprintf("%v in the view of epoch %d", ErrNotOwner, e.Epoch)
}

// Is reports whether target is ErrNotOwner.
func (e NotOwner) Is(target error) bool { return target == ErrNotOwner }

// Effect is what a committed input changed in a room's keys.
type Effect struct {
	Room    string
	Cause   reconcile.Cause
	At      int64 // Unix ms, when Redis confirmed it
	Changes int   // how many differences readers see; 0 for a loss that something else had repaired by then
	// Since is when the change that an event reported happened, in Unix ms by LiveKit's clock. It is exact to the
	// millisecond or, if not Exact, up to a second early. It is 0 for a look, whose Drift has its own times.
	Since int64
	Exact bool
	Drift []reconcile.Drift // what a look repaired
}

// Observer receives what happens, for metrics and for people to see. Its methods must not block.
type Observer interface {
	Committed(cause reconcile.Cause, wrote bool, took time.Duration)
	Changed(e Effect)
	Refused(err error)
	// Polled reports a look that an event asked for; ok is whether LiveKit answered.
	Polled(ok bool)
	Crashed()
	Rooms(actors int)
	// Holds reports that what this node holds of a room has changed; nil stands for a room that is not live, or not held here.
	Holds(before, after *reconcile.State)
}

// Clock returns moments: wall time for what is written, and a strictly increasing stamp for comparisons.
type Clock interface {
	Now() reconcile.Moment
}

// Owner is a node that does work for its rooms: this node, or another one through internal/rpc. The error for a room that
// the node does not own (or no longer, or not yet: its view may be behind) is ErrNotOwner.
type Owner interface {
	// Deliver returns nil once the event is committed, or covered by something newer.
	Deliver(ctx context.Context, e reconcile.Event) error
	Survey(ctx context.Context, b Batch) (Findings, error)
	// Cleanup checks rooms of the index for the cleanup.
	Cleanup(ctx context.Context, t CleanupRequest) (CleanupResult, error)
	// Names returns the rooms that have an actor.
	Names(ctx context.Context) ([]string, error)
}
