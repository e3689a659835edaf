package reconcile

import (
	"fmt"
	"slices"
	"testing"
)

// told returns a plan's changes in short form, each with its reason.
func told(p Plan) []string {
	var list []string
	for _, c := range p.Changes {
		list = append(list, fmt.Sprintf("%s %s: %s", c.Type, c.SID, c.Reason))
	}
	return list
}

// TestReasons: every change of a look has its reason, identity and sid, and the time since when the difference is known.
func TestReasons(t *testing.T) {
	renamed := a1
	renamed.Version, renamed.Metadata = 9, "new"
	relabelled := r1
	relabelled.Metadata = "new"
	for name, c := range map[string]struct {
		before []Event
		look   func(*rig) Plan
		want   []string
		since  []int64
	}{
		"unseen room, missed join": {nil, func(r *rig) Plan { return r.do(r.sight(&r1, a1)) },
			[]string{"room_started R1: unseen room", "participant_joined a1: missed join"}, []int64{r1.CreatedMs, a1.JoinedAt}},
		"missed leave": {[]Event{joined(r1, a1), joined(r1, c1)}, func(r *rig) Plan { return r.cycle(1, &r1, a1) },
			[]string{"participant_left c1: missed leave"}, []int64{-1}},
		"another of the identity": {[]Event{joined(r1, a1)}, func(r *rig) Plan { return r.do(r.sight(&r1, a2)) },
			[]string{"participant_left a1: missed leave", "participant_joined a2: missed join"}, []int64{a2.JoinedAt, a2.JoinedAt}},
		"ghost, unseen finish": {[]Event{joined(r1, a1)}, func(r *rig) Plan { return r.cycle(1, nil) },
			[]string{"participant_left a1: ghost", "room_finished R1: unseen finish"}, []int64{-1, -1}},
		"stale metadata": {[]Event{joined(r1, a1)}, func(r *rig) Plan { return r.do(r.sight(&relabelled, renamed)) },
			[]string{"room_updated R1: stale metadata", "participant_updated a1: stale metadata"}, []int64{0, 0}},
		"a newer instance": {[]Event{joined(r1, a1), joined(r1, c1)}, func(r *rig) Plan { return r.do(r.sight(&r2, a1)) },
			[]string{"participant_left c1: missed leave", "room_updated R2: unseen room"},
			[]int64{r2.CreatedMs, r2.CreatedMs, r2.CreatedMs}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for _, e := range c.before {
				r.do(e)
			}
			first := r.now.Wall
			p := c.look(r)
			if got := told(p); !slices.Equal(got, c.want) {
				t.Errorf("it changes\n%q, want\n%q", got, c.want)
			}
			var since []int64
			for _, d := range p.Drift {
				at := d.Since
				if at > first-2 && at < r.now.Wall && at != 0 && !slices.Contains(c.since, at) {
					at = -1 // the first look that did not show it
				}
				since = append(since, at)
			}
			if !slices.Equal(since, c.since) {
				t.Errorf("the drift %+v is known since %v, want %v", p.Drift, since, c.since)
			}
		})
	}
}

// TestStory: if the feed gets a snapshot, the timeline gets the differences themselves and the cause of the snapshot.
func TestStory(t *testing.T) {
	r := newRig(t)
	e := joined(r1, a1)
	e.ID = "EV_1"
	p := r.do(e)
	if got := p.Commit.Timeline("n1"); len(got) != 2 || got[0].Type != ParticipantJoined || got[1].Type != RoomStarted ||
		got[0] != (TimelineEntry{Time: r.now.Wall, Type: ParticipantJoined, Identity: "a", SID: "a1", Cause: ByWebhook, Event: "EV_1",
			Gen: 1, Epoch: 1, Version: 1, Owner: "n1"}) {
		t.Errorf("the timeline of a first join is %+v", got)
	}
	r.room.Altered = true
	look := r.sight(&r1, a1)
	look.Verify = VerifyContent
	p = r.do(look)
	if got := p.Commit.Timeline("n1"); len(got) != 1 || got[0].Type != RoomSnapshot || got[0].Reason != ForeignChange || got[0].Cause != BySync {
		t.Errorf("the timeline of a foreign change is %+v", got)
	}
	r.room.Stored-- // Redis has lost the last commit
	p = r.do(r.sight(&r1, a1, c1))
	got := p.Commit.Timeline("n1")
	if len(got) != 2 || got[0].Reason != MissedJoin || got[1].Type != RoomSnapshot || got[1].Reason != LostWrite {
		t.Errorf("the timeline of a lost write is %+v", got)
	}
}

// TestStoryIsBounded: the first look at a large room adds no more entries than a timeline keeps.
func TestStoryIsBounded(t *testing.T) {
	r := newRig(t)
	var people []Participant
	for i := range TimelineMax + 50 {
		p := who(fmt.Sprintf("p%03d", i), int64(1000+i))
		p.Identity = p.SID
		people = append(people, p)
	}
	p := r.do(r.sight(&r1, people...))
	got := p.Commit.Timeline("n1")
	if len(got) != TimelineMax || got[0].SID != people[len(people)-1].SID {
		t.Errorf("%d entries, the newest of %q", len(got), got[0].SID)
	}
}
