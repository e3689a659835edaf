package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/memstore"
)

// Follower is a consumer of the change feed that does as docs/consuming.md says and knows nothing else. It begins with the keys.
type Follower struct {
	Store *memstore.Store

	begun       bool
	last, known uint64 // the entry that was taken last, and the last that is known to have been there
	held        map[string]*followed
}

// followed is what a Follower holds of a room: nothing of one that is not live but its version.
type followed struct {
	version uint64
	live    bool
	roster  map[string]bool // by sid
}

// Follow takes what has been appended since. If an entry that was there has gone, Redis has lost data and the Follower begins anew.
func (f *Follower) Follow() {
	entries := f.Store.Entries()
	there := func(id uint64) bool {
		return slices.ContainsFunc(entries, func(e memstore.Entry) bool { return e.ID == id })
	}
	if !f.begun || f.known != 0 && !there(f.known) {
		f.begin()
		return
	}
	for _, e := range entries {
		if e.ID > f.last {
			f.last, f.known = e.ID, max(f.known, e.ID)
			f.take(e.Fields)
		}
	}
}

func (f *Follower) begin() {
	f.begun, f.held = true, map[string]*followed{}
	f.last = f.end()
	names := map[string]bool{}
	for _, e := range f.Store.Feed() { // each live room has an entry; a real consumer asks the index
		names[e["room"]] = true
	}
	for name := range names {
		f.read(name)
	}
	f.known = f.end()
}

func (f *Follower) end() uint64 {
	entries := f.Store.Entries()
	if len(entries) == 0 {
		return 0
	}
	return entries[len(entries)-1].ID
}

// read takes a room from its keys.
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
	f.known = max(f.known, f.end())
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
		h.replace(e["data"])
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

func (h *followed) replace(data string) {
	h.live, h.roster = data != "null", map[string]bool{}
	var state struct{ Participants []struct{ SID string } }
	if json.Unmarshal([]byte(data), &state) == nil {
		for _, p := range state.Participants {
			h.roster[p.SID] = true
		}
	}
}

// Differences are the rooms that the Follower holds otherwise than the keys, but for those that others have altered.
func (f *Follower) Differences(rooms []string, altered map[string]bool) (differences []string) {
	f.Follow()
	for _, room := range rooms {
		have := none
		if h := f.held[room]; h != nil && h.live {
			have = fmt.Sprint(slices.Sorted(maps.Keys(h.roster)))
		}
		if want := sids(f.Store, room); !altered[room] && have != want {
			differences = append(differences, fmt.Sprintf("room %q: who follows the feed holds %s, the keys %s", room, have, want))
		}
	}
	return differences
}
