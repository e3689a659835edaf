package memstore

import (
	"maps"
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Copy is the content of a Store at one moment.
type Copy struct {
	rooms      map[string]*room
	index      map[string]bool
	generation uint64
	epochs     map[uint64]uint64
	feed       []Entry
	drift      []reconcile.DriftEntry
}

// Copy returns the Store's present content, as a snapshot file of Redis or a lagging replica would hold it.
func (s *Store) Copy() *Copy {
	s.mu.Lock()
	defer s.mu.Unlock()
	return (&Copy{s.rooms, s.index, s.generation, s.epochs, s.feed, s.drift}).clone()
}

// SetBack replaces the Store's content with c, as when Redis restarts from an older file or a lagging replica is promoted.
func (s *Store) SetBack(c *Copy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = c.clone()
	s.rooms, s.index, s.generation, s.epochs, s.feed, s.drift = c.rooms, c.index, c.generation, c.epochs, c.feed, c.drift
	s.watch(Script{})
	for name, r := range s.rooms {
		if r.fence != nil {
			rec := r.fence.rec
			s.watch(Script{Room: name, Claim: rec.Claim, Back: &rec})
		}
	}
}

// SetBackSome sets back only the selected rooms, as when one shard of a Redis Cluster restarts from an older file. In a cluster
// each room has its own index entry and change feed, which go back with it.
func (s *Store) SetBackSome(c *Copy, which func(room string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c = c.clone()
	kept := map[uint64]bool{}
	for _, e := range c.feed {
		kept[e.ID] = true
	}
	s.feed = slices.DeleteFunc(slices.Clone(s.feed), func(e Entry) bool { return which(e.Fields["room"]) && !kept[e.ID] })
	for name := range s.rooms {
		if which(name) {
			delete(s.rooms, name)
			delete(s.index, name)
			s.watch(Script{Room: name, Back: &reconcile.Record{}})
		}
	}
	for name, r := range c.rooms {
		if !which(name) {
			continue
		}
		s.rooms[name] = r
		if c.index[name] {
			s.index[name] = true
		}
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
	return &Copy{rooms, maps.Clone(c.index), c.generation, maps.Clone(c.epochs), slices.Clone(c.feed), slices.Clone(c.drift)}
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
