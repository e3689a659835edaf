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
	// event is when the last of the events came that asked for it; zero when none did.
	event time.Time
}

// pollState is a room's polls: at most one at a time, and those that ask meanwhile share the next. Most rooms have none, and it is small.
type pollState struct {
	running *poll
	next    *wanted // nil for none
}

// wanted is a poll that has been asked for.
type wanted struct {
	named map[string]bool
	event time.Time // when the last event came that asked for it; zero for none
}

// ask starts a poll, or lets the running one be followed by another. The event that asks came at event; zero for none.
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
		return // too many are under way; what was named waits for the next one, and the sync comes in any case
	}
	p.running, p.next = begun, nil
}

// pollEnded lets the next poll start. A poll from before a crash is not this actor's.
func (r *room) pollEnded(p *poll) {
	if r.poll.running != p {
		return
	}
	r.poll.running = nil
	r.startPoll()
}
