package fakelivekit

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/proto"
)

// world holds all rooms by name. Its methods need the Fake's lock, except on a clone.
type world map[string]*room

type room struct {
	info     *livekit.Room
	people   map[string]*person // by identity, as the API lists them
	joins    map[string]int64   // the last join of each identity, in Unix ms
	timer    *time.Timer        // closes the room when it has been empty long enough
	visited  bool               // a participant has joined: the departure timeout applies, not the empty timeout
	counted  time.Time          // when numParticipants was last updated
	orphaned bool               // survived a crash in the store: no node hosts it until the next access
	unlisted bool               // finished in a race, yet people are in it: ListRooms does not list it
}

type person struct {
	info    *livekit.ParticipantInfo
	timer   *time.Timer // ends a killed or never active client
	phantom bool        // its node is dead: listed for ever, without further events
}

func (w world) names() []string { return slices.Sorted(maps.Keys(w)) }

func (w world) stopTimers() {
	for _, r := range w {
		r.stopTimers()
	}
}

func (r *room) stopTimers() {
	stop(r.timer)
	for _, p := range r.people {
		stop(p.timer)
	}
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

func (w world) clone() world {
	c := make(world, len(w))
	for name, r := range w {
		people := make(map[string]*person, len(r.people))
		for identity, p := range r.people {
			people[identity] = &person{info: cloneOf(p.info)}
		}
		c[name] = &room{info: cloneOf(r.info), people: people, unlisted: r.unlisted}
	}
	return c
}

func (w world) listRooms(names []string) []*livekit.Room {
	if len(names) == 0 {
		names = w.names()
	}
	var rooms []*livekit.Room
	for _, name := range names {
		if r := w[name]; r != nil && !r.unlisted {
			rooms = append(rooms, cloneOf(r.info))
		}
	}
	return rooms
}

func (w world) listParticipants(name string) []*livekit.ParticipantInfo {
	r := w[name]
	if r == nil {
		return nil
	}
	infos := make([]*livekit.ParticipantInfo, 0, len(r.people))
	for _, p := range r.people {
		infos = append(infos, cloneOf(p.info))
	}
	slices.SortFunc(infos, func(a, b *livekit.ParticipantInfo) int { return strings.Compare(a.Identity, b.Identity) })
	return infos
}

func (w world) person(room, identity string) *person {
	if r := w[room]; r != nil {
		return r.people[identity]
	}
	return nil
}

// byJoin returns the people in the order in which they joined.
func (r *room) byJoin() []*person {
	people := slices.Collect(maps.Values(r.people))
	slices.SortFunc(people, func(a, b *person) int {
		return cmp.Or(cmp.Compare(a.info.JoinedAtMs, b.info.JoinedAtMs), strings.Compare(a.info.Sid, b.info.Sid))
	})
	return people
}

// held reports whether anyone keeps the room open. Agents, recorders and phantoms do not.
func (r *room) held() bool {
	for _, p := range r.people {
		if !p.phantom && !dependent(p.info) {
			return true
		}
	}
	return false
}

func dependent(p *livekit.ParticipantInfo) bool {
	return p.Kind == livekit.ParticipantInfo_AGENT || p.Kind == livekit.ParticipantInfo_EGRESS ||
		p.Permission.GetAgent() || p.Permission.GetRecorder()
}

func cloneOf[M proto.Message](m M) M { return proto.CloneOf(m) }
