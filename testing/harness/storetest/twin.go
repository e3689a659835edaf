package storetest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Twin makes random calls and faults on a store and on the fake, and fails if their answers differ.
func Twin(t *testing.T, real Rig) {
	rapid.Check(t, func(t *rapid.T) {
		real.Flush()
		w := &twins{real: real, fake: Memory(), held: map[string]reconcile.Record{}}
		t.Repeat(map[string]func(*rapid.T){
			"claim": w.claim, "commit": w.commit, "commit again": w.commit, "delist": w.delist, "meddle": w.meddle, "advance": w.advance,
			"generation": w.generation, "": w.compare,
		})
	})
}

type twins struct {
	real, fake Rig
	held       map[string]reconcile.Record // the last record that a claim returned, updated by commits
}

var twinRooms = []string{"a", "}b", "%"}

func drawRoom(t *rapid.T) string { return rapid.SampledFrom(twinRooms).Draw(t, "room") }

func drawClaim(t *rapid.T) reconcile.Claim {
	return claim(rapid.Uint64Range(1, 2).Draw(t, "gen"), rapid.Uint64Range(9, 11).Draw(t, "epoch"), rapid.Uint64Range(1, 2).Draw(t, "inc"))
}

func drawToken(t *rapid.T) reconcile.Token {
	return reconcile.Token{Generation: rapid.Uint64Range(0, 2).Draw(t, "leader gen"), Index: rapid.SampledFrom([]uint64{0, 9, 10}).Draw(t, "leader index")}
}

func (w *twins) claim(t *rapid.T) {
	room, c := drawRoom(t), drawClaim(t)
	got, err := w.real.Claim(t.Context(), room, c)
	want, wantErr := w.fake.Claim(t.Context(), room, c)
	same(t, "claim", timeless(got), err, timeless(want), wantErr)
	if err == nil {
		w.held[room] = got
	}
}

// timeless clears Redis' times, because the two clocks are not in step.
func timeless(rec reconcile.Record) reconcile.Record {
	rec.ReadAt, rec.Touched = 0, min(rec.Touched, 1)
	rec.Tombstones = maps.Clone(rec.Tombstones)
	for sid, t := range rec.Tombstones {
		t.Written = 0
		rec.Tombstones[sid] = t
	}
	return rec
}

func (w *twins) commit(t *rapid.T) {
	room := drawRoom(t)
	c := next(w.held[room])
	c.Room = room
	if rapid.IntRange(0, 9).Draw(t, "twist the claim") == 0 {
		c.Claim = drawClaim(t)
	}
	if rapid.IntRange(0, 9).Draw(t, "twist the version") == 0 {
		c.Expect += rapid.Uint64Range(0, 2).Draw(t, "by") - 1
	}
	if rapid.IntRange(0, 4).Draw(t, "lead") == 0 {
		c.Leader = drawToken(t)
	}
	if rapid.IntRange(0, 4).Draw(t, "check") == 0 {
		c.Version = c.Expect
	}
	sids := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"PA_1", "PA_2", "PA_3", "PA_4"}), 0, 3, rapid.ID).Draw(t, "sids")
	for i, sid := range sids {
		if i == 0 {
			c.RemoveTombstones = append(c.RemoveTombstones, sid)
			continue
		}
		c.AddTombstones = append(c.AddTombstones, reconcile.Tombstone{SID: sid, Identity: "u:" + sid, JoinedAt: int64(i), Looked: rapid.Bool().Draw(t, "polled")})
		last := &c.AddTombstones[len(c.AddTombstones)-1]
		last.Migrated = !last.Looked && rapid.Bool().Draw(t, "migrated")
	}
	c.Prune, c.Verify = rapid.Bool().Draw(t, "prune"), reconcile.Verification(rapid.IntRange(0, 2).Draw(t, "verify"))
	c.Cause = rapid.SampledFrom([]reconcile.Cause{reconcile.ByWebhook, reconcile.BySync}).Draw(t, "cause")
	c.ConfirmedAt = rapid.Int64Range(0, 3).Draw(t, "confirmed")
	c.Public = rapid.SampledFrom([]reconcile.PublicOp{reconcile.Keep, reconcile.Write, reconcile.Write, reconcile.Remove}).Draw(t, "public")
	if c.Public == reconcile.Write {
		c.State = state(c.Version, rapid.SliceOfN(rapid.SampledFrom([]string{"u1", "u2"}), 0, 2).Draw(t, "roster")...)
	}
	if c.Public != reconcile.Keep {
		c.Changes = []reconcile.Change{{Type: rapid.SampledFrom([]reconcile.ChangeType{reconcile.RoomSnapshot, reconcile.RoomUpdated}).Draw(t, "type"), SID: "RM_1"}}
	}
	got, err := w.real.Commit(t.Context(), c)
	want, wantErr := w.fake.Commit(t.Context(), c)
	if err == nil && got.Now == 0 || wantErr == nil && want.Now == 0 {
		t.Fatalf("a commit at Redis' time %d, the fake's at %d", got.Now, want.Now)
	}
	got.Now, want.Now = 0, 0
	same(t, "commit", got, err, want, wantErr)
	if err == nil {
		rec := w.held[room]
		rec.Version = c.Version
		w.held[room] = rec
	}
}

