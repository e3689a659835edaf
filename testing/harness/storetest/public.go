package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

var publicTests = map[string]func(*testing.T, Rig){
	"both keys come, change and go together": func(t *testing.T, r Rig) {
		rec := r.claim(t, "a", claim(1, 1, 1))
		c := write(rec)
		r.commit(t, c)
		p, s := r.public(t, "a")
		check(t, "participants of an empty room", p, "[]")
		check(t, "states", s, string(c.State.JSON("a")))
		rec = r.claim(t, "a", claim(1, 1, 1))
		c = write(rec, "u2", "u1")
		c.State.Roster = append(c.State.Roster, reconcile.NewMember(reconcile.Participant{Identity: "agent", SID: "PA_a", Kind: "AGENT", JoinedAt: 1795399866999}))
		r.commit(t, c)
		p, _ = r.public(t, "a")
		check(t, "participants", p, `["u2","u1"]`)
		one, found, err := r.State(t.Context(), "a")
		check(t, "state", []any{string(one), found, err}, []any{string(c.State.JSON("a")), true, nil})
		rec = r.claim(t, "a", claim(1, 1, 1))
		r.commit(t, next(rec))
		p, _ = r.public(t, "a")
		check(t, "participants after a record-only commit", p, `["u2","u1"]`)
		rec = r.claim(t, "a", claim(1, 1, 1))
		check(t, "altered", rec.Altered, false)
		r.commit(t, remove(rec))
		p, s = r.public(t, "a")
		check(t, "removed", p+s, "")
		_, found, err = r.State(t.Context(), "a")
		check(t, "state", []any{found, err}, []any{false, nil})
		rec = r.claim(t, "a", claim(1, 1, 1))
		check(t, "state, altered", []any{rec.State == nil, rec.Altered}, []any{true, false})
		check(t, "finish mark", rec.Instance.FinishedAt, 1795399900)
	},
	"foreign changes are noticed and overwritten": func(t *testing.T, r Rig) {
		other := string(state(9, "ghost").JSON("a"))
		for name, c := range map[string]struct {
			meddle  func()
			roster  int
			noState bool
		}{
			"states changed":             {meddle: func() { r.Set(memstore.States, "a", other) }, roster: 1},
			"participants changed":       {meddle: func() { r.Set(memstore.Participants, "a", `["x"]`) }, roster: 2},
			"states not JSON":            {meddle: func() { r.Set(memstore.States, "a", "no") }},
			"states of another shape":    {meddle: func() { r.Set(memstore.States, "a", `{"participants":[{"identity":"x"}]}`) }},
			"states empty":               {meddle: func() { r.Set(memstore.States, "a", "") }},
			"states of a wrong type":     {meddle: func() { r.WrongType(memstore.States, "a") }},
			"participants likewise":      {meddle: func() { r.WrongType(memstore.Participants, "a") }, roster: 2},
			"states removed":             {meddle: func() { r.Delete(memstore.States, "a") }},
			"participants removed":       {meddle: func() { r.Delete(memstore.Participants, "a") }, roster: 2},
			"both removed":               {meddle: func() { r.Delete(memstore.States, "a"); r.Delete(memstore.Participants, "a") }, noState: true},
			"public keys, no record":     {meddle: func() { r.Delete(memstore.Fence, "a") }, roster: 2},
			"both of a wrong type":       {meddle: func() { r.WrongType(memstore.States, "a"); r.WrongType(memstore.Participants, "a") }},
			"the record of wrong type":   {meddle: func() { r.WrongType(memstore.Fence, "a") }, roster: 2},
			"written by another program": {meddle: func() { r.Set(memstore.States, "a", other); r.Set(memstore.Participants, "a", `["ghost"]`) }, roster: 1},
		} {
			r.Flush()
			rec := r.live(t, "a", "u1", "u2")
			c.meddle()
			verify := next(rec)
			verify.Version = verify.Expect
			if _, exists := r.RecordLife("a"); exists {
				for _, verify.Verify = range []reconcile.Verification{reconcile.VerifyContent, reconcile.VerifyAll} {
					check(t, name+": verified", r.commit(t, verify).Altered, true)
				}
			}
			rec = r.claim(t, "a", claim(1, 2, 1))
			check(t, name+": altered, no state", []any{rec.Altered, rec.State == nil}, []any{true, c.noState})
			if rec.State != nil {
				check(t, name+": roster", len(rec.State.Roster), c.roster)
			}
			w := write(rec, "u1")
			w.Verify = reconcile.VerifyAll
			check(t, name+": verified while writing", r.commit(t, w).Altered, true)
			rec = r.claim(t, "a", claim(1, 2, 1))
			check(t, name+": altered after", rec.Altered, false)
			p, _ := r.public(t, "a")
			check(t, name+": participants after", p, `["u1"]`)
			verify = next(rec)
			verify.Version = verify.Expect
			for _, verify.Verify = range []reconcile.Verification{reconcile.VerifyContent, reconcile.VerifyAll} {
				check(t, name+": verified after", r.commit(t, verify).Altered, false)
			}
		}
	},
	"a foreign time to live is noticed and taken away": func(t *testing.T, r Rig) {
		for _, key := range []memstore.Key{memstore.Participants, memstore.States} {
			r.Flush()
			verify := next(r.live(t, "a", "u1"))
			verify.Version, verify.Verify = verify.Expect, reconcile.VerifyAll
			check(t, "before", r.commit(t, verify).Altered, false)
			r.Expire(key, "a")
			check(t, "after", r.commit(t, verify).Altered, true)
			verify.Verify = reconcile.VerifyContent
			check(t, "after, by the values alone", r.commit(t, verify).Altered, false)
			verify.Verify = reconcile.VerifyAll
			r.commit(t, write(r.claim(t, "a", claim(1, 1, 1)), "u1"))
			verify.Expect++
			verify.Version++
			check(t, "once written", r.commit(t, verify).Altered, false)
		}
	},
	"the record of a room whose keys others deleted stays": func(t *testing.T, r Rig) {
		r.live(t, "a", "u1")
		r.Delete(memstore.Participants, "a")
		r.Delete(memstore.States, "a")
		rec := r.claim(t, "a", claim(1, 2, 1))
		r.lives(t, "a", 0)
		r.commit(t, write(rec, "u1"))
		r.lives(t, "a", 0)
	},
	"foreign keys of a room that is gone": func(t *testing.T, r Rig) {
		r.commit(t, remove(r.live(t, "a", "u")))
		rec := r.claim(t, "a", claim(1, 1, 1))
		verify := next(rec)
		verify.Version = verify.Expect
		for _, verify.Verify = range []reconcile.Verification{reconcile.VerifyContent, reconcile.VerifyAll} {
			check(t, "verified", r.commit(t, verify).Altered, false)
			r.WrongType(memstore.Participants, "a")
			check(t, "verified", r.commit(t, verify).Altered, true)
			r.Delete(memstore.Participants, "a")
		}
		r.WrongType(memstore.Participants, "a")
		rec = r.claim(t, "a", claim(1, 1, 1))
		check(t, "altered, roster, sid", []any{rec.Altered, len(rec.State.Roster), rec.State.SID}, []any{true, 0, "RM_1"})
		r.lives(t, "a", 0)
		r.commit(t, remove(rec))
		r.lives(t, "a", 24*time.Hour)
		rec = r.claim(t, "a", claim(1, 1, 1))
		check(t, "altered, no state", []any{rec.Altered, rec.State == nil}, []any{false, true})
	},
	"other kinds are counted than before": func(t *testing.T, r Rig) {
		rec := r.claim(t, "a", claim(1, 1, 1))
		c := write(rec, "u")
		r.commit(t, c)
		// As written by a node that counts nobody: the record agrees with the keys, but not with the setting.
		r.Set(memstore.Participants, "a", `[]`)
		check(t, "altered", r.claim(t, "a", claim(1, 1, 1)).Altered, true)
	},
	"readers": func(t *testing.T, r Rig) {
		var rooms []string
		for i := range 450 {
			room := "room-" + string(rune('a'+i%26)) + time.Duration(i).String()
			rooms = append(rooms, room)
			r.live(t, room, "u")
		}
		r.Set(memstore.States, rooms[3], "not JSON")
		r.WrongType(memstore.Participants, rooms[4])
		p, s, err := r.States(t.Context(), append(rooms, "nobody"))
		check(t, "states", []any{len(p), len(s), err}, []any{449, 449, nil})
		if !json.Valid(s[rooms[449]]) {
			t.Errorf("a state that is no JSON gave %s", s[rooms[449]])
		}
		value, found, err := r.State(t.Context(), rooms[3])
		check(t, "state that is no JSON", []any{string(value), found, err}, []any{"not JSON", true, nil})
		r.WrongType(memstore.States, rooms[4])
		value, found, err = r.State(t.Context(), rooms[4])
		check(t, "state of a wrong type", []any{string(value), found, err}, []any{"", true, nil})
		p, s, err = r.States(t.Context(), nil)
		check(t, "states of none", []any{len(p), len(s), err}, []any{0, 0, nil})
	},
}
