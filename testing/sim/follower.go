package sim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Follower is a consumer of the change feed that follows docs/consuming.md and knows nothing else. It begins by reading the keys.
type Follower struct {
	Store *memstore.Store

	begun bool
	last  uint64            // the entry that was processed last
	known map[string]uint64 // by room, the last entry that is known to have existed: each room may have its own stream
	held  map[string]*followed
}

// followed is what a Follower knows of a room. For a room that is not live this is only the version.
type followed struct {
	version uint64
	live    bool
	roster  map[string]bool // by sid
}

// Follow processes the entries that have been appended since the last call. If an entry that existed is gone, Redis has lost data
// and the Follower starts over.
func (f *Follower) Follow() {
	entries := f.Store.Entries()
	if !f.begun || !f.allThere(entries) {
		f.begin()
		return
	}
	for _, e := range entries {
		if e.ID > f.last {
			f.last = e.ID
			f.note(e)
			f.take(e.Fields)
		}
	}
}

// allThere reports whether the entries that are known to have existed still exist.
func (f *Follower) allThere(entries []memstore.Entry) bool {
	there := make(map[uint64]bool, len(entries))
	for _, e := range entries {
		there[e.ID] = true
	}
	for _, id := range f.known {
		if !there[id] {
			return false
		}
	}
	return true
}

func (f *Follower) note(e memstore.Entry) {
	room := e.Fields["room"]
	f.known[room] = max(f.known[room], e.ID)
}

func (f *Follower) begin() {
	f.begun, f.known, f.held = true, map[string]uint64{}, map[string]*followed{}
	entries := f.Store.Entries()
	for _, e := range entries { // each live room has an entry; a real consumer reads the index
		f.last = e.ID
		f.note(e)
	}
	for room := range f.known {
		f.read(room)
	}
}

// read reads a room from its keys.
func (f *Follower) read(room string) {
	h := &followed{roster: map[string]bool{}}
	f.held[room] = h
	value, ok := f.Store.Get(memstore.States, room)
	if state, err := reconcile.DecodeState([]byte(value)); ok && err == nil {
		h.live, h.version = true, state.Version
		for _, m := range state.Roster {
			h.roster[m.SID] = true
		}
	}
	for _, e := range f.Store.Entries() {
		if e.Fields["room"] == room {
			f.note(e)
		}
	}
}

func (f *Follower) take(e map[string]string) {
	h := f.held[e["room"]]
	if h == nil {
		h = &followed{roster: map[string]bool{}}
		f.held[e["room"]] = h
	}
	version, kind := number(e["version"]), reconcile.ChangeType(e["type"])
	switch {
	case kind == reconcile.RoomSnapshot:
		h.live, h.roster, _ = snapshot(e["data"])
		h.version = version
		return
	case version <= h.version:
		return
	case number(e["prev"]) != h.version:
		f.read(e["room"])
		return
	case kind == reconcile.RoomStarted:
		h.live, h.roster = true, map[string]bool{}
	case kind == reconcile.RoomFinished:
		h.live, h.roster = false, map[string]bool{}
	case kind == reconcile.ParticipantJoined:
		h.roster[e["sid"]] = true
	case kind == reconcile.ParticipantLeft:
		delete(h.roster, e["sid"])
	}
	if e["n"] == e["of"] {
		h.version = version
	}
}

// Differences returns the rooms in which the Follower differs from the keys, except those that other programs have altered.
func (f *Follower) Differences(rooms []string, altered map[string]bool) (differences []string) {
	f.Follow()
	for _, room := range rooms {
		have := none
		if h := f.held[room]; h != nil && h.live {
			have = fmt.Sprint(slices.Sorted(maps.Keys(h.roster)))
		}
		if want := sids(f.Store, room); !altered[room] && have != want {
			differences = append(differences, fmt.Sprintf("room %q: a follower of the feed has %s, the keys %s", room, have, want))
		}
	}
	return differences
}
