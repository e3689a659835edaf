package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// The errors that ports may return; adapters wrap or return these. Anything else counts as a failure of this node.
var (
	// ErrUnauthorized: the signature or token is missing, wrong or not valid yet.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrExpired: the signature is valid, but its time is in the past or in the future. For a caller it is the same as
	// ErrUnauthorized. Many of them mean that a clock is wrong.
	ErrExpired = errors.New("expired")
	// ErrMalformed: the body is correctly signed but not a webhook; or a cursor did not come from the reader.
	ErrMalformed = errors.New("malformed")
	// ErrUnavailable: it cannot be committed, read or done now, but perhaps later.
	ErrUnavailable = errors.New("unavailable")
	// ErrCluster: an ErrUnavailable because of the other nodes or the network to them, whatever Redis does.
	ErrCluster = fmt.Errorf("%w because of the cluster", ErrUnavailable)
	// ErrIncomplete: part of Redis does not answer; the result holds what could be read.
	ErrIncomplete = errors.New("incomplete")
	// ErrNoLeader: the cluster has no leader now.
	ErrNoLeader = errors.New("no leader")
	// ErrBusy: too much is queued already.
	ErrBusy = errors.New("busy")
)

// Rejected is a Verifier's ErrUnauthorized, ErrExpired or ErrMalformed, with a reason that may be logged.
type Rejected struct {
	Kind  error
	Fault SignatureFault
	// Why contains no part of a body or a signature.
	Why string
}

// Error implements error.
func (r *Rejected) Error() string { return r.Kind.Error() + ": " + r.Why }

// Unwrap returns Kind.
func (r *Rejected) Unwrap() error { return r.Kind }

// SignatureFault is what was wrong with a webhook's signature, if that shows what to check.
type SignatureFault string

// The faults.
const (
	NoToken    SignatureFault = "no_token"
	UnknownKey SignatureFault = "unknown_key"
	WrongKey   SignatureFault = "wrong_secret"
	OtherBody  SignatureFault = "other_body"
)

// Refused says why something may not be done in the current state. It is shown to the caller.
type Refused struct{ Reason string }

// Error returns the reason.
func (r Refused) Error() string { return r.Reason }

// Ports holds everything that the API needs from the rest of the node.
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
	Reloader  Reloader
}

func (p Ports) complete() bool {
	return p.Verifier != nil && p.Deliverer != nil && p.Admin != nil && p.Cluster != nil && p.Reader != nil && p.Tokens != nil &&
		p.Health != nil && p.History != nil && p.LiveKit != nil && p.Meter != nil && p.Live != nil && p.Reloader != nil
}

// Verifier checks webhooks.
type Verifier interface {
	// Admit checks the value of the Authorization header, once, as far as possible without the body. Errors: ErrUnauthorized, ErrExpired; a Rejected
	// says why.
	Admit(authorization string, now time.Time) (Admission, error)
	// Dropped returns how many events LiveKit dropped before this one, according to a verified body.
	Dropped(body []byte) int
}

// Admission is a webhook's token that has been verified.
type Admission interface {
	// Event checks the raw body against the token and reads it. known is false for a correctly signed event that concerns no room or is of an unknown
	// kind. It must not retain body. Errors: ErrUnauthorized, ErrMalformed; a Rejected says why.
	Event(body []byte) (ev reconcile.Event, known bool, err error)
}

// Deliverer takes verified events to their rooms.
type Deliverer interface {
	// Deliver returns nil once the event is committed, or is covered by a newer event that is committed. It must return when
	// ctx ends. Errors: ErrExpired if the room refuses the event because of its age, ErrMalformed; all others mean "not
	// now".
	Deliver(ctx context.Context, ev reconcile.Event) error
}

// Admin reports on the cluster and has its leader act.
//
// The actions get a context that outlives the caller's connection: a caller who disconnects only stops waiting. The context
// ends at the node's shutdown or after Limits.Action. Errors: ErrNoLeader, ErrUnavailable, ErrBusy.
type Admin interface {
	// Status returns what this node knows, without asking another node.
	Status(ctx context.Context) (Status, error)
	// Sync runs a sync cycle over all rooms, or over the one that o names. A plain one over all rooms joins a plain one that is
	// under way; any other waits until that has ended.
	Sync(ctx context.Context, o reconcile.Options) (reconcile.Report, error)
	// Cleanup removes what the sync leaves behind. Its Synced is 0.
	Cleanup(ctx context.Context, o reconcile.Options) (reconcile.Report, error)
	// FullSync runs a new sync cycle and then a cleanup.
	FullSync(ctx context.Context, o reconcile.Options) (sync, cleanup reconcile.Report, err error)
	// SetService switches the schedule for the whole cluster and returns the switch as committed.
	SetService(ctx context.Context, running bool) (bool, error)
}

// Reader reads the current values from Redis. Others may have written there, so a value is some JSON and nothing more is
// promised. With an ErrIncomplete, Rooms, Sizes, States, Count and Matching also return what they could read.
type Reader interface {
	// Rooms returns up to limit names of rooms with public keys whose name contains search (ignoring case; "" for all), from
	// cursor on ("" for the beginning), and the cursor of the next page ("" after the last). A search examines a limited
	// part of the names, so a page may be short, or empty, and still have a next one. A cursor that it did not return:
	// ErrMalformed.
	Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error)
	// Sizes returns the sizes of the rooms' values, in the order of rooms. It is called before the values are read.
	Sizes(ctx context.Context, rooms []string) ([]reconcile.RoomSize, error)
	// State returns the value of rooms:states:{room}, or nil if it is not a string, and false if there is none. A value of
	// more than most bytes is an ErrUnavailable.
	State(ctx context.Context, room string, most int64) (json.RawMessage, bool, error)
	// States returns the two public values of the rooms, by room. Values that are absent, or not JSON, are missing from the
	// maps.
	States(ctx context.Context, rooms []string) (participants, states map[string]json.RawMessage, err error)
	// Count returns the total number of rooms that Rooms lists.
	Count(ctx context.Context) (int64, error)
	// Matching counts the elements of matching:active and matching:queue, according to each key's type.
	Matching(ctx context.Context) (active, queue int64, err error)
}

// Tokens checks LiveKit access tokens.
type Tokens interface {
	// VerifyToken checks the signature and times. Any error is a refusal.
	VerifyToken(token string, now time.Time) (reconcile.Grant, error)
}

// Health reports whether this node can serve.
type Health interface {
	// Ready returns nil if this node can serve.
	Ready(ctx context.Context) error
	// Redis returns how Redis answers this node, by the last check: it makes no request.
	Redis() Dependency
}
