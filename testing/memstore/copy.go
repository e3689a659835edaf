package memstore

import (
	"maps"
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Copy is what a Store held at one moment.
type Copy struct {
	rooms      map[string]*room
	index      map[string]bool
	generation uint64
	feed       []Entry
	drift      []reconcile.DriftEntry
}

// Copy copies what the Store holds, as a snapshot file of Redis or a replica that falls behind does.
func (s *Store) Copy() *Copy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (&Copy{s.rooms, s.index, s.generation, s.feed, s.drift}).clone()
}

// SetBack makes the Store hold what it held then: Redis comes back from an older file, or a replica that was behind takes over.
func (s *Store) SetBack(c *Copy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = c.clone()
	s.rooms, s.index, s.generation, s.feed, s.drift = c.rooms, c.index, c.generation, c.feed, c.drift
	s.watch(Script{})
	for name, r := range s.rooms {
		if r.fence != nil {
			rec := r.fence.rec
			s.watch(Script{Room: name, Claim: rec.Claim, Back: &rec})
		}
	}
}

func (c *Copy) clone() *Copy {
	rooms := make(map[string]*room, len(c.rooms))
	for name, r := range c.rooms {
		rooms[name] = r.clone()
	}
	return &Copy{rooms, maps.Clone(c.index), c.generation, slices.Clone(c.feed), slices.Clone(c.drift)}
}

func (r *room) clone() *room {
	same := &room{participants: r.participants.clone(), states: r.states.clone(), timeline: slices.Clone(r.timeline)}
	if r.fence != nil {
		f := *r.fence
		f.buried = maps.Clone(f.buried)
		same.fence = &f
	}
	return same
}

func (v *value) clone() *value {
	if v == nil {
		return nil
	}
	same := *v
	return &same
}
