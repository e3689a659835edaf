package reconcile

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestStepEqualsItsTwin gives Step and the twin the same inputs, true or absurd, and compares all results.
func TestStepEqualsItsTwin(t *testing.T) {
	checks(t, 3000)
	rapid.Check(t, func(t *rapid.T) {
		r, w := newRig(t), &twin{}
		var pending []Look
		for range rapid.IntRange(1, 25).Draw(t, "inputs") {
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 6:
				if len(pending) == 0 && rapid.Bool().Draw(t, "claim") { // a look is lost with its claim
					r.wait(1)
					r.claim()
					w.claim(r.now.Stamp, r.now.Wall/1000)
				}
			case 0, 1, 2:
				e := drawEvent(t)
				p := r.do(e)
				w.event(e, r.now.Stamp, r.now.Wall/1000)
				compareTwin(t, r, w, e, p)
			case 3:
				pause := rapid.SampledFrom([]Stamp{0, 0, second, second, 4 * second, 11 * minute}).Draw(t, "pause")
				if len(pending) == 0 || pause < touchMemory { // no look takes longer
					r.wait(pause)
				}
				r.wait(1)
				pending = append(pending, drawLook(t, r))
			default:
				if len(pending) == 0 {
					continue
				}
				look := pending[0]
				pending = pending[1:]
				p := r.do(look)
				w.look(look, r.now.Wall/1000)
				compareTwin(t, r, w, look, p)
			}
		}
	})
}

// checks raises rapid's number of checks from its default of 100 to n, unless the command line sets it.
func checks(t *testing.T, n int) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return
	}
	if err := f.Value.Set(strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(f.DefValue) })
}

func compareTwin(t *rapid.T, r *rig, w *twin, in Input, p Plan) {
	fail := func(what string, got, want any) {
		t.Fatalf("after %s the %s is %+v, the twin's %+v", describeInput(in), what, got, want)
	}
	inst := Instance{SID: w.sid, CreatedMs: w.created, FinishedAt: w.mark}
	if w.overruled {
		inst.FinishedAt = -w.mark
	}
	if r.room.Instance != inst {
		fail("instance", r.room.Instance, inst)
	}
	tombstones := map[string]Tombstone{}
	for _, g := range w.tombstones {
		tombstones[g.SID] = g
	}
	if !maps.Equal(r.room.Tombstones, tombstones) {
		fail("set of tombstones", r.room.Tombstones, tombstones)
	}
	named := map[string]bool{}
	if p.Ask != nil {
		for _, sid := range p.Ask.Named {
			named[sid] = true
		}
	}
	if (p.Ask != nil) != w.asked || !maps.Equal(named, w.named) {
		fail("ask", p.Ask, w.named)
	}
	if p.NeedsSecondLook != w.needsSecondLook {
		fail("need of a second look", p.NeedsSecondLook, w.needsSecondLook)
	}
	if look, ok := in.(Look); ok {
		missing, rooms := w.deferredParticipants, w.deferredRooms
		for _, d := range w.pending {
			if d.what == "absent" && d.sid == "" {
				rooms++
			} else if d.what == "absent" {
				missing++
			}
		}
		got := []int{p.Tally.Deferred, p.Tally.DeferredRooms, p.Tally.DeferredParticipants, p.Tally.MissingRooms, p.Tally.MissingParticipants}
		if want := []int{w.deferred, w.deferredRooms, w.deferredParticipants, rooms, missing}; !slices.Equal(got, want) {
			fail(fmt.Sprintf("tally with a lag of %v", look.Lag), got, want)
		}
	}
	if (r.room.State != nil) != w.live {
		fail("life", r.room.State != nil, w.live)
	}
	if !w.live {
		return
	}
	s := r.room.State
	fields := RoomInfo{Name: "r", SID: s.SID, CreatedMs: s.CreatedAt, MaxParticipants: s.MaxParticipants, Metadata: s.Metadata}
	w.fields.Name = "r"
	if fields != w.fields {
		fail("room", fields, w.fields)
	}
	equal := slices.EqualFunc(s.Roster, w.roster(), func(m *Member, p Participant) bool { return m.Equal(NewMember(p)) })
	if !equal {
		fail("roster", r.have(), w.roster())
	}
}

