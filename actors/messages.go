package actors

import (
	"context"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// call is what every message to a room carries: until when its sender waits (zero: it does not), and where the answer goes.
type call struct {
	deadline time.Time
	reply    chan<- answer // buffered: the room never waits for its caller
}

type answer struct {
	look looked
	idle bool // of a tend: there is nothing to do for the room
	err  error
}

func (c *call) message() *call { return c }

// message is a message to one room.
type message interface{ message() *call }

func (c *call) expired(now time.Time) bool { return !c.deadline.IsZero() && now.After(c.deadline) }

func (c *call) context(parent context.Context) (context.Context, context.CancelFunc) {
	return context.WithDeadline(parent, c.deadline)
}

func (c *call) answer(a answer) {
	select {
	case c.reply <- a:
	default: // answered before, by the recovery of a crash, or nobody waits
	}
}

// deliver brings a webhook.
type deliver struct {
	call
	event reconcile.Event
}

// prepare claims the room before LiveKit is looked at: a look belongs to the claim under which it began.
type prepare struct {
	call
	dry bool // ask for no poll, whatever the claim finds
}

// observe brings a look at LiveKit.
type observe struct {
	call
	look reconcile.Look
	dry  bool // evaluate and remember, commit nothing
}

// looked is what a look came to.
type looked struct {
	tally   reconcile.Tally
	changes []reconcile.Change
	again   bool
	passed  reconcile.PassedOver // entries of ListParticipants
	silent  bool                 // LiveKit's silence counted as an empty answer
}

// tend asks, for the cleanup, what a room of the index needs.
type tend struct {
	call
	leader reconcile.Token
	stale  time.Duration // not confirmed for this long: look at LiveKit
	dry    bool
}

// polled ends a poll that events asked for.
type polled struct {
	call
	poll *poll
}

// toRoom is a message on its way through the supervisor.
type toRoom struct {
	name string
	msg  message
}

// What rooms and the host tell the supervisor.
type (
	resting struct { // whether the room may be passivated when idle
		name string
		rest bool
	}
	passivate struct{}                        // a tick: stop what has rested long enough
	census    struct{ reply chan<- []string } // the rooms that have an actor
	drain     struct{ done chan<- struct{} }  // stop all rooms; no more messages
)
