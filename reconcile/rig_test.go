package reconcile

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// rig drives one room as the shell does: step, touch, commit, adopt. With each commit it checks what every commit must
// fulfil: the version, the chain of the change feed, and that a naive consumer of the feed has what the keys have.
type rig struct {
	t      rapid.TB
	room   *Room
	now    Moment
	asked  []*Ask
	strict bool // also check that Step is pure: slow
	feed   consumer
	ids    []string // of the events so far
	lag    time.Duration
}

const (
	second = Stamp(1e9)
	minute = 60 * second
	epoch  = int64(1_795_400_000_000) // Unix ms of the rig's second 0
)

func newRig(t rapid.TB) *rig {
	r := &rig{t: t, strict: true}
	r.room, _ = Load(nil, Record{Room: "r", Claim: Claim{1, 1, 1}}, 0)
	r.wait(second)
	return r
}

func (r *rig) wait(d Stamp) {
	r.now.Stamp += d
	r.now.Wall = epoch + int64(r.now.Stamp/1e6)
}

// do steps and commits one input.
func (r *rig) do(in Input) Plan {
	r.wait(1)
	p := r.step(in)
	r.room.Touch(p, r.now.Stamp)
	if p.Ask != nil {
		r.asked = append(r.asked, p.Ask)
	}
	r.explained(in, p)
	r.unrepeated(in, p)
	r.commit(p)
	return p
}

// unrepeated checks that an event whose id came before changes nothing and asks for nothing.
func (r *rig) unrepeated(in Input, p Plan) {
	e, event := in.(Event)
	if !event || e.ID == "" {
		return
	}
	if slices.Contains(r.ids[max(0, len(r.ids)-64):], e.ID) {
		if len(p.Changes)+len(p.Commit.AddTombstones)+len(p.Commit.RemoveTombstones)+len(p.touched) > 0 && !r.room.lost() || p.Ask != nil {
			r.t.Fatalf("the duplicate %s %s has an effect: %+v, %+v", e.ID, describeInput(in), p.Commit, p.Ask)
		}
		return
	}
	r.ids = append(r.ids, e.ID)
}

// explained checks that every change of a look has a reason and is counted, and that an event's changes have none.
func (r *rig) explained(in Input, p Plan) {
	_, look := in.(Look)
	for _, c := range p.Changes {
		if (c.Reason != "") != look {
			r.t.Fatalf("%s changes %s of %q for the reason %q", describeInput(in), c.Type, c.SID, c.Reason)
		}
	}
	count := map[Reason]int{}
	for _, d := range p.Drift {
		count[d.Reason]++
	}
	if !maps.Equal(count, p.Tally.Drift) {
		r.t.Fatalf("the drift %+v is counted as %v", p.Drift, p.Tally.Drift)
	}
	if (len(p.Commit.Story) > 0) != (p.Commit.Public != Keep) {
		r.t.Fatalf("the keys change without a story, or a story without the keys: %+v", p.Commit)
	}
}

func (r *rig) step(in Input) Plan {
	if !r.strict {
		return Step(r.room, in, r.now)
	}
	before := deepCopy(r.room)
	p, again := Step(r.room, in, r.now), Step(r.room, unrecognized(in), r.now)
	if !reflect.DeepEqual(before, r.room) {
		r.t.Fatalf("Step changed the room it was given by %+v", in)
	}
	if !reflect.DeepEqual(p, again) {
		r.t.Fatalf("two steps of %+v differ:\n%+v\n%+v", in, p, again)
	}
	return p
}

// unrecognized adds an entry that means nothing to a look, so that a look that shows exactly what is stored is merged as any other.
func unrecognized(in Input) Input {
	if look, ok := in.(Look); ok && len(look.Participants) > 0 {
		look.Participants = append(slices.Clone(look.Participants), Participant{})
		return look
	}
	return in
}

func (r *rig) commit(p Plan) {
	c := p.Commit
	if c.Expect != r.room.Stored {
		r.t.Fatalf("the commit expects version %d, Redis has %d", c.Expect, r.room.Stored)
	}
	want := c.Expect
	if p.Changed {
		want = max(r.room.Stored, r.room.Version) + 1
	}
	if c.Version != want {
		r.t.Fatalf("the commit's version is %d, want %d (changed: %v)", c.Version, want, p.Changed)
	}
	if !p.Changed && (c.Public != Keep || len(c.Changes)+len(c.AddTombstones)+len(c.RemoveTombstones) > 0) {
		r.t.Fatalf("a commit that only checks carries writes: %+v", c)
	}
	if (len(c.Changes) > 0) != (c.Public != Keep) {
		r.t.Fatalf("the keys change without the feed, or the feed without the keys: %+v", c)
	}
	checkLeaves(r.t, p.Changes)
	if n := len(c.AddTombstones); n > MaxTombstones || len(c.RemoveTombstones) > MaxTombstones+2 {
		r.t.Fatalf("a commit writes %d tombstones and drops %d", n, len(c.RemoveTombstones))
	}
	r.room.Adopt(p, Receipt{Now: r.now.Wall / 1000})
	r.feed.take(r.t, c)
	r.feed.compare(r.t, r.room)
}

