// Package memstore is an in-memory fake of the store port, for tests. It answers every call as internal/redisstore does on a real
// Redis (testing/harness/storetest runs the same suite on both). It takes its time from the clock it is given, starts no goroutine, and
// fails only where a test asks for it (Faulty).
package memstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rollcallhq/rollcall/reconcile"
)

const (
	recordLife    = 24 * time.Hour
	tombstoneLife = 30 * time.Minute
	maxPruned     = 500
)

// Options configure a Store. The zero value is a Store without a feed that counts STANDARD and SIP by the wall clock.
type Options struct {
	Now      func() time.Time // the store's clock; nil for time.Now, which is virtual in a testing/synctest bubble
	Kinds    reconcile.Kinds  // nil for STANDARD and SIP
	Feed     bool
	Timeline bool
	Node     string // the node that makes the changes and repairs
	// Watch, if set, is called for each claim and commit that was not refused, and for each loss of data, in the order in which
	// they happen. It must not call the Store.
	Watch func(Script)
}

// Script is a claim or a commit that was not refused. The zero Script is the loss of all data. SetBack follows it with one Script
// for each record in the older copy.
type Script struct {
	Room   string
	Claim  reconcile.Claim
	Commit *reconcile.Commit // nil for a claim
	Back   *reconcile.Record // set by SetBack and SetBackSome: the record after the loss, empty where there is none
}

// Store is the fake. It is safe for concurrent use.
type Store struct {
	now     func() time.Time
	kinds   reconcile.Kinds
	feeds   bool
	stories bool
	node    string
	watch   func(Script)

	mu         sync.Mutex
	rooms      map[string]*room
	index      map[string]bool
	generation uint64
	epochs     map[uint64]uint64 // by generation
	feed       []Entry
	entries    uint64                 // number of entries appended so far, which is the last id; Flush and SetBack keep it
	drift      []reconcile.DriftEntry // newest first
}

// room is what Redis holds under one room's keys.
type room struct {
	fence        *fence
	participants *value
	states       *value
	timeline     []reconcile.TimelineEntry // newest first; deleted with the record
}

// value is the value of a public key. One of a wrong type has no text.
type value struct {
	text    string
	wrong   bool
	expires bool
}

// fence is a stored record.
type fence struct {
	rec                  reconcile.Record // without Tombstones, State and Altered
	buried               map[string]buried
	participants, states string // the public values as written; states is "" while there are none
	expires              int64  // Unix s, 0 for never
}

type buried struct {
	reconcile.Tombstone
	at int64 // Unix s
}

// New returns an empty Store.
func New(o Options) *Store {
	s := &Store{now: o.Now, kinds: o.Kinds, feeds: o.Feed, stories: o.Timeline, node: o.Node, watch: o.Watch}
	if s.now == nil {
		s.now = time.Now
	}
	if s.kinds == nil {
		s.kinds = reconcile.Kinds{"STANDARD": true, "SIP": true}
	}
	if s.watch == nil {
		s.watch = func(Script) {}
	}
	s.flush()
	return s
}

// Flush loses all data, as FLUSHALL does.
func (s *Store) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
}

func (s *Store) flush() {
	s.rooms, s.index = map[string]*room{}, map[string]bool{}
	s.generation, s.epochs, s.feed, s.drift = 0, map[uint64]uint64{}, nil, nil
	s.watch(Script{})
}

// Close does nothing.
func (s *Store) Close() error { return nil }

// Ping returns the error of ctx.
func (s *Store) Ping(ctx context.Context) error { return ctx.Err() }

