package actors

import (
	"maps"
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
)

// pollState is the poll that a room's events asked for: at most one at a time, and those that ask meanwhile share the
// next.
type pollState struct {
	running bool
	named   map[string]bool // sids that the running poll may remove
	more    map[string]bool // sids named since it began
	wanted  bool            // another poll is to follow
}

func (p *pollState) names() []string { return slices.Sorted(maps.Keys(p.named)) }

// ask starts a poll, or lets the running one be followed by another.
func (r *room) ask(a *reconcile.Ask) {
	if a == nil {
		return
	}
	r.env.log.Debug("poll asked for", "room", r.name, "why", a.Why)
	p := &r.poll
	if p.more == nil {
		p.more = map[string]bool{}
	}
	for _, sid := range a.Named {
		p.more[sid] = true
	}
	p.wanted = true
	r.startPoll()
}

func (r *room) startPoll() {
	p := &r.poll
	if p.running || !p.wanted {
		return
	}
	if !r.env.poll(r.name) {
		return // too many are under way; what was named waits for the next one, and the sync comes in any case
	}
	p.running, p.wanted, p.named, p.more = true, false, p.more, nil
}

func (r *room) pollEnded() {
	r.poll.running, r.poll.named = false, nil
	r.startPoll()
}