// checkLeaves checks that each leave has its reason and times, and that nobody who stays is reported as left and joined.
func checkLeaves(t rapid.TB, changes []Change) {
	left := map[string]bool{}
	for _, c := range changes {
		switch c.Type {
		case ParticipantLeft:
			left[c.SID] = true
			if c.Disconnect == "" || c.LeftAt < c.Member.JoinedAt {
				t.Fatalf("%s left for the reason %q, joined at %d and left at %d", c.SID, c.Disconnect, c.Member.JoinedAt, c.LeftAt)
			}
		case ParticipantJoined:
			if left[c.SID] {
				t.Fatalf("%s is reported as left and joined in one commit: %+v", c.SID, changes)
			}
		}
	}
}

// consumer folds the change feed as a reader would who knows only docs/protocol.md.
type consumer struct {
	last    uint64
	begun   bool
	live    bool
	present map[string]string // sid → the participant's JSON
}

func (f *consumer) take(t rapid.TB, c Commit) {
	if len(c.Changes) == 0 {
		return
	}
	snapshot := c.Changes[0].Type == RoomSnapshot
	if f.begun && !snapshot && c.Prev != f.last {
		t.Fatalf("a consumer at version %d gets an entry whose prev is %d", f.last, c.Prev)
	}
	if !f.begun && !snapshot {
		t.Fatal("the feed does not begin with a snapshot")
	}
	f.begun, f.last = true, c.Version
	for _, change := range c.Changes {
		f.fold(c, change)
	}
}

func (f *consumer) fold(c Commit, change Change) {
	switch change.Type {
	case RoomSnapshot:
		f.live, f.present = c.State != nil, map[string]string{}
		if c.State != nil {
			for _, m := range c.State.Roster {
				f.present[m.SID] = string(m.JSON())
			}
		}
	case RoomStarted:
		f.live, f.present = true, map[string]string{}
	case RoomFinished:
		f.live, f.present = false, map[string]string{}
	case ParticipantJoined, ParticipantUpdated:
		f.present[change.SID] = string(change.Member.JSON())
	case ParticipantLeft:
		delete(f.present, change.SID)
	}
}

func (f *consumer) compare(t rapid.TB, r *Room) {
	if f.live != (r.State != nil) {
		t.Fatalf("by the feed the room lives: %v; by the keys: %v", f.live, r.State != nil)
	}
	have := map[string]string{}
	if r.State != nil {
		for _, m := range r.State.Roster {
			have[m.SID] = string(m.JSON())
		}
	}
	if !maps.Equal(have, f.present) {
		t.Fatalf("by the feed: %v\nby the keys: %v", f.present, have)
	}
}

// deepCopy copies everything that a Step could reach and must not change.
func deepCopy(r *Room) *Room {
	c := *r
	c.Tombstones = maps.Clone(r.Tombstones)
	c.memory.touched, c.memory.pending = slices.Clone(r.memory.touched), maps.Clone(r.memory.pending)
	c.memory.reported, c.memory.events = slices.Clone(r.memory.reported), slices.Clone(r.memory.events)
	if r.State != nil {
		s := *r.State
		s.Roster = slices.Clone(s.Roster)
		for i, m := range s.Roster {
			p := m.Participant
			p.Attributes = maps.Clone(p.Attributes)
			s.Roster[i] = &Member{Participant: p, json: slices.Clone(m.json)}
		}
		c.State = &s
	}
	return &c
}

// at returns a moment of LiveKit's clock, in Unix ms: ms after the rig's second 0.
func at(ms int64) int64 { return epoch + ms }

// life returns an instance of the rig's room that was created at ms.
func life(sid string, ms int64) RoomInfo {
	return RoomInfo{Name: "r", SID: sid, CreatedMs: at(ms), MaxParticipants: 9, Metadata: "of " + sid}
}

// who returns a participant that joined at ms. Its identity is the first letter of its sid.
func who(sid string, ms int64) Participant {
	return Participant{Identity: sid[:1], SID: sid, JoinedAt: at(ms), Version: 2, Name: "Name " + sid[:1]}
}

