package storetest

import (
	"strconv"
	"testing"

	"github.com/rollcallhq/rollcall/reconcile"
)

var feedTests = map[string]func(*testing.T, Rig){
	"feed entries": func(t *testing.T, r Rig) {
		rec := r.claim(t, "a\n", claim(3, 4, 5))
		c := write(rec, "u1", "u2")
		c.Changes = []reconcile.Change{{Type: reconcile.RoomSnapshot, SID: "RM_1"}}
		r.commit(t, c)
		w := write(r.claim(t, "a\n", claim(3, 4, 5)), "u2")
		w.Cause = reconcile.BySync
		gone := member("u1", 1)
		w.Changes = []reconcile.Change{{Type: reconcile.ParticipantLeft, Member: gone, SID: gone.SID,
			Disconnect: "CLIENT_INITIATED", LeftAt: 1795399866777}, {Type: reconcile.RoomUpdated, SID: "RM_1"}}
		r.commit(t, w)
		r.commit(t, remove(r.claim(t, "a\n", claim(3, 4, 5))))
		last := remove(r.claim(t, "a\n", claim(3, 4, 5)))
		last.Changes[0].Type = reconcile.RoomSnapshot
		r.commit(t, last)
		renewed := write(r.claim(t, "a\n", claim(3, 4, 5)), "u2")
		renewed.Changes = []reconcile.Change{{Type: reconcile.RoomFinished, SID: "RM_0"}}
		r.commit(t, renewed)
		feed := r.Feed("a\n")
		if len(feed) != 6 {
			t.Fatalf("%d entries: %v", len(feed), feed)
		}
		entry := func(version, prev, n, of, kind, identity, sid, cause, data string) map[string]string {
			return map[string]string{"room": "a\n", "gen": "3", "epoch": "4", "version": version, "prev": prev, "n": n, "of": of, "type": kind,
				"identity": identity, "sid": sid, "cause": cause, "time": "1795399866999", "data": data}
		}
		check(t, "snapshot", feed[0], entry("1", "0", "1", "1", "room_snapshot", "", "RM_1", "webhook", string(c.State.JSON("a\n"))))
		departed := entry("2", "1", "1", "2", "participant_left", "u1", "PA_u1", "sync", string(gone.JSON()))
		departed["reason"], departed["joinedAt"], departed["leftAt"] = "CLIENT_INITIATED", "1", "1795399866777"
		check(t, "left", feed[1], departed)
		check(t, "updated", feed[2], entry("2", "1", "2", "2", "room_updated", "", "RM_1", "sync",
			`{"roomName":"a\n","sid":"RM_1","isActive":true,"createdAt":1795399866205,"lastUpdated":1795399866530,"maxParticipants":2,"metadata":"{\"a\":\"<b>\"}","version":2}`))
		check(t, "finished", feed[3], entry("3", "2", "1", "1", "room_finished", "", "RM_1", "webhook", "null"))
		check(t, "finished by a newer instance", feed[5], entry("5", "4", "1", "1", "room_finished", "", "RM_0", "webhook", "null"))
		check(t, "snapshot of nothing", feed[4], entry("4", "3", "1", "1", "room_snapshot", "", "RM_1", "webhook", "null"))
	},
	"the chain of versions": func(t *testing.T, r Rig) {
		rec := r.claim(t, "a", claim(1, 1, 1))
		for i := range 20 {
			c := write(rec, "u"+strconv.Itoa(i))
			if i%3 == 1 {
				c = next(rec) // changes only the record: no entry, and no gap
			}
			r.commit(t, c)
			rec = r.claim(t, "a", claim(2, uint64(i)+1, 1))
		}
		chain(t, r.Feed("a"))
		check(t, "version", rec.Version, 20)
	},
}

// chain checks that every entry follows the one before it.
func chain(t *testing.T, feed []map[string]string) {
	t.Helper()
	last := "0"
	for i, e := range feed {
		if e["n"] != "1" {
			check(t, "version within a commit", e["version"], last)
			continue
		}
		check(t, "prev of entry "+strconv.Itoa(i), e["prev"], last)
		last = e["version"]
	}
}
