package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// What a caller learns when a room did not do its work. Each leaves Redis as it was, but ErrUnavailable: there the
// outcome may be unknown, and the room finds out before it goes on.
var (
	ErrFenced      = errors.New("a newer owner or leader has taken over")
	ErrNotOwner    = errors.New("this node does not own the room")
	ErrExpired     = errors.New("the delivery's token has expired")
	ErrUnavailable = errors.New("the room's record cannot be committed now")
	ErrBusy        = errors.New("too many messages are waiting")
	ErrClosing     = errors.New("the node is shutting down")
)

// Store keeps the rooms' records. Each call is one script: it happens whole or is refused with a reconcile.Refusal; any
// other error leaves the outcome unknown.
type Store interface {
	// Claim writes the claim and returns the record that stands.
	Claim(ctx context.Context, room string, claim reconcile.Claim) (reconcile.Record, error)
	Commit(ctx context.Context, c reconcile.Commit) (reconcile.Receipt, error)
	// Delist takes a room without public keys out of the index.
	Delist(ctx context.Context, room string, claim reconcile.Claim, leader reconcile.Token) error
}

// Index lists rooms with public keys.
type Index interface {
	// Rooms gives a page of names in a stable order; an empty next ends it. With a reconcile.ErrIncomplete it is the page all the same, of
	// the shards that answer.
	Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error)
}

// Rooms is LiveKit. An error is no look; an empty answer without an error is an absence. A call may wait for its turn in the
// request budget for as long as ctx lasts; from then on it ends by itself, within a minute at the most.
type Rooms interface {
	ListRooms(ctx context.Context) (reconcile.RoomNames, error)
	// Listed is ListRooms by name: the instances of each room that LiveKit lists, in any order. A room that it does not list is missing
	// from the answer.
	Listed(ctx context.Context, names []string) (reconcile.RoomList, error)
	// Participants are those of a room. The error is reconcile.ErrNoAnswer if LiveKit itself has no answer for the room.
	Participants(ctx context.Context, room string) (reconcile.ParticipantList, error)
}

// Place is a member of the view of Epoch: one process, which owns rooms there.
type Place struct {
	Node        string
	Incarnation uint64
	Epoch       uint64
	Addr        string // of its node port; empty for a node without one
}

// is tells whether both are the same process, in whatever view.
func (p Place) is(o Place) bool { return p.Node == o.Node && p.Incarnation == o.Incarnation }

// Ownership says who owns a room in the view at hand.
type Ownership interface {
	// Owner is where the room is owned. ErrNotOwner means that nobody owns it, ErrUnavailable that this node has been out
	// of contact with the leader for too long to say.
	Owner(room string) (Place, error)
	// Claim is this node's claim on the room: held itself where the room has been this process's ever since, else a new
	// one, whose epoch is that of the view at hand. Errors: a NotOwner, ErrUnavailable.
	Claim(room string, held reconcile.Claim) (reconcile.Claim, error)
	// Leader is the newest leader's token that this node knows of.
	Leader() reconcile.Token
	// Members are all places of the view at hand.
	Members() []Place
	// View ends when another view is at hand. Take it first, then ask the others, then wait.
	View() context.Context
	// Epoch is that of the view at hand.
	Epoch() uint64
}

// NotOwner is the ErrNotOwner of a node that says by which view it does not own a room.
type NotOwner struct{ Epoch uint64 }

// Error implements error.
func (e NotOwner) Error() string {
	return fmt.Sprintf("%v in the view of epoch %d", ErrNotOwner, e.Epoch)
}

// Is makes it an ErrNotOwner.
func (e NotOwner) Is(target error) bool { return target == ErrNotOwner }

// Effect is what a committed input changed of a room's keys.
type Effect struct {
	Room    string
	Cause   reconcile.Cause
	At      int64 // Unix ms, when Redis had confirmed it
	Changes int   // how many differences readers see; 0 where a loss is told that something else had mended by then
	// Since is when what an event told of happened, in Unix ms by LiveKit's clock, to the millisecond or (not Exact) up to
	// a second early; 0 for a look, whose Drift has its own times.
	Since int64
	Exact bool
	Drift []reconcile.Drift // what a look repaired
}

// Observer is told what happens, for metrics and for people to see. Its methods must not block.
type Observer interface {
	Committed(cause reconcile.Cause, wrote bool, took time.Duration)
	Changed(e Effect)
	Refused(err error)
	Polled(ok bool)
	Crashed()
	Rooms(actors int)
}

// Clock stamps moments: the wall for what is written, a strictly increasing stamp for what is compared.
type Clock interface {
	Now() reconcile.Moment
}

// Owner is a node as seen by those who send it work: this one, or another through internal/rpc. The error of a room that
// the node does not own (or not any more, or not yet: its view may be behind) is ErrNotOwner.
type Owner interface {
	// Deliver returns nil once the event is committed, or covered by something newer.
	Deliver(ctx context.Context, e reconcile.Event) error
	Survey(ctx context.Context, b Batch) (Findings, error)
	// Tend is the cleanup's look at rooms of the index.
	Tend(ctx context.Context, t Tending) (Tended, error)
	// Names are the rooms that have an actor.
	Names(ctx context.Context) ([]string, error)
}
