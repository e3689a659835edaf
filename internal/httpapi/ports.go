package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// What the ports may answer with; adapters wrap or return these, and anything else counts as a failure of ours.
var (
	// ErrUnauthorized: the signature or token is missing, wrong or not valid yet.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrExpired: the signature is right and its time is not, past or to come. For a caller it is the same as
	// ErrUnauthorized; many of them mean that a clock is off.
	ErrExpired = errors.New("expired")
	// ErrMalformed: rightly signed and yet no webhook; or a cursor that the reader never gave.
	ErrMalformed = errors.New("malformed")
	// ErrUnavailable: it cannot be committed, read or done now; later it may.
	ErrUnavailable = errors.New("unavailable")
	// ErrIncomplete: it comes with what could be read, and part of Redis does not answer.
	ErrIncomplete = errors.New("incomplete")
	// ErrNoLeader: the cluster has no leader now.
	ErrNoLeader = errors.New("no leader")
	// ErrBusy: too much is queued already.
	ErrBusy = errors.New("busy")
)

// Rejected is a Verifier's ErrUnauthorized, ErrExpired or ErrMalformed, with a reason that may be logged.
type Rejected struct {
	Kind  error
	Cause Cause
	// Why holds no part of a body or a signature.
	Why string
}

// Error implements error.
func (r *Rejected) Error() string { return r.Kind.Error() + ": " + r.Why }

// Unwrap gives Kind.
func (r *Rejected) Unwrap() error { return r.Kind }

// Cause is what was wrong with a webhook's signature, where that tells what to look at.
type Cause string

// The causes.
const (
	NoToken    Cause = "no_token"
	UnknownKey Cause = "unknown_key"
	WrongKey   Cause = "wrong_secret"
	OtherBody  Cause = "other_body"
)

// Refused says why something may not be done as things stand. The caller reads it.
type Refused struct{ Reason string }

// Error is the reason.
func (r Refused) Error() string { return r.Reason }

// Ports is all that the API needs from the rest of the node.
type Ports struct {
	Verifier  Verifier
	Deliverer Deliverer
	Admin     Admin
	Cluster   Cluster
	Reader    Reader
	Tokens    Tokens
	Health    Health
	History   History
	LiveKit   LiveKit
	Meter     Meter
	Live      Live
}

func (p Ports) complete() bool {
	return p.Verifier != nil && p.Deliverer != nil && p.Admin != nil && p.Cluster != nil && p.Reader != nil && p.Tokens != nil &&
		p.Health != nil && p.History != nil && p.LiveKit != nil && p.Meter != nil && p.Live != nil
}

// Verifier checks webhooks.
type Verifier interface {
	// Admit checks the Authorization header alone, as far as that goes without the body. Errors: ErrUnauthorized, ErrExpired.
	Admit(authorization string, now time.Time) error
	// Verify checks the raw body against the value of the Authorization header. known is false for a rightly signed
	// event that concerns no room or is of no known kind. It must not keep body. Errors: ErrUnauthorized, ErrExpired,
	// ErrMalformed; a Rejected says why.
	Verify(body []byte, authorization string, now time.Time) (ev reconcile.Event, known bool, err error)
	// Dropped is how many events a verified body says that LiveKit dropped before it.
	Dropped(body []byte) int
}

// Deliverer takes verified events to their rooms.
type Deliverer interface {
	// Deliver returns nil once the event is committed, or covered by something newer that is. It must return when ctx
	// ends. Errors: ErrExpired when the room refuses the event's age, ErrMalformed; all others mean not now.
	Deliver(ctx context.Context, ev reconcile.Event) error
}

// Admin answers for the cluster and has its leader act.
//
// The actions get a context that outlives the caller's connection: who goes away stops waiting, no more. It ends with
// the node's shutdown or after Limits.Action. Errors: ErrNoLeader, ErrUnavailable, ErrBusy.
type Admin interface {
	// Status is what this node knows, without asking another.
	Status(ctx context.Context) (Status, error)
	// Sync runs a sync cycle, or joins the running one where RULES.md says so.
	Sync(ctx context.Context, o Options) (Outcome, error)
	// Cleanup removes what the sync leaves. Result.Synced is 0.
	Cleanup(ctx context.Context, o Options) (Outcome, error)
	// FullSync is a new sync cycle and then a cleanup.
	FullSync(ctx context.Context, o Options) (sync, cleanup Outcome, err error)
	// SetService switches the schedule for the whole cluster and returns the switch as committed.
	SetService(ctx context.Context, running bool) (bool, error)
}

// Size is how many bytes a room's two public values have; 0 for what is absent, or no string.
type Size struct{ Participants, State int64 }

// Reader reads Redis as it stands. Others may have written there, so a value is some JSON and no more is promised of it. Rooms, Sizes, States,
// Count and Matching give what they could read also with an ErrIncomplete.
type Reader interface {
	// Rooms gives up to limit names of rooms with public keys whose name contains search (in any case of letters; "" for
	// all), from cursor on ("" begins), and the cursor that goes on ("" after the last). A search looks at a bounded part
	// of the names, so a page may be short, or empty, and yet have a next. A cursor that it never gave: ErrMalformed.
	Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error)
	// Sizes gives the sizes of the rooms' values, in the order of rooms. It is asked before the values are.
	Sizes(ctx context.Context, rooms []string) ([]Size, error)
	// State is the value of rooms:states:{room}, nil when it is no string; false when there is none. A value of more than
	// most bytes is an ErrUnavailable.
	State(ctx context.Context, room string, most int64) (json.RawMessage, bool, error)
	// States gives the two public values of the rooms, by room. What is absent, or no JSON, is missing from the maps.
	States(ctx context.Context, rooms []string) (participants, states map[string]json.RawMessage, err error)
	// Count is the number of rooms that Rooms lists in all.
	Count(ctx context.Context) (int64, error)
	// Matching counts matching:active and matching:queue, by the key's type.
	Matching(ctx context.Context) (active, queue int64, err error)
}

// Tokens checks LiveKit access tokens.
type Tokens interface {
	// VerifyToken checks signature and times. Any error is a refusal.
	VerifyToken(token string, now time.Time) (Grant, error)
}

// Grant is what a LiveKit access token's video grant says of rooms. Room is empty when it names none.
type Grant struct {
	RoomList, RoomAdmin bool
	Room                string
	Identity            string // the token's own; may be empty
}

// Health tells whether this node can serve.
type Health interface {
	// Ready is nil when it can.
	Ready(ctx context.Context) error
}
