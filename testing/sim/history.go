package sim

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/fsm"
	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// History records violations of the rules as they happen, from its own record of all scripts. It does not rely on the store's
// fence.
type History struct {
	mu      sync.Mutex
	rooms   map[string]*past
	views   map[uint64]fsm.View   // by epoch, all views that any node has seen
	older   []map[uint64]fsm.View // the same, of each time before the cluster's data was restored
	settled bool
	broken  []string
}

// past is the history of a room.
type past struct {
	claim   reconcile.Claim
	version uint64
	leader  reconcile.Token
	scripts int             // number of scripts, not counting claims; kept when data is lost
	sids    map[string]bool // of all participants that were ever written, as present or as ended
	joined  map[string]int64
	newest  reconcile.Instance
}

// NewHistory returns an empty History.
func NewHistory() *History {
	return &History{rooms: map[string]*past{}, views: map[uint64]fsm.View{}}
}

// Broken returns the rules that were broken so far.
func (h *History) Broken() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.broken
}

// Settle declares whether LiveKit is now unchanging and Redis holds what it shows. While it is settled, no commit may change a
// public key.
func (h *History) Settle(settled bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled = settled
}

func (h *History) fault(format string, args ...any) {
	h.broken = append(h.broken, fmt.Sprintf(format, args...))
}

// Fault records a broken rule that another check has found.
func (h *History) Fault(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault(format, args...)
}

func (h *History) room(name string) *past {
	p := h.rooms[name]
	if p == nil {
		p = &past{sids: map[string]bool{}, joined: map[string]int64{}}
		h.rooms[name] = p
	}
	return p
}

// Watch records a script; it is the store's Watch option.
func (h *History) Watch(s memstore.Script) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case s.Room == "":
		for _, p := range h.rooms {
			p.claim, p.version, p.leader = reconcile.Claim{}, 0, reconcile.Token{}
		}
	case s.Back != nil:
		p := h.room(s.Room)
		p.claim, p.version, p.leader = s.Back.Claim, s.Back.Version, s.Back.Leader
	case s.Commit == nil:
		h.claimed(h.room(s.Room), s)
	default:
		h.committed(h.room(s.Room), s.Room, *s.Commit)
	}
}

func (h *History) claimed(p *past, s memstore.Script) {
	if by := s.Claim.Compare(p.claim); by < 0 || by == 0 && s.Claim != p.claim {
		h.fault("room %q: the claim %v was taken although the room has the claim %v", s.Room, s.Claim, p.claim)
	}
	if v, known := h.views[s.Claim.Epoch]; h.sentBefore(s) {
		// the process that sent it was killed before the data was restored
	} else if !known {
		h.fault("room %q: the claim %v is of no view", s.Room, s.Claim)
	} else if m, _ := fsm.Owner(v, s.Room); m.Incarnation != s.Claim.Incarnation {
		h.fault("room %q: the claim %v is not the owner's, %s %d", s.Room, s.Claim, m.ID, m.Incarnation)
	}
	p.claim = s.Claim
}

// sentBefore reports whether the owner of the room may have sent the claim before the cluster's data was restored. It may arrive later.
func (h *History) sentBefore(s memstore.Script) bool {
	return slices.ContainsFunc(h.older, func(views map[uint64]fsm.View) bool {
		v, known := views[s.Claim.Epoch]
		m, _ := fsm.Owner(v, s.Room)
		return known && m.Incarnation == s.Claim.Incarnation
	})
}

