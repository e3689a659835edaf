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

// pollState is a room's polls: at most one at a time, and those that ask meanwhile share the next.
type pollState struct {
	running *poll
	named   map[string]bool // for the next one
	wanted  bool            // another poll is to follow
	event   time.Time       // when the last event came that asks for the next one
}

// ask starts a poll, or lets the running one be followed by another. The event that asks came at event; zero for none.
func (r *room) ask(a *reconcile.Ask, event time.Time) {
	if a == nil {
		return
	}
	r.env.log.Debug("poll asked for", "room", r.name, "why", a.Why)
	p := &r.poll
	if p.named == nil {
		p.named = map[string]bool{}
	}
	for _, sid := range a.Named {
		p.named[sid] = true
	}
	p.wanted = true
	if event.After(p.event) {
		p.event = event
	}
	r.startPoll()
}

func (r *room) startPoll() {
	p := &r.poll
	if p.running != nil || !p.wanted {
		return
	}
	next := &poll{room: r.name, named: slices.Sorted(maps.Keys(p.named)), event: p.event}
	if !r.env.poll(next) {
		return // too many are under way; what was named waits for the next one, and the sync comes in any case
	}
	p.running, p.wanted, p.named, p.event = next, false, nil, time.Time{}
}

// pollEnded lets the next poll start. A poll from before a crash is not this actor's.
func (r *room) pollEnded(p *poll) {
	if r.poll.running != p {
		return
	}
	r.poll.running = nil
	r.startPoll()
}
