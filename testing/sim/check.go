package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/fakelivekit"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Truth returns the differences between the store and what LiveKit shows, room by room; none if they are equal.
func Truth(store *memstore.Store, shown *fakelivekit.Snapshot, names []string) (differences []string) {
	for _, name := range names {
		want, got := expected(shown, name), stored(store, name)
		if rest, unlisted := strings.CutPrefix(want, anything); want != got && (!unlisted || !strings.HasSuffix(got, rest)) {
			differences = append(differences, fmt.Sprintf("room %q\n  holds   %s\n  LiveKit %s", name, got, want))
		}
	}
	return differences
}

const (
	none     = "no room"
	anything = "a room that is not listed" // only its participants can be compared
)

func expected(shown *fakelivekit.Snapshot, name string) string {
	active, waiting := people(shown, name)
	text, exists := anything, len(active)+waiting > 0
	for _, r := range shown.Rooms(name) {
		exists, text = true, fmt.Sprintf("sid %s metadata %q", r.Sid, r.Metadata)
	}
	if !exists {
		return none
	}
	slices.SortFunc(active, func(a, b reconcile.Participant) int {
		return cmp.Or(cmp.Compare(a.JoinedAt, b.JoinedAt), cmp.Compare(a.Identity, b.Identity))
	})
	roster := []string{}
	for _, p := range active {
		roster = append(roster, string(reconcile.NewMember(p).JSON()))
	}
	return fmt.Sprint(text, " ", roster)
}

func stored(store *memstore.Store, name string) string {
	states, ok := store.Get(memstore.States, name)
	participants, both := store.Get(memstore.Participants, name)
	switch {
	case ok != both:
		return "one key without the other"
	case !ok:
		return none
	}
	state, err := reconcile.DecodeState([]byte(states))
	if err != nil {
		return err.Error()
	}
	if list := string(state.Present(reconcile.Kinds{"STANDARD": true, "SIP": true})); list != participants {
		return "the participants are " + participants + ", the states say " + list
	}
	roster := []string{}
	for _, m := range state.Roster {
		roster = append(roster, string(m.JSON()))
	}
	return fmt.Sprintf("sid %s metadata %q %v", state.SID, state.Metadata, roster)
}

// Feed returns the promises that a change feed breaks. Each room's commits must be in the order of their claims and versions,
// each entry must be chained to the one before, no late webhook may bring a participant back, and the feed must fold to what the
// keys hold.
func Feed(store *memstore.Store, altered map[string]bool) (broken []string) {
	rooms := map[string]*folded{}
	for i, e := range store.Feed() {
		r := rooms[e["room"]]
		if r == nil {
			r = &folded{ended: map[string]bool{}}
			rooms[e["room"]] = r
		}
		if why := r.take(e); why != "" {
			broken = append(broken, fmt.Sprintf("entry %d: %s: %v", i, why, e))
		}
	}
	for name, r := range rooms {
		if want := sids(store, name); !altered[name] && r.String() != want {
			broken = append(broken, fmt.Sprintf("room %q: the feed says %s, the keys %s", name, r, want))
		}
	}
	return broken
}

// folded is the state of a room as a consumer of the feed knows it.
type folded struct {
	at     [3]uint64 // generation, epoch, version of the last commit
	live   bool
	roster map[string]bool
	ended  map[string]bool // sids whose end had an entry
	left   map[string]bool // sids whose end had an entry of the current commit
}

func (r *folded) take(e map[string]string) string {
	at := [3]uint64{number(e["gen"]), number(e["epoch"]), number(e["version"])}
	if e["n"] == "1" {
		if slices.Compare(at[:], r.at[:]) <= 0 || at[2] <= r.at[2] {
			return fmt.Sprint("it does not come after ", r.at)
		}
		if prev := number(e["prev"]); e["type"] != string(reconcile.RoomSnapshot) && prev != r.at[2] {
			return fmt.Sprint("it is chained to ", prev, ", the last one was ", r.at[2])
		}
	}
	r.at = at
	if e["n"] == "1" {
		r.left = map[string]bool{}
	}
	switch reconcile.ChangeType(e["type"]) {
	case reconcile.RoomSnapshot:
		var err error
		if r.live, r.roster, err = snapshot(e["data"]); err != nil {
			return err.Error()
		}
	case reconcile.RoomStarted:
		r.live, r.roster = true, map[string]bool{}
	case reconcile.RoomFinished:
		r.live, r.roster = false, nil
	case reconcile.ParticipantJoined:
		if r.left[e["sid"]] {
			return "one commit reports a participant who stays as left and joined"
		}
		if r.ended[e["sid"]] && e["cause"] == string(reconcile.ByWebhook) {
			return "a webhook brings back one who had left"
		}
		r.roster[e["sid"]] = true
	case reconcile.ParticipantLeft:
		if e["reason"] == "" || number(e["joinedAt"]) == 0 || number(e["leftAt"]) < number(e["joinedAt"]) {
			return "a leave without its reason and times"
		}
		delete(r.roster, e["sid"])
		r.ended[e["sid"]], r.left[e["sid"]] = true, true
	}
	return ""
}

// snapshot reads the data of a room_snapshot: whether the room is live, and the sids in it.
func snapshot(data string) (live bool, roster map[string]bool, err error) {
	var state struct{ Participants []struct{ SID string } }
	err = json.Unmarshal([]byte(data), &state)
	roster = map[string]bool{}
	for _, p := range state.Participants {
		roster[p.SID] = true
	}
	return data != "null", roster, err
}

func (r *folded) String() string {
	if !r.live {
		return none
	}
	return fmt.Sprint(slices.Sorted(maps.Keys(r.roster)))
}

func sids(store *memstore.Store, name string) string {
	states, ok := store.Get(memstore.States, name)
	if !ok {
		return none
	}
	state, err := reconcile.DecodeState([]byte(states))
	if err != nil {
		return err.Error()
	}
	list := []string{}
	for _, m := range state.Roster {
		list = append(list, m.SID)
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}
