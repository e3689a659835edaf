// Package storetest is the one suite that every store passes: the fake in testing/fakes/memstore, and internal/redisstore on miniredis
// and on a real redis-server. A store that passes refuses, writes, keeps and expires as docs/protocol.md and the ports'
// documentation say, and the fake can replace the real one.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
	"github.com/rollcallhq/rollcall/testing/fakes/memstore"
)

// Store is the whole port. Its consumers declare smaller interfaces.
type Store interface {
	Claim(ctx context.Context, room string, c reconcile.Claim) (reconcile.Record, error)
	Commit(ctx context.Context, c reconcile.Commit) (reconcile.Receipt, error)
	Delist(ctx context.Context, room string, c reconcile.Claim, leader reconcile.Token) error
	Index(ctx context.Context) ([]string, error)
	Rooms(ctx context.Context, cursor string, limit int, search string) (names []string, next string, err error)
	State(ctx context.Context, room string) (json.RawMessage, bool, error)
	States(ctx context.Context, rooms []string) (participants, states map[string]json.RawMessage, err error)
	Generation(ctx context.Context) (uint64, error)
	RaiseGeneration(ctx context.Context, g uint64) error
	Reindex(ctx context.Context, pace time.Duration) error
	Timeline(ctx context.Context, room string, limit int) ([]reconcile.TimelineEntry, error)
	Drifted(room string, cause reconcile.Cause, at int64, drift []reconcile.Drift)
	Drift(ctx context.Context) ([]reconcile.DriftEntry, error)
	Matching(ctx context.Context) (active, queue int64, err error)
	Ping(ctx context.Context) error
	Close() error
}

// Meddler changes a store's data as other programs, failures and time do.
type Meddler interface {
	Get(k memstore.Key, room string) (string, bool)
	Set(k memstore.Key, room, text string)
	WrongType(k memstore.Key, room string)
	Delete(k memstore.Key, room string)
	Expire(k memstore.Key, room string) // within the hour
	Unlist(room string)
	RecordLife(room string) (left time.Duration, exists bool) // 0 means for ever
	Feed(room string) []map[string]string                     // its entries, oldest first
	Flush()
	Advance(d time.Duration)
}

// Rig is a store of the node n1, which counts STANDARD and SIP and has its feed and timelines on, together with access to its
// data.
type Rig struct {
	Store
	Meddler
}

// Run runs the suite. Every test gets its own empty store from open.
func Run(t *testing.T, open func(t *testing.T) Rig) {
	for _, group := range []map[string]func(*testing.T, Rig){claimTests, commitTests, publicTests, feedTests, historyTests, indexTests, concurrencyTests} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) { test(t, open(t)) })
		}
	}
}

// names are room names that have caused bugs.
var names = []string{
	"room-123", "", " ", "}", "}}", "{", "{}", "{a}", "a{b}c", "}x", "%", "%7D", "%7Dx", "%25", "%257D", "%}", "{%}", "*", "?", "[a-z]", `\`, `"`, "'",
	"nul\x00nul", "\x00", "line\nline\r\n", "tab\t", "a:b:c", "rooms:states:x", "states", "index", "generation", "events", "\u202egnp.exe", "é", "日本語",
	string(make([]byte, 256)), fmt.Sprintf("%0256d", 7), "-", "+", "(", "[",
}

var kinds = reconcile.Kinds{"STANDARD": true, "SIP": true}

func claim(gen, epoch, inc uint64) reconcile.Claim {
	return reconcile.Claim{Generation: gen, Epoch: epoch, Incarnation: inc}
}

func member(identity string, joined int64) *reconcile.Member {
	return reconcile.NewMember(reconcile.Participant{Identity: identity, SID: "PA_" + identity, JoinedAt: joined, Name: "<" + identity + ">",
		Metadata: "m&m", Attributes: map[string]string{"k": "v"}, Version: 2})
}

// state returns a room with these identities, in their order.
func state(version uint64, identities ...string) *reconcile.State {
	s := &reconcile.State{SID: "RM_1", CreatedAt: 1795399866205, LastUpdated: 1795399866530, MaxParticipants: 2, Metadata: `{"a":"<b>"}`, Version: version}
	for i, identity := range identities {
		s.Roster = append(s.Roster, member(identity, 1795399866511+int64(i)))
	}
	return s
}

// next returns a commit for rec's room under rec's claim, one version higher, that changes only the record.
func next(rec reconcile.Record) reconcile.Commit {
	return reconcile.Commit{Room: rec.Room, Claim: rec.Claim, Expect: rec.Version, Version: rec.Version + 1, Prev: rec.Appended,
		Instance: rec.Instance, ConfirmedAt: rec.ConfirmedAt, Cause: reconcile.ByWebhook, Time: 1795399866999}
}

// write returns next's commit, with these identities in the room.
func write(rec reconcile.Record, identities ...string) reconcile.Commit {
	c := next(rec)
	c.Public, c.State = reconcile.Write, state(c.Version, identities...)
	c.Instance = reconcile.Instance{SID: "RM_1", CreatedMs: 1795399866205}
	c.Changes = []reconcile.Change{{Type: reconcile.RoomUpdated, SID: "RM_1"}}
	return c
}

func remove(rec reconcile.Record) reconcile.Commit {
	c := next(rec)
	c.Public = reconcile.Remove
	c.Instance.FinishedAt = 1795399900
	c.Changes = []reconcile.Change{{Type: reconcile.RoomFinished, SID: "RM_1"}}
	return c
}

func (r Rig) claim(t *testing.T, room string, c reconcile.Claim) reconcile.Record {
	t.Helper()
	rec, err := r.Claim(t.Context(), room, c)
	if err != nil {
		t.Fatalf("claim of %q by %v: %v", room, c, err)
	}
	if rec.Room != room || rec.Claim != c {
		t.Fatalf("claim of %q by %v gave the record of %q by %v", room, c, rec.Room, rec.Claim)
	}
	return rec
}

func (r Rig) commit(t *testing.T, c reconcile.Commit) reconcile.Receipt {
	t.Helper()
	receipt, err := r.Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("commit of %q from %d to %d: %v", c.Room, c.Expect, c.Version, err)
	}
	return receipt
}

// live claims a room with the claim (1,1,1) and puts these identities into it. It returns the record as a new claim reads it.
func (r Rig) live(t *testing.T, room string, identities ...string) reconcile.Record {
	t.Helper()
	r.commit(t, write(r.claim(t, room, claim(1, 1, 1)), identities...))
	return r.claim(t, room, claim(1, 1, 1))
}

func (r Rig) refused(t *testing.T, want reconcile.Refusal, c reconcile.Commit) {
	t.Helper()
	if _, err := r.Commit(t.Context(), c); !errors.Is(err, want) {
		t.Errorf("commit of %q by %v from %d: %v, want %v", c.Room, c.Claim, c.Expect, err, want)
	}
}

// public returns what readers see: the values of both keys, "" for none. It fails if only one exists.
func (r Rig) public(t *testing.T, room string) (participants, states string) {
	t.Helper()
	p, s, err := r.States(t.Context(), []string{room})
	if err != nil {
		t.Fatal(err)
	}
	if (p[room] == nil) != (s[room] == nil) {
		t.Errorf("room %q has one public key without the other: %s, %s", room, p[room], s[room])
	}
	return string(p[room]), string(s[room])
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
