package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

var indexTests = map[string]func(*testing.T, Rig){
	"the index follows the public keys": func(t *testing.T, r Rig) {
		rec := r.claim(t, "a", claim(1, 1, 1))
		r.indexed(t)
		r.commit(t, next(rec))
		r.indexed(t)
		r.commit(t, write(r.claim(t, "a", claim(1, 1, 1)), "u"))
		r.live(t, "b", "u")
		r.indexed(t, "a", "b")
		rec = r.claim(t, "a", claim(1, 1, 1))
		stale := remove(rec)
		stale.Expect++
		r.refused(t, reconcile.Conflict, stale)
		r.indexed(t, "a", "b")
		r.commit(t, remove(rec))
		r.indexed(t, "b")
		r.commit(t, write(r.claim(t, "a", claim(1, 1, 1)), "u"))
		r.indexed(t, "a", "b")
	},
	"pages": func(t *testing.T, r Rig) {
		var want []string
		for i := range 25 {
			want = append(want, fmt.Sprintf("Room-%02d", i))
			r.live(t, want[i])
		}
		var got []string
		pages := 0
		for cursor := ""; ; pages++ {
			names, next, err := r.Rooms(t.Context(), cursor, 10, "")
			if err != nil || len(names) > 10 {
				t.Fatalf("page of %d: %v", len(names), err)
			}
			got = append(got, names...)
			if cursor = next; next == "" {
				break
			}
		}
		check(t, "rooms by pages", got, want)
		names, next, err := r.Rooms(t.Context(), "", 25, "")
		if len(names) != 25 || err != nil {
			t.Errorf("one page: %d, %v", len(names), err)
		}
		if next != "" {
			names, next, err = r.Rooms(t.Context(), next, 25, "")
			check(t, "page after the last", []any{names, next, err}, []any{[]string{}, "", nil})
		}
		names, _, err = r.Rooms(t.Context(), "", 2, "oom-1")
		check(t, "search", []any{names, err}, []any{want[10:12], nil})
		names, next, err = r.Rooms(t.Context(), "", 10, "ROOM-24")
		check(t, "search in another case", []any{names, next, err}, []any{want[24:], "", nil})
		if _, _, err := r.Rooms(t.Context(), "bogus", 2, ""); err == nil {
			t.Error("a cursor that nobody gave is accepted")
		}
	},
	"delist": func(t *testing.T, r Rig) {
		rec := r.live(t, "a", "u")
		delist := func(c reconcile.Claim) error { return r.Delist(t.Context(), "a", c, reconcile.Token{}) }
		if err := delist(rec.Claim); !errors.Is(err, reconcile.Conflict) {
			t.Errorf("a live room gave %v", err)
		}
		r.Delete(memstore.States, "a")
		if err := delist(rec.Claim); !errors.Is(err, reconcile.Conflict) {
			t.Errorf("a room with one key gave %v", err)
		}
		r.Delete(memstore.Participants, "a")
		r.claim(t, "a", claim(1, 2, 1))
		if err := delist(rec.Claim); !errors.Is(err, reconcile.StaleOwner) {
			t.Errorf("a stale owner gave %v", err)
		}
		if err := delist(claim(1, 2, 2)); !errors.Is(err, reconcile.Split) {
			t.Errorf("another incarnation gave %v", err)
		}
		if err := delist(claim(1, 3, 2)); !errors.Is(err, reconcile.Conflict) {
			t.Errorf("one that has not claimed it gave %v", err)
		}
		r.indexed(t, "a")
		if err := delist(claim(1, 2, 1)); err != nil {
			t.Errorf("its owner gave %v", err)
		}
		r.indexed(t)
	},
	"a live room that is verified comes back onto the index": func(t *testing.T, r Rig) {
		verify := next(r.live(t, "a", "u"))
		verify.Version, verify.Verify = verify.Expect, reconcile.VerifyContent
		r.Unlist("a")
		r.commit(t, verify)
		r.indexed(t)
		verify.Verify = reconcile.VerifyAll
		r.commit(t, verify)
		r.indexed(t, "a")
		r.Unlist("a")
		verify.Version, verify.Instance.SID = verify.Expect+1, "RM_1"
		r.commit(t, verify)
		r.indexed(t, "a")
		gone := next(r.claim(t, "gone", claim(1, 1, 1)))
		gone.Version, gone.Verify = gone.Expect, reconcile.VerifyAll
		r.commit(t, gone) // it has no public keys
		gone.Expect, gone.Version = 9, 9
		r.refused(t, reconcile.Conflict, gone)
		r.indexed(t, "a")
	},
	"what the index lost is found": func(t *testing.T, r Rig) {
		for _, room := range names {
			r.live(t, room, "u")
			r.Unlist(room)
		}
		r.Set(memstore.States, "by others", "{}")
		r.WrongType(memstore.Participants, "by others too")
		r.claim(t, "claimed only", claim(1, 1, 1))
		r.indexed(t)
		if err := r.Reindex(t.Context(), time.Microsecond); err != nil {
			t.Fatal(err)
		}
		r.indexed(t, append([]string{"by others", "by others too"}, names...)...)
	},
	"the generation is never lowered": func(t *testing.T, r Rig) {
		for _, step := range [][2]uint64{{0, 0}, {5, 5}, {3, 5}, {10, 10}, {9, 10}, {1 << 63, 1 << 63}, {1<<63 - 1, 1 << 63}, {1<<63 + 1, 1<<63 + 1}} {
			if err := r.RaiseGeneration(t.Context(), step[0]); err != nil {
				t.Fatal(err)
			}
			g, err := r.Generation(t.Context())
			check(t, "generation", []any{g, err}, []any{step[1], nil})
		}
		r.Flush()
		g, err := r.Generation(t.Context())
		check(t, "generation of nothing", []any{g, err}, []any{0, nil})
	},
}

func (r Rig) indexed(t *testing.T, want ...string) {
	t.Helper()
	got, err := r.Index(t.Context())
	slices.Sort(want)
	check(t, "index", []any{fmt.Sprintf("%q", got), err}, []any{fmt.Sprintf("%q", want), nil})
}