func started(room RoomInfo, ms int64) Event {
	return Event{Kind: Started, Room: room, CreatedAt: at(ms) / 1000}
}

func finished(room RoomInfo, ms int64) Event {
	return Event{Kind: Finished, Room: room, CreatedAt: at(ms) / 1000}
}

func joined(room RoomInfo, p Participant) Event {
	return Event{Kind: Joined, Room: room, Participant: p, CreatedAt: p.JoinedAt / 1000}
}

func left(room RoomInfo, p Participant) Event {
	p.Version++
	return Event{Kind: Left, Room: room, Participant: p, CreatedAt: p.JoinedAt/1000 + 1}
}

func aborted(room RoomInfo, p Participant) Event {
	e := left(room, p)
	e.Kind = Aborted
	return e
}

// track returns an event that identifies room and participant and says nothing else about them.
func track(room RoomInfo, p Participant) Event {
	return Event{Kind: Track, Room: RoomInfo{Name: room.Name, SID: room.SID},
		Participant: Participant{SID: p.SID, Identity: p.Identity}}
}

// claim claims the room again, as another owner does. What is remembered but not stored is gone.
func (r *rig) claim() {
	stored := r.room.Record
	stored.ReadAt = r.now.Wall / 1000
	stored.Tombstones = maps.Clone(stored.Tombstones)
	maps.DeleteFunc(stored.Tombstones, func(_ string, t Tombstone) bool { return stored.ReadAt-t.Written >= 1800 })
	r.room, _ = Load(nil, stored, r.now.Stamp)
	r.ids = nil
}

// sight returns a look that begins now.
func (r *rig) sight(room *RoomInfo, present ...Participant) Look {
	r.wait(1)
	look := Look{Began: r.now.Stamp, Participants: present}
	if room != nil {
		look.Listed = []RoomInfo{*room}
	}
	return look
}

// twice takes two looks that see the same, a second apart, and returns the plan of the second.
func (r *rig) twice(room *RoomInfo, present ...Participant) Plan {
	r.do(r.sight(room, present...))
	r.wait(second)
	return r.do(r.sight(room, present...))
}

// cycle is a sync cycle that sees the same in all its looks and has a permit. It returns the plan of the last look.
func (r *rig) cycle(id uint64, room *RoomInfo, present ...Participant) Plan {
	look := func() Look {
		look := r.sight(room, present...)
		look.Cycle, look.Scheduled, look.Lag = id, true, r.lag
		return look
	}
	if r.do(look()).NeedsSecondLook {
		r.wait(second)
		r.do(look())
	}
	r.wait(second)
	last := look()
	last.Permit = &Permit{Leader: Token{1, id}, Cycle: id, Streak: 1}
	return r.do(last)
}

// have returns the room in short form: "sid: sid sid" with the present by join time, or "-" without public keys.
func (r *rig) have() string {
	if r.room.State == nil {
		return "-"
	}
	sids := []string{}
	for _, m := range r.room.State.Roster {
		sids = append(sids, m.SID)
	}
	return strings.TrimSpace(r.room.State.SID + ": " + strings.Join(sids, " "))
}

func (r *rig) want(have string) {
	r.t.Helper()
	if r.have() != have {
		r.t.Errorf("the room is %q, want %q", r.have(), have)
	}
}

// wantAsk checks the poll that a plan asks for. If why is "", the plan must ask for none.
func wantAsk(t rapid.TB, p Plan, why string, named ...string) {
	t.Helper()
	switch {
	case why == "" && p.Ask != nil:
		t.Errorf("asks for a poll: %+v", *p.Ask)
	case why != "" && p.Ask == nil:
		t.Errorf("asks for no poll, want one for %q", why)
	case why != "" && (!strings.Contains(p.Ask.Why, why) || !slices.Equal(p.Ask.Named, named)):
		t.Errorf("asks for %+v, want %q naming %q", *p.Ask, why, named)
	}
}

func mustJSON(t rapid.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func describeInput(in Input) string {
	switch in := in.(type) {
	case Event:
		return fmt.Sprintf("%s(%s %s)", []string{"?", "started", "finished", "joined", "left", "aborted", "track"}[in.Kind],
			in.Room.SID, in.Participant.SID)
	case Look:
		sids := []string{}
		for _, p := range in.Participants {
			sids = append(sids, p.SID)
		}
		listed := "-"
		for _, room := range in.Listed {
			listed += room.SID
		}
		return fmt.Sprintf("look(%s %v)", listed, sids)
	}
	return "?"
}
