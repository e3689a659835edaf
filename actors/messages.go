package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rollcallhq/rollcall/internal/wait"
	"github.com/rollcallhq/rollcall/reconcile"
)

// call is what every message to a room carries: until when its sender waits (zero: it does not), and where the answer goes.
type call struct {
	deadline time.Time
	reply    chan<- answer // buffered: the room never waits for its caller
	// trace, if not nil, adds the sender's trace to a context. It carries nothing else of the sender's context.
	trace func(context.Context) context.Context
}

type answer struct {
	look *looked // nil if there was none: most answers are to webhooks, and those stay small
	// Of a cleanup: there is nothing to do for the room, or it had no keys and was taken from the index.
	idle, orphan bool
	err          error
}

func (c *call) message() *call { return c }

// message is a message to one room.
type message interface{ message() *call }

func (c *call) expired(now time.Time) bool { return !c.deadline.IsZero() && now.After(c.deadline) }

// context returns the context of the work on the message.
func (c *call) context(by *wait.Deadlines) context.Context {
	ctx := by.At(c.deadline)
	if c.trace != nil {
		ctx = c.trace(ctx)
	}
	return ctx
}

func (c *call) answer(a answer) {
	select {
	case c.reply <- a:
	default: // already answered, by the recovery from a crash, or nobody waits
	}
}

// deliver brings a webhook.
type deliver struct {
	call
	event reconcile.Event
}

// prepare claims the room before LiveKit is asked: a look belongs to the claim under which it began.
type prepare struct {
	call
	dry bool // ask for no poll, whatever the claim finds
}

// observe brings a look at LiveKit.
type observe struct {
	call
	look reconcile.Look
	dry  bool // decide and remember, commit nothing
}

// looked is the outcome of a look.
type looked struct {
	tally           reconcile.Tally
	changes         []reconcile.Change
	needsSecondLook bool
	passed          reconcile.PassedOver // entries of ListParticipants
	silent          bool                 // LiveKit's silence counted as an empty answer
}

// cleanup carries a CleanupRequest to one room of the index.
type cleanup struct {
	call
	leader reconcile.Token
	stale  time.Duration // not confirmed for this long: look at LiveKit
	dry    bool
}

// polled reports the end of a poll that events asked for.
type polled struct {
	call
	poll *poll
}

// rest asks a room that is idle whether it may stop. sent is how many messages it got before.
type rest struct{ sent uint32 }

// toRoom is a message on its way through the supervisor.
type toRoom struct {
	name string
	msg  message
}

// Messages from the rooms and the host to the supervisor.
type (
	status struct { // how a room is now
		room  *actor.PID
		idle  bool            // it may be passivated
		claim reconcile.Claim // under which it holds what Redis has, as far as it knows; zero for none
	}
	passivate struct{} // a tick: ask the rooms that have been idle for long enough whether they may stop
	resting   struct { // a room's answer, after its messages and after what it has told before
		room *actor.PID
		sent uint32
	}
	activeRooms struct{ reply chan<- []string } // the rooms that have an actor and that exist or existed
	unclaimed   struct {                        // which of these rooms must be claimed before a look
		rooms []string
		reply chan<- []string
	}
	drain struct{ done chan<- struct{} } // stop all rooms; no more messages
)
