package actors

import (
	"maps"
	"slices"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

// poll is one poll that a room's events asked for.
type poll struct {
	room  string
	named []string // the sids that it may remove
	// event is when the last event that asked for the poll was committed; zero if none did.
	event time.Time
}

// pollState holds a room's polls. At most one runs at a time; requests that come meanwhile share the next. It is small, because most
// rooms have no poll.
type pollState struct {
	running *poll
	next    *wanted // nil for none
}

// wanted is a poll that has been asked for.
type wanted struct {
	named map[string]bool
	event time.Time // when the last event that asked for it was committed; zero if none did
}

// ask starts a poll, or makes another poll follow the running one. event is when the event that asks was committed; zero if none does.
func (r *room) ask(a *reconcile.Ask, event time.Time) {
	if a == nil {
		return
	}
	r.env.log.Debug("poll asked for", "room", r.name, "why", a.Why)
	if r.poll.next == nil {
		r.poll.next = &wanted{named: map[string]bool{}}
	}
	next := r.poll.next
	for _, sid := range a.Named {
		next.named[sid] = true
	}
	if event.After(next.event) {
		next.event = event
	}
	r.startPoll()
}

func (r *room) startPoll() {
	p := &r.poll
	if p.running != nil || p.next == nil {
		return
	}
	begun := &poll{room: r.name, named: slices.Sorted(maps.Keys(p.next.named)), event: p.next.event}
	if !r.env.poll(begun) {
		return // too many are under way; the named sids wait for the next poll, and the sync comes in any case
	}
	p.running, p.next = begun, nil
}

// pollEnded starts the next poll, if one is wanted. It ignores a poll from before a crash, which is not this actor's.
func (r *room) pollEnded(p *poll) {
	if r.poll.running != p {
		return
	}
	r.poll.running = nil
	r.startPoll()
}