func (h *History) committed(p *past, room string, c reconcile.Commit) {
	p.scripts++
	if c.Claim != p.claim {
		h.fault("room %q: a commit under %v after the claim %v", room, c.Claim, p.claim)
	}
	if c.Expect != p.version || c.Version < c.Expect {
		h.fault("room %q: the version %d, computed from %d, follows %d", room, c.Version, c.Expect, p.version)
	}
	if c.Version == c.Expect {
		return
	}
	if c.Leader != (reconcile.Token{}) {
		if c.Leader.Compare(p.leader) < 0 {
			h.fault("room %q: a commit for the leader %v after one for %v", room, c.Leader, p.leader)
		}
		p.leader = c.Leader
	}
	if h.settled && len(c.Changes) > 0 {
		h.fault("room %q: all was right and nothing happened, and %s under %v changes it: %+v", room, c.Cause, c.Claim, c.Changes)
	}
	p.version, p.newest = c.Version, c.Instance
	if c.State != nil {
		for _, m := range c.State.Roster {
			p.note(m.SID, m.Identity, m.JoinedAt)
		}
	}
	for _, t := range c.AddTombstones {
		p.note(t.SID, t.Identity, t.JoinedAt)
	}
}

func (p *past) note(sid, identity string, joined int64) {
	p.sids[sid] = true
	p.joined[identity] = max(p.joined[identity], joined)
}

// Restored declares that the cluster continues from an older copy of its data. What all nodes have agreed on since then may recur
// with different content.
func (h *History) Restored() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.older = append(h.older, h.views)
	h.views = map[uint64]fsm.View{}
}

// Learn adds the views that a node has seen. Two views of one epoch must be equal.
func (h *History) Learn(s fsm.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range append(s.Past, s.View) {
		known, ok := h.views[v.Epoch]
		if ok && !same(known, v) {
			h.fault("the view of epoch %d is %v for one node and %v for another", v.Epoch, known, v)
		}
		h.views[v.Epoch] = v
	}
}

func same(a, b fsm.View) bool {
	return a.HashVersion == b.HashVersion && slices.EqualFunc(a.Members, b.Members, func(m, n fsm.Member) bool {
		return m.ID == n.ID && m.Incarnation == n.Incarnation
	})
}

// Kept checks the claim of a commit that a process begins. A process that gains a room again needs a new claim, so up to the view
// of epoch last, which it saw before it decided, it must have owned the room ever since its claim.
func (h *History) Kept(room string, c reconcile.Claim, last uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for epoch, v := range h.views {
		if epoch < c.Epoch || epoch > last {
			continue
		}
		if m, _ := fsm.Owner(v, room); m.Incarnation != c.Incarnation {
			h.fault("room %q: a commit under %v begins in epoch %d, though the view of epoch %d gave the room to %s %d",
				room, c, last, epoch, m.ID, m.Incarnation)
			return
		}
	}
}

// Scripts returns how many commits of the room a script has confirmed.
func (h *History) Scripts(room string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.room(room).scripts
}

// Answered checks a 200 against its promise: the event was committed, or covered by something newer. before is the result of
// Scripts when the webhook came.
func (h *History) Answered(e reconcile.Event, before int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.room(e.Room.Name)
	if p.scripts == before {
		h.fault("room %q: 200 for %v %s without a script", e.Room.Name, e.Kind, e.ID)
	}
	if e.Kind != reconcile.Joined {
		return
	}
	mark := max(p.newest.FinishedAt, -p.newest.FinishedAt)
	covered := p.sids[e.Participant.SID] || p.joined[e.Participant.Identity] > e.Participant.JoinedAt ||
		p.newest.CreatedMs > e.Room.CreatedMs || mark*1000 > e.Participant.JoinedAt
	if !covered {
		h.fault("room %q: 200 for the join of %s %s, which nothing shows", e.Room.Name, e.Participant.Identity, e.Participant.SID)
	}
}

// sight is a process's view of the cluster, and since when it had it.
type sight struct {
	at     time.Time
	epoch  uint64
	leader reconcile.Token
}

// sights are the views of one process, oldest first.
type sights struct {
	mu  sync.Mutex
	all []sight
}

func (s *sights) add(one sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
}

// before returns the last view from before that moment, which the process had certainly seen by then.
func (s *sights) before(at time.Time) sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := sight{}
	for _, one := range s.all {
		if one.at.Before(at) {
			last = one
		}
	}
	return last
}
