package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

var claimTests = map[string]func(*testing.T, Rig){
	"claim over nothing": func(t *testing.T, r Rig) {
		rec := r.claim(t, "a", claim(1, 2, 3))
		check(t, "version", rec.Version, 0)
		check(t, "altered", rec.Altered, false)
		if rec.State != nil || rec.Tombstones == nil || len(rec.Tombstones) > 0 {
			t.Errorf("state and tombstones of nothing: %v, %v", rec.State, rec.Tombstones)
		}
		check(t, "instance", rec.Instance, reconcile.Instance{})
		r.lives(t, "a", 24*time.Hour)
	},
	"claim order": func(t *testing.T, r Rig) {
		huge := uint64(1) << 63 // more than a Lua number can represent exactly
		for _, step := range []struct {
			c    reconcile.Claim
			want reconcile.Refusal // 0: granted
		}{
			{claim(2, 5, 1), 0}, {claim(2, 5, 1), 0}, {claim(2, 5, 2), reconcile.Split}, {claim(2, 4, 9), reconcile.StaleOwner},
			{claim(1, 100, 1), reconcile.StaleOwner}, {claim(2, 10, 1), 0}, {claim(2, 9, 1), reconcile.StaleOwner}, {claim(10, 1, 1), 0},
			{claim(9, 999, 1), reconcile.StaleOwner}, {claim(huge, 1, 1), 0}, {claim(huge+1, 0, 0), 0}, {claim(huge, 9, 1), reconcile.StaleOwner},
			{claim(huge+1, 0, 1), reconcile.Split},
		} {
			_, err := r.Claim(t.Context(), "a", step.c)
			if step.want == 0 && err != nil || step.want != 0 && !errors.Is(err, step.want) {
				t.Errorf("claim by %v: %v, want %v", step.c, err, step.want)
			}
		}
	},
	"claim returns what was committed": func(t *testing.T, r Rig) {
		c := write(r.claim(t, "a", claim(1, 1, 1)), "u1", "u2")
		c.Instance = reconcile.Instance{SID: "RM_é", CreatedMs: 1795399866205, FinishedAt: 1795399800}
		c.ConfirmedAt = 1795399866100
		c.Leader = reconcile.Token{Generation: 1, Index: 77}
		c.AddTombstones = []reconcile.Tombstone{
			{SID: "PA_:1", Identity: "a:b\x00c\n", JoinedAt: 1795399866001, Looked: true}, {SID: "", Identity: "", JoinedAt: -1}}
		r.commit(t, c)
		rec := r.claim(t, "a", claim(1, 2, 5))
		check(t, "instance", rec.Instance, c.Instance)
		check(t, "confirmed, version, appended", []any{rec.ConfirmedAt, rec.Version, rec.Appended}, []any{c.ConfirmedAt, 1, 1})
		check(t, "leader", rec.Leader, c.Leader)
		check(t, "tombstones", len(rec.Tombstones), 2)
		for _, tomb := range c.AddTombstones {
			tomb.Written = rec.Tombstones[tomb.SID].Written
			check(t, "tombstone", rec.Tombstones[tomb.SID], tomb)
		}
		check(t, "altered", rec.Altered, false)
		check(t, "state", string(rec.State.JSON("a")), string(c.State.JSON("a")))
		check(t, "version of the state", rec.State.Version, 1)
	},
	"record lives a day without public keys, for ever with them": func(t *testing.T, r Rig) {
		r.claim(t, "a", claim(1, 1, 1))
		r.Advance(20 * time.Hour)
		rec := r.claim(t, "a", claim(1, 1, 1))
		r.lives(t, "a", 24*time.Hour)
		r.commit(t, write(rec, "u"))
		r.lives(t, "a", 0)
		r.Advance(48 * time.Hour)
		rec = r.claim(t, "a", claim(1, 1, 1))
		check(t, "version", rec.Version, 1)
		r.lives(t, "a", 0)
		r.commit(t, remove(rec))
		r.lives(t, "a", 24*time.Hour)
		r.Advance(25 * time.Hour)
		if _, exists := r.RecordLife("a"); exists {
			t.Error("the record outlives its day")
		}
		check(t, "version after that", r.claim(t, "a", claim(1, 1, 2)).Version, 0)
	},
	"record-only commits renew the day": func(t *testing.T, r Rig) {
		rec := r.claim(t, "a", claim(1, 1, 1))
		r.Advance(20 * time.Hour)
		r.commit(t, next(rec))
		r.lives(t, "a", 24*time.Hour)
	},
	"tombstones and records tell Redis' time": func(t *testing.T, r Rig) {
		c := next(r.claim(t, "a", claim(1, 1, 1)))
		c.AddTombstones = []reconcile.Tombstone{{SID: "PA_1", Identity: "u1"}}
		written := r.commit(t, c).Now
		r.Advance(11 * time.Minute)
		rec := r.claim(t, "a", claim(1, 1, 1))
		if age := rec.ReadAt - rec.Tombstones["PA_1"].Written; written == 0 || age < 659 || age > 670 {
			t.Errorf("written at %d, and %d s old after 11 min", written, age)
		}
		c.Expect, c.Version = 1, 1
		if now := r.commit(t, c).Now; now < rec.ReadAt || now > rec.ReadAt+10 {
			t.Errorf("a check at %d after a claim at %d", now, rec.ReadAt)
		}
	},
	"an event's write notes when it was": func(t *testing.T, r Rig) {
		rec := r.claim(t, "a", claim(1, 1, 1))
		synced := write(rec, "u1")
		synced.Cause = reconcile.BySync
		r.commit(t, synced)
		rec = r.claim(t, "a", claim(1, 1, 1))
		check(t, "touched by a sync", rec.Touched, 0)
		pure := next(rec)
		pure.Version = pure.Expect
		r.commit(t, pure)
		check(t, "touched by a check", r.claim(t, "a", claim(1, 1, 1)).Touched, 0)
		written := r.commit(t, next(rec)).Now
		rec = r.claim(t, "a", claim(1, 1, 1))
		check(t, "touched by an event", rec.Touched, written)
		r.Advance(11 * time.Minute)
		last := next(rec)
		last.Cause = reconcile.ByCleanup
		r.commit(t, last)
		rec = r.claim(t, "a", claim(1, 2, 1))
		if age := rec.ReadAt - rec.Touched; age < 659 || age > 670 {
			t.Errorf("touched %d s ago, 11 min after the event", age)
		}
	},
	"a migration's tombstone says so": func(t *testing.T, r Rig) {
		c := next(r.claim(t, "a", claim(1, 1, 1)))
		c.AddTombstones = []reconcile.Tombstone{{SID: "PA_1", Migrated: true}, {SID: "PA_2", Looked: true}, {SID: "PA_3"}}
		r.commit(t, c)
		got := r.claim(t, "a", claim(1, 1, 1)).Tombstones
		check(t, "migrated, polled", []bool{got["PA_1"].Migrated, got["PA_1"].Looked, got["PA_2"].Migrated, got["PA_2"].Looked, got["PA_3"].Migrated},
			[]bool{true, false, false, true, false})
	},
	"a script drops no more than 500 tombstones": func(t *testing.T, r Rig) {
		c := next(r.claim(t, "a", claim(1, 1, 1)))
		for i := range 1200 {
			c.AddTombstones = append(c.AddTombstones, reconcile.Tombstone{SID: fmt.Sprint("PA_", i), Identity: "u"})
		}
		r.commit(t, c)
		r.Advance(31 * time.Minute)
		check(t, "tombstones that a claim gives", len(r.claim(t, "a", claim(1, 1, 1)).Tombstones), 0)
		c.AddTombstones, c.Prune = nil, true
		for i, want := range []int{500, 200, 0} {
			c.Expect, c.Version = uint64(i)+1, uint64(i)+2
			check(t, "dropped after the 500 of the claim", len(r.commit(t, c).Pruned), want)
		}
	},
	"tombstones last half an hour": func(t *testing.T, r Rig) {
		c := next(r.claim(t, "a", claim(1, 1, 1)))
		c.AddTombstones = []reconcile.Tombstone{{SID: "PA_1", Identity: "u1"}, {SID: "PA_2", Identity: "u2"}}
		r.commit(t, c)
		r.Advance(20 * time.Minute)
		c.Expect, c.Version, c.Prune = 1, 2, true
		c.AddTombstones = []reconcile.Tombstone{{SID: "PA_2", Identity: "u2"}, {SID: "PA_3", Identity: "u3"}}
		check(t, "pruned before its time", r.commit(t, c).Pruned, []string(nil))
		r.Advance(11 * time.Minute)
		check(t, "tombstones", len(r.claim(t, "a", claim(1, 1, 1)).Tombstones), 2)
		r.Advance(20 * time.Minute)
		c.Expect, c.Version, c.AddTombstones = 2, 3, []reconcile.Tombstone{{SID: "PA_4", Identity: "u4"}}
		check(t, "pruned", r.commit(t, c).Pruned, []string{"PA_2", "PA_3"})
		c.Expect, c.Version, c.AddTombstones, c.RemoveTombstones = 3, 4, nil, []string{"PA_4", "PA_nobody"}
		r.commit(t, c)
		check(t, "tombstones at last", len(r.claim(t, "a", claim(1, 1, 1)).Tombstones), 0)
	},
	"a fence of a wrong type is no record": func(t *testing.T, r Rig) {
		rec := r.live(t, "a", "u")
		r.WrongType(memstore.Fence, "a")
		r.refused(t, reconcile.Conflict, next(rec))
		rec = r.claim(t, "a", claim(1, 1, 1))
		check(t, "version, altered", []any{rec.Version, rec.Altered}, []any{0, true})
		check(t, "roster", len(rec.State.Roster), 1)
		r.lives(t, "a", 0)
	},
	"odd names": func(t *testing.T, r Rig) {
		for _, room := range names {
			rec := r.live(t, room, "u"+room+"\x00")
			check(t, "altered", rec.Altered, false)
			p, s := r.public(t, room)
			check(t, "participants of "+room, p, string(rec.State.Present(kinds)))
			check(t, "states of "+room, s, string(rec.State.JSON(room)))
		}
		index, err := r.Index(t.Context())
		check(t, "index", []any{len(index), err}, []any{len(names), nil})
		for _, room := range names {
			r.commit(t, remove(r.claim(t, room, claim(1, 2, 1))))
		}
		index, err = r.Index(t.Context())
		check(t, "index", []any{len(index), err}, []any{0, nil})
	},
	"a context that ended": func(t *testing.T, r Rig) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Claim(ctx, "a", claim(1, 1, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("claim gave %v", err)
		}
		if _, err := r.Commit(ctx, reconcile.Commit{Room: "a", Version: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("commit gave %v", err)
		}
		if _, exists := r.RecordLife("a"); exists {
			t.Error("it wrote all the same")
		}
	},
}

// lives checks the record's time to live, to within some seconds.
func (r Rig) lives(t *testing.T, room string, want time.Duration) {
	t.Helper()
	left, exists := r.RecordLife(room)
	if !exists || left > want || left < want-30*time.Second {
		t.Errorf("the record of %q lives %v (exists: %v), want %v", room, left, exists, want)
	}
}