func (w *twins) delist(t *rapid.T) {
	room, c, token := drawRoom(t), drawClaim(t), drawToken(t)
	same(t, "delist", 0, w.real.Delist(t.Context(), room, c, token), 0, w.fake.Delist(t.Context(), room, c, token))
}

func (w *twins) meddle(t *rapid.T) {
	room := drawRoom(t)
	key := rapid.SampledFrom([]memstore.Key{memstore.Participants, memstore.States}).Draw(t, "key")
	what := rapid.SampledFrom([]string{"set", "wrong type", "delete", "flush", "lose the record"}).Draw(t, "what")
	value := rapid.SampledFrom([]string{"", "[]", "no", string(state(1, "u1").JSON(room)), `["u1"]`}).Draw(t, "value")
	for _, r := range []Rig{w.real, w.fake} {
		switch what {
		case "set":
			r.Set(key, room, value)
		case "wrong type":
			r.WrongType(key, room)
		case "delete":
			r.Delete(key, room)
		case "flush":
			r.Flush()
		case "lose the record":
			r.WrongType(memstore.Fence, room)
		}
	}
}

// advance takes steps whose sums stay minutes away from every limit, because both clocks count seconds and are not in step.
func (w *twins) advance(t *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{11 * time.Minute, 13 * time.Minute, 25 * time.Hour}).Draw(t, "by")
	w.real.Advance(d)
	w.fake.Advance(d)
}

func (w *twins) generation(t *rapid.T) {
	g := rapid.Uint64Range(1, 12).Draw(t, "generation")
	same(t, "raise", 0, w.real.RaiseGeneration(t.Context(), g), 0, w.fake.RaiseGeneration(t.Context(), g))
	got, err := w.real.Generation(t.Context())
	want, wantErr := w.fake.Generation(t.Context())
	same(t, "generation", got, err, want, wantErr)
}

// compare compares everything that readers see.
func (w *twins) compare(t *rapid.T) {
	gotP, gotS, err := w.real.States(t.Context(), twinRooms)
	wantP, wantS, wantErr := w.fake.States(t.Context(), twinRooms)
	same(t, "participants", gotP, err, wantP, wantErr)
	same(t, "states", gotS, err, wantS, wantErr)
	got, err := w.real.Index(t.Context())
	want, wantErr := w.fake.Index(t.Context())
	same(t, "index", fmt.Sprint(got), err, fmt.Sprint(want), wantErr)
	for _, room := range twinRooms {
		same(t, "feed", w.real.Feed(room), nil, w.fake.Feed(room), nil)
		got, exists := w.real.RecordLife(room)
		want, wantExists := w.fake.RecordLife(room)
		if exists != wantExists || (got-want).Abs() > time.Minute {
			t.Fatalf("the record of %q lives %v (%v), the fake's %v (%v)", room, got, exists, want, wantExists)
		}
	}
}

func same(t *rapid.T, what string, got any, err error, want any, wantErr error) {
	t.Helper()
	var refusal, wantRefusal reconcile.Refusal
	errors.As(err, &refusal)
	errors.As(wantErr, &wantRefusal)
	if (err == nil) != (wantErr == nil) || refusal != wantRefusal {
		t.Fatalf("%s: %v, the fake: %v", what, err, wantErr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n%+v, the fake:\n%+v", what, got, want)
	}
}
