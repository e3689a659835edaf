package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/harness/eventually"
)

// told returns a write commit with a timeline of one change of u1.
func told(rec reconcile.Record, event string, reason reconcile.Reason) reconcile.Commit {
	c := write(rec, "u1")
	m := member("u1", 1)
	c.Event = event
	if c.Cause = reconcile.ByWebhook; event == "" {
		c.Cause = reconcile.BySync
	}
	c.Story = []reconcile.Change{{Type: reconcile.ParticipantJoined, Member: m, SID: m.SID, Reason: reason}}
	return c
}

func (r Rig) timeline(t *testing.T, room string) []reconcile.TimelineEntry {
	t.Helper()
	entries, err := r.Timeline(t.Context(), room, reconcile.TimelineMax)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

var historyTests = map[string]func(*testing.T, Rig){
	"timeline entries": func(t *testing.T, r Rig) {
		const room = "a\n"
		rec := r.claim(t, room, claim(3, 4, 5))
		r.commit(t, told(rec, "EV_<1>", ""))
		c := told(r.claim(t, room, claim(3, 4, 5)), "", reconcile.StaleMetadata)
		c.Story = append(c.Story, reconcile.Change{Type: reconcile.RoomUpdated, SID: "RM_1", Reason: reconcile.StaleMetadata},
			reconcile.Change{Type: reconcile.ParticipantLeft, Member: member("u1", 1), SID: "PA_u1", Reason: reconcile.StaleMetadata,
				Disconnect: "CONNECTION_TIMEOUT", LeftAt: 1795399866777})
		r.commit(t, c)
		r.commit(t, next(r.claim(t, room, claim(3, 4, 5)))) // changes only the record, so it adds no timeline entry
		entry := reconcile.TimelineEntry{Time: 1795399866999, Type: reconcile.ParticipantJoined, Identity: "u1", SID: "PA_u1",
			Cause: reconcile.ByWebhook, Event: "EV_<1>", Gen: 3, Epoch: 4, Version: 1, Owner: "n1"}
		synced := entry
		synced.Cause, synced.Reason, synced.Event, synced.Version = reconcile.BySync, reconcile.StaleMetadata, "", 2
		updated := synced
		updated.Type, updated.Identity, updated.SID = reconcile.RoomUpdated, "", "RM_1"
		left := synced
		left.Type, left.Disconnect, left.JoinedAt, left.LeftAt = reconcile.ParticipantLeft, "CONNECTION_TIMEOUT", 1, 1795399866777
		check(t, "timeline", r.timeline(t, room), []reconcile.TimelineEntry{left, updated, synced, entry})
		two, err := r.Timeline(t.Context(), room, 2)
		check(t, "the newest two", []any{two, err}, []any{[]reconcile.TimelineEntry{left, updated}, nil})
		check(t, "another room's", len(r.timeline(t, "a")), 0)
	},
	"a timeline is capped": func(t *testing.T, r Rig) {
		c := told(r.claim(t, "a", claim(1, 1, 1)), "EV_1", "")
		for i := range reconcile.TimelineMax + 30 {
			c.Story = append(c.Story, reconcile.Change{Type: reconcile.ParticipantJoined, SID: fmt.Sprint("PA_", i)})
		}
		r.commit(t, c)
		r.commit(t, told(r.claim(t, "a", claim(1, 1, 1)), "EV_2", ""))
		got := r.timeline(t, "a")
		check(t, "length", len(got), reconcile.TimelineMax)
		check(t, "newest, next, oldest", []string{got[0].Event, got[1].SID, got[len(got)-1].SID}, []string{"EV_2", "PA_129", "PA_31"})
	},
	"a refused commit tells nothing": func(t *testing.T, r Rig) {
		rec := r.live(t, "a", "u1")
		stale := told(rec, "EV_1", "")
		stale.Expect--
		r.refused(t, reconcile.Conflict, stale)
		verify := told(rec, "EV_2", "")
		verify.Version = verify.Expect
		r.commit(t, verify)
		check(t, "timeline", len(r.timeline(t, "a")), 0)
	},
	"a timeline goes with its record": func(t *testing.T, r Rig) {
		rec := r.claim(t, "a", claim(1, 1, 1))
		r.commit(t, told(rec, "EV_1", ""))
		r.Advance(48 * time.Hour) // a live room's timeline does not expire
		check(t, "of a live room", len(r.timeline(t, "a")), 1)
		gone := remove(r.claim(t, "a", claim(1, 1, 1)))
		gone.Story = gone.Changes
		r.commit(t, gone)
		r.Advance(23 * time.Hour)
		check(t, "of a finished room", len(r.timeline(t, "a")), 2)
		r.claim(t, "a", claim(1, 2, 1)) // extends the record's life by a day
		r.Advance(23 * time.Hour)
		check(t, "of a finished room that was claimed", len(r.timeline(t, "a")), 2)
		r.commit(t, told(r.claim(t, "a", claim(1, 2, 1)), "EV_2", ""))
		r.Advance(48 * time.Hour)
		check(t, "of a room that lives again", len(r.timeline(t, "a")), 3)
		r.commit(t, remove(r.claim(t, "a", claim(1, 2, 1))))
		r.Advance(25 * time.Hour)
		check(t, "after the record", len(r.timeline(t, "a")), 0)
	},
	"drift": func(t *testing.T, r Rig) {
		r.Drifted("a\n", reconcile.BySync, 17, []reconcile.Drift{{Reason: reconcile.MissedJoin, Identity: "u1", SID: "PA_1", Since: 3},
			{Reason: reconcile.UnseenRoom, SID: "RM_1"}})
		r.Drifted("b", reconcile.ByCleanup, 18, []reconcile.Drift{{Reason: reconcile.Ghost, Identity: "u2", SID: "PA_2"}})
		want := []reconcile.DriftEntry{{Time: 18, Room: "b", Reason: reconcile.Ghost, Identity: "u2", SID: "PA_2", Cause: reconcile.ByCleanup, Node: "n1"},
			{Time: 17, Room: "a\n", Reason: reconcile.UnseenRoom, SID: "RM_1", Cause: reconcile.BySync, Node: "n1"},
			{Time: 17, Room: "a\n", Reason: reconcile.MissedJoin, Identity: "u1", SID: "PA_1", Cause: reconcile.BySync, Node: "n1"}}
		got := r.drift(t, func(got []reconcile.DriftEntry) bool { return len(got) == 3 })
		if !slices.Equal(got, want) {
			t.Errorf("the drift is %+v, want %+v", got, want)
		}
		for i := range reconcile.DriftMax + 20 {
			r.Drifted("c", reconcile.BySync, int64(i), []reconcile.Drift{{Reason: reconcile.MissedLeave}})
		}
		got = r.drift(t, func(got []reconcile.DriftEntry) bool { return len(got) > 0 && got[0].Time == reconcile.DriftMax+19 })
		check(t, "length, oldest", []any{len(got), got[len(got)-1].Time}, []any{reconcile.DriftMax, 20})
	},
}

// drift waits until the list is as wanted, because drift entries are written asynchronously.
func (r Rig) drift(t *testing.T, wanted func([]reconcile.DriftEntry) bool) (got []reconcile.DriftEntry) {
	t.Helper()
	eventually.Nil(t, 20*time.Second, "the list of drift", func() error {
		var err error
		if got, err = r.Drift(t.Context()); err != nil {
			t.Fatal(err) // what is written late is waited for, a failure is not
		}
		if !wanted(got) {
			return fmt.Errorf("it holds %d entries: %+v", len(got), got[:min(len(got), 5)])
		}
		return nil
	})
	return got
}