func drawRoom(t *rapid.T) RoomInfo {
	room := life(rapid.SampledFrom([]string{"R1", "R2", "R3", "R4"}).Draw(t, "room"), 0)
	room.CreatedMs = map[string]int64{"R1": at(1000), "R2": at(2000), "R3": at(2000), "R4": at(4000)}[room.SID]
	room.Metadata = rapid.SampledFrom([]string{"", "m"}).Draw(t, "metadata")
	return room
}

func drawParticipant(t *rapid.T) Participant {
	sid := rapid.SampledFrom([]string{"a1", "a2", "a3", "a4", "b1", "b2", "c1"}).Draw(t, "sid")
	p := who(sid, map[string]int64{"a1": 1100, "a2": 2100, "a3": 2100, "a4": 4100, "b1": 1900, "b2": 4000, "c1": 3000}[sid])
	p.Version = rapid.Uint32Range(1, 3).Draw(t, "version")
	p.Metadata = rapid.SampledFrom([]string{"", "m"}).Draw(t, "metadata")
	return p
}

func drawEvent(t *rapid.T) Event {
	e := Event{ID: rapid.SampledFrom([]string{"", "", "EV_1", "EV_2", "EV_3"}).Draw(t, "id"), Room: drawRoom(t), CreatedAt: at(1000*rapid.Int64Range(1, 5).Draw(t, "second")) / 1000}
	e.Kind = rapid.SampledFrom([]EventKind{Started, Finished, Joined, Joined, Left, Left, Aborted, Track}).Draw(t, "kind")
	switch e.Kind {
	case Joined, Left, Aborted:
		e.Participant = drawParticipant(t)
		e.Reason = rapid.SampledFrom([]string{"", "", "CLIENT_INITIATED", "MIGRATION"}).Draw(t, "reason")
	case Track:
		id := e.ID
		e = track(e.Room, drawParticipant(t))
		e.ID = id
	}
	return e
}

func drawLook(t *rapid.T, r *rig) Look {
	look := r.sight(nil)
	for range rapid.IntRange(0, 2).Draw(t, "listed") {
		if room := drawRoom(t); !slices.ContainsFunc(look.Listed, func(o RoomInfo) bool { return o.SID == room.SID }) {
			look.Listed = append(look.Listed, room)
		}
	}
	seen := map[string]bool{}
	for range rapid.IntRange(0, 3).Draw(t, "present") {
		if p := drawParticipant(t); !seen[p.Identity] {
			seen[p.Identity] = true
			look.Participants = append(look.Participants, p)
		}
	}
	look.Unreadable = len(look.Listed) == 0 && rapid.Bool().Draw(t, "unreadable")
	look.Unidentified = rapid.IntRange(0, 2).Draw(t, "unidentified") == 0
	if rapid.Bool().Draw(t, "protected") {
		look.Protected = []string{drawParticipant(t).SID}
	}
	look.Lag = rapid.SampledFrom([]time.Duration{0, 2 * time.Second, 10 * time.Second}).Draw(t, "lag")
	look.Waiting = rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "waiting")
	look.Cycle = rapid.Uint64Range(0, 2).Draw(t, "cycle")
	look.Scheduled = rapid.Bool().Draw(t, "scheduled")
	look.First = look.Cycle == 0 && rapid.Bool().Draw(t, "first")
	if rapid.Bool().Draw(t, "named") {
		look.Named = []string{rapid.SampledFrom([]string{"a1", "a2", "b1"}).Draw(t, "name")}
	}
	if look.Cycle != 0 && rapid.Bool().Draw(t, "permitted") {
		look.Permit = &Permit{Leader: Token{1, 1}, Cycle: rapid.Uint64Range(1, 2).Draw(t, "permit"),
			Streak: rapid.IntRange(0, 3).Draw(t, "streak")}
	}
	return look
}