// Claim matches redisstore's Claim.
func (s *Store) Claim(ctx context.Context, name string, c reconcile.Claim) (reconcile.Record, error) {
	if err := ctx.Err(); err != nil {
		return reconcile.Record{}, fmt.Errorf("memstore: claim of room %q: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.room(name)
	if f := r.fence; f != nil {
		switch by := c.Compare(f.rec.Claim); {
		case by < 0:
			return reconcile.Record{}, fmt.Errorf("memstore: claim of room %q: %w", name, reconcile.StaleOwner)
		case by == 0 && c != f.rec.Claim:
			return reconcile.Record{}, fmt.Errorf("memstore: claim of room %q: %w", name, reconcile.Split)
		}
	} else {
		r.fence = &fence{rec: reconcile.Record{Room: name}, buried: map[string]buried{}}
		s.rooms[name] = r
	}
	f := r.fence
	f.rec.Claim = c
	s.prune(f)
	f.expires = 0
	if r.participants == nil && r.states == nil && f.states == "" {
		f.expires = s.unix() + int64(recordLife.Seconds())
	}
	s.watch(Script{Room: name, Claim: c})
	return s.read(r), nil
}

// read returns the record as a claim returns it.
func (s *Store) read(r *room) reconcile.Record {
	f := r.fence
	rec := f.rec
	rec.ReadAt = s.unix()
	rec.Tombstones = make(map[string]reconcile.Tombstone, len(f.buried))
	for sid, b := range f.buried {
		if s.past(b) {
			continue
		}
		t := b.Tombstone
		t.Written = b.at
		rec.Tombstones[sid] = t
	}
	rec.Altered = altered(r, reconcile.VerifyAll)
	if r.participants == nil && r.states == nil {
		return rec
	}
	state, err := reconcile.DecodeState([]byte(r.states.string()))
	if err != nil {
		state = &reconcile.State{SID: rec.Instance.SID, CreatedAt: rec.Instance.CreatedMs, Version: rec.Version}
		rec.Altered = true
	} else if string(state.Present(s.kinds)) != r.participants.string() {
		rec.Altered = true
	}
	rec.State = state
	return rec
}

// Commit matches redisstore's Commit.
func (s *Store) Commit(ctx context.Context, c reconcile.Commit) (reconcile.Receipt, error) {
	err := ctx.Err()
	if err == nil && c.Public == reconcile.Write && c.State == nil {
		err = errors.New("it writes the public keys and has no state")
	}
	if err != nil {
		return reconcile.Receipt{}, fmt.Errorf("memstore: commit of room %q: %w", c.Room, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.room(c.Room)
	if why := refuse(r.fence, c.Claim, c.Leader, &c.Expect); why != 0 {
		return reconcile.Receipt{}, fmt.Errorf("memstore: commit of room %q: %w", c.Room, why)
	}
	s.watch(Script{Room: c.Room, Claim: c.Claim, Commit: &c})
	receipt := reconcile.Receipt{Now: s.unix()}
	if c.Verify != reconcile.Unverified {
		receipt.Altered = altered(r, c.Verify)
	}
	if c.Verify == reconcile.VerifyAll && r.fence.states != "" {
		s.index[c.Room] = true
	}
	if c.Version == c.Expect {
		return receipt, nil
	}
	f := r.fence
	if c.Leader != (reconcile.Token{}) {
		f.rec.Leader = c.Leader
	}
	f.rec.Version, f.rec.Instance, f.rec.ConfirmedAt = c.Version, c.Instance, c.ConfirmedAt
	if c.Cause == reconcile.ByWebhook {
		f.rec.Touched = s.unix()
	}
	s.public(r, c)
	s.tombstones(f, c)
	if c.Prune {
		receipt.Pruned = s.prune(f)
	}
	if s.feeds && len(c.Changes) > 0 {
		f.rec.Appended = c.Version
		s.append(c)
	}
	if s.stories {
		r.timeline = append(c.Timeline(s.node), r.timeline...)
		r.timeline = r.timeline[:min(len(r.timeline), reconcile.TimelineMax)]
	}
	f.expires = 0
	if f.states == "" {
		f.expires = s.unix() + int64(recordLife.Seconds())
	}
	return receipt, nil
}

func (s *Store) public(r *room, c reconcile.Commit) {
	switch c.Public {
	case reconcile.Write:
		if r.fence.states == "" {
			s.index[c.Room] = true
		}
		r.fence.participants, r.fence.states = string(c.State.Present(s.kinds)), string(c.State.JSON(c.Room))
		r.participants, r.states = &value{text: r.fence.participants}, &value{text: r.fence.states}
	case reconcile.Remove:
		r.fence.participants, r.fence.states = "", ""
		r.participants, r.states = nil, nil
		delete(s.index, c.Room)
	}
}

func (s *Store) tombstones(f *fence, c reconcile.Commit) {
	for _, sid := range c.RemoveTombstones {
		delete(f.buried, sid)
	}
	for _, t := range c.AddTombstones {
		f.buried[t.SID] = buried{t, s.unix()}
	}
}

// prune drops expired tombstones, at most maxPruned, and returns their sids, sorted.
func (s *Store) prune(f *fence) []string {
	var gone []string
	for sid, b := range f.buried {
		if s.past(b) && len(gone) < maxPruned {
			gone = append(gone, sid)
			delete(f.buried, sid)
		}
	}
	slices.Sort(gone)
	return gone
}

func (s *Store) past(b buried) bool { return s.unix()-b.at >= int64(tombstoneLife.Seconds()) }

func (s *Store) append(c reconcile.Commit) {
	for i, change := range c.Changes {
		identity, joined, data := "", int64(0), []byte("null")
		switch {
		case change.Member != nil:
			identity, joined, data = change.Member.Identity, change.Member.JoinedAt, change.Member.JSON()
		case c.State != nil && change.Type != reconcile.RoomFinished:
			data = c.State.JSON(c.Room)
			if change.Type != reconcile.RoomSnapshot {
				at := bytes.Index(data, []byte(`,"participants":[`))
				data = append(data[:at:at], '}')
			}
		}
		entry := map[string]string{"room": c.Room, "gen": decimal(c.Claim.Generation), "epoch": decimal(c.Claim.Epoch),
			"version": decimal(c.Version), "prev": decimal(c.Prev), "n": strconv.Itoa(i + 1), "of": strconv.Itoa(len(c.Changes)),
			"type": string(change.Type), "identity": identity, "sid": change.SID, "cause": string(c.Cause),
			"time": strconv.FormatInt(c.Time, 10), "data": string(data)}
		if change.Type == reconcile.ParticipantLeft {
			entry["reason"] = cmp.Or(change.Disconnect, reconcile.UnknownReason)
			entry["joinedAt"], entry["leftAt"] = strconv.FormatInt(joined, 10), strconv.FormatInt(change.LeftAt, 10)
		}
		s.entries++
		s.feed = append(s.feed, Entry{s.entries, entry})
	}
}

// refuse applies the rule of the scripts to the claim, the version and the leader's token.
func refuse(f *fence, c reconcile.Claim, leader reconcile.Token, expect *uint64) reconcile.Refusal {
	if f == nil {
		return reconcile.Conflict
	}
	by := c.Compare(f.rec.Claim)
	switch {
	case by < 0:
		return reconcile.StaleOwner
	case by > 0:
		return reconcile.Conflict
	case c != f.rec.Claim:
		return reconcile.Split
	case expect != nil && *expect != f.rec.Version:
		return reconcile.Conflict
	case leader != (reconcile.Token{}) && leader.Compare(f.rec.Leader) < 0:
		return reconcile.StaleLeader
	}
	return 0
}

// altered reports whether the public keys differ from what the record wrote. Only VerifyAll looks at their expiry.
func altered(r *room, verify reconcile.Verification) bool {
	if r.fence.states == "" {
		return r.participants != nil || r.states != nil
	}
	return r.participants == nil || r.states == nil || r.participants.wrong || r.states.wrong ||
		verify == reconcile.VerifyAll && (r.participants.expires || r.states.expires) ||
		r.participants.text != r.fence.participants || r.states.text != r.fence.states
}

// room returns the content under the name. An expired record is gone.
func (s *Store) room(name string) *room {
	r := s.rooms[name]
	if r == nil {
		return &room{}
	}
	if f := r.fence; f != nil && f.expires != 0 && f.expires <= s.unix() {
		r.fence, r.timeline = nil, nil
	}
	return r
}

func (s *Store) unix() int64 { return s.now().Unix() }

func (v *value) string() string {
	if v == nil || v.wrong {
		return ""
	}
	return v.text
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
