package storetest

import (
	"errors"
	"testing"

	"github.com/rollcallhq/rollcall/reconcile"
)

var commitTests = map[string]func(*testing.T, Rig){
	"refusals": func(t *testing.T, r Rig) {
		r.claim(t, "a", claim(2, 5, 1))
		rec := r.claim(t, "a", claim(2, 10, 1))
		by := func(c reconcile.Claim) reconcile.Commit {
			w := write(rec, "u")
			w.Claim = c
			return w
		}
		r.refused(t, reconcile.StaleOwner, by(claim(2, 5, 1)))
		r.refused(t, reconcile.StaleOwner, by(claim(2, 9, 1)))
		r.refused(t, reconcile.StaleOwner, by(claim(1, 99, 1)))
		r.refused(t, reconcile.Split, by(claim(2, 10, 2)))
		r.refused(t, reconcile.Conflict, by(claim(2, 11, 1)))
		r.refused(t, reconcile.Conflict, by(claim(10, 1, 1)))
		ahead := write(rec, "u")
		ahead.Expect, ahead.Version = 1, 2
		r.refused(t, reconcile.Conflict, ahead)
		nobody := write(rec, "u")
		nobody.Room = "nobody claimed it"
		r.refused(t, reconcile.Conflict, nobody)
		if p, s := r.public(t, "a"); p != "" || s != "" {
			t.Errorf("a refused commit wrote %s, %s", p, s)
		}
		check(t, "feed", len(r.Feed("a")), 0)
		r.commit(t, write(rec, "u"))
		r.refused(t, reconcile.Conflict, write(rec, "u")) // the same commit again
	},
	"a commit without a state to write": func(t *testing.T, r Rig) {
		c := write(r.claim(t, "a", claim(1, 1, 1)), "u")
		c.State = nil
		var refusal reconcile.Refusal
		if _, err := r.Commit(t.Context(), c); err == nil || errors.As(err, &refusal) {
			t.Errorf("it is answered by %v", err)
		}
	},
	"leader tokens": func(t *testing.T, r Rig) {
		rec := r.live(t, "a", "u")
		led := func(gen, index uint64) reconcile.Commit {
			c := next(rec)
			c.Leader = reconcile.Token{Generation: gen, Index: index}
			return c
		}
		for _, step := range []struct {
			gen, index uint64
			want       reconcile.Refusal
		}{
			{1, 9, 0}, {1, 9, 0}, {1, 8, reconcile.StaleLeader}, {1, 10, 0}, {1, 9, reconcile.StaleLeader}, {2, 1, 0},
			{1, 99, reconcile.StaleLeader}, {0, 5, reconcile.StaleLeader}, {0, 0, 0}, {2, 0, reconcile.StaleLeader},
		} {
			if step.want != 0 {
				r.refused(t, step.want, led(step.gen, step.index))
				if err := r.Delist(t.Context(), "a", rec.Claim, reconcile.Token{Generation: step.gen, Index: step.index}); !errors.Is(err, step.want) {
					t.Errorf("delist by %v gave %v", step, err)
				}
				continue
			}
			r.commit(t, led(step.gen, step.index))
			rec = r.claim(t, "a", claim(1, 1, 1))
		}
		check(t, "stored token", rec.Leader, reconcile.Token{Generation: 2, Index: 1})
		stale := led(3, 1)
		stale.Expect--
		r.refused(t, reconcile.Conflict, stale)
		check(t, "token after a refusal", r.claim(t, "a", claim(1, 1, 1)).Leader, reconcile.Token{Generation: 2, Index: 1})
	},
	"a check writes nothing": func(t *testing.T, r Rig) {
		rec := r.live(t, "a", "u")
		c := write(rec, "someone", "else")
		c.Version = c.Expect
		c.Leader = reconcile.Token{Generation: 1, Index: 1}
		c.ConfirmedAt, c.AddTombstones = 5, []reconcile.Tombstone{{SID: "PA_x"}}
		p, s := r.public(t, "a")
		check(t, "altered", r.commit(t, c).Altered, false)
		after := r.claim(t, "a", claim(1, 1, 1))
		check(t, "record", []any{after.Version, after.ConfirmedAt, len(after.Tombstones), after.Leader},
			[]any{rec.Version, rec.ConfirmedAt, 0, rec.Leader})
		p2, s2 := r.public(t, "a")
		check(t, "public keys", p2+s2, p+s)
		check(t, "feed", len(r.Feed("a")), 1)
		c.Expect, c.Version = 7, 7
		r.refused(t, reconcile.Conflict, c)
		c.Expect, c.Version, c.Claim = rec.Version, rec.Version, claim(1, 1, 9)
		r.refused(t, reconcile.Split, c)
		c.Claim = claim(0, 1, 1)
		r.refused(t, reconcile.StaleOwner, c)
	},
	"lost data": func(t *testing.T, r Rig) {
		rec := r.live(t, "a", "u")
		r.Flush()
		pure := next(rec)
		pure.Version = pure.Expect
		r.refused(t, reconcile.Conflict, pure)
		r.refused(t, reconcile.Conflict, write(rec, "u"))
		again := r.claim(t, "a", claim(1, 1, 1))
		check(t, "version", again.Version, 0)
		// Versions continue from the version that the owner held.
		c := write(again, "u")
		c.Version = rec.Version + 1
		c.State.Version = c.Version
		c.Changes = []reconcile.Change{{Type: reconcile.RoomSnapshot, SID: "RM_1"}}
		r.commit(t, c)
		back := r.claim(t, "a", claim(1, 1, 1))
		check(t, "version, appended, altered", []any{back.Version, back.Appended, back.Altered}, []any{2, 2, false})
		index, err := r.Index(t.Context())
		check(t, "index", []any{index, err}, []any{[]string{"a"}, nil})
	},
}
