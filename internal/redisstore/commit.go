package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Commit writes c completely, or refuses it with a reconcile.Refusal. One script writes the record, both public keys, the change feed and the
// timeline. A commit whose Version equals Expect writes nothing: it checks that claim and version are still current and, as far as Verify asks, that
// the public keys are as they were written.
func (s *Store) Commit(ctx context.Context, c reconcile.Commit) (reconcile.Receipt, error) {
	r, err := s.commitRequest(c)
	if err != nil {
		return reconcile.Receipt{}, fmt.Errorf("redis: commit of room %q: %w", c.Room, err)
	}
	reply, err := s.batches.do(ctx, r)
	if err != nil {
		return reconcile.Receipt{}, fmt.Errorf("redis: commit of room %q: %w", c.Room, err)
	}
	r.space.release() // not after an error: it may still be on its way to Redis
	if len(reply) < 3 {
		return reconcile.Receipt{}, fmt.Errorf("redis: commit of room %q: a reply of %d parts", c.Room, len(reply))
	}
	s.appendRecent(&c)
	if s.feedMax > 0 && c.Version != c.Expect {
		s.appended.add(c.Changes)
	}
	receipt := reconcile.Receipt{Now: seconds(reply[0]), Altered: reply[1] == int64(1)}
	if reply[2] == int64(1) {
		s.logReplaced(r.keys[commitKeys-1])
	}
	for _, sid := range reply[3:] {
		receipt.Pruned = append(receipt.Pruned, text(sid))
	}
	slices.Sort(receipt.Pruned)
	return receipt, nil
}

// maxSpace bounds the space that is kept for other commits, in bytes.
const maxSpace = 1 << 20

// commitSpace is what a commit's request consists of, apart from its keys. It is used again, because it takes some KB and every webhook needs one.
type commitSpace struct {
	commit  reconcile.Commit
	text    []byte // the encoded arguments
	entries []feedEntry
	args    []any // pointers where possible: Go copies a value into memory of its own
}

var commitSpaces = sync.Pool{New: func() any { return new(commitSpace) }}

// release makes the space available to others. Nobody may use the request's arguments any more.
func (p *commitSpace) release() {
	if cap(p.text) > maxSpace {
		return
	}
	clear(p.args)
	clear(p.entries)
	p.commit, p.text, p.entries, p.args = reconcile.Commit{}, p.text[:0], p.entries[:0], p.args[:0]
	commitSpaces.Put(p)
}

// encoded returns what write appends to the space. It stays valid when the space grows.
func (p *commitSpace) encoded(write func([]byte) []byte) []byte {
	begin := len(p.text)
	p.text = write(p.text)
	return p.text[begin:len(p.text):len(p.text)]
}

// The argument of commit.lua that says what happens to the public keys, counted from 0, and its value for a staged state.
const (
	publicArg    = 7
	publicStaged = 3
)

// commitRequest builds the request. The head of commit.lua documents the arguments.
func (s *Store) commitRequest(commit reconcile.Commit) (*request, error) {
	if commit.Public == reconcile.Write && commit.State == nil {
		return nil, errors.New("it writes the public keys and has no state")
	}
	p := commitSpaces.Get().(*commitSpace)
	p.commit = commit
	c := &p.commit
	r := &request{room: c.Room, script: s.scripts.commit, patient: c.Cause == reconcile.ByWebhook, space: p}
	r.keys = append(make([]string, 0, commitKeys+1), s.keys.fence(c.Room), s.keys.participants(c.Room), s.keys.states(c.Room), s.keys.feed(c.Room),
		s.keys.timeline(c.Room), s.keys.index(c.Room))
	writes := c.Version != c.Expect
	a := append(p.args, &c.Claim.Generation, &c.Claim.Epoch, &c.Claim.Incarnation, &c.Leader.Generation, &c.Leader.Index,
		&c.Expect, &c.Version, int(c.Public), int(c.Verify), c.Prune,
		&c.Instance.SID, &c.Instance.CreatedMs, &c.Instance.FinishedAt, &c.ConfirmedAt)
	var state []byte
	if writes && c.Public == reconcile.Write {
		state = p.encoded(func(b []byte) []byte { return c.State.AppendJSON(b, c.Room) })
		present := p.encoded(func(b []byte) []byte { return c.State.AppendPresent(b, s.kinds) })
		if s.cluster || len(state) < s.stageFrom {
			a = append(a, present, state, digest(present), digest(state))
		} else {
			r.staged = &staged{key: s.keys.staged(c.Room, s.nonce.Add(1)), value: state}
			r.keys = append(r.keys, r.staged.key)
			a[publicArg] = publicStaged
			a = append(a, present, "", digest(present), digest(state))
		}
	} else {
		a = append(a, "", "", "", "")
	}
	a = append(a, &s.feedMax, s.keys.tags && s.feedMax > 0,
		&c.Room, &c.Prev, (*string)(&c.Cause), &c.Time)
	if !writes {
		r.args = append(a, "0", "0", "0", "0")
		p.args = r.args
		return r, nil
	}
	a = append(a, len(c.AddTombstones))
	for i := range c.AddTombstones {
		t := &c.AddTombstones[i]
		a = append(a, &t.SID, signed(t.JoinedAt)+":"+ending(t)+":"+t.Identity)
	}
	a = append(a, len(c.RemoveTombstones))
	for i := range c.RemoveTombstones {
		a = append(a, &c.RemoveTombstones[i])
	}
	if s.feedMax > 0 {
		p.entries = feedEntries(p.entries, c, c.Changes, state)
	}
	r.args = s.timelineArgs(feedArgs(a, p.entries), p)
	p.args = r.args
	return r, nil
}

// ending returns how a tombstone's participant ended: 1 by a poll, 2 by a migration, 0 otherwise.
func ending(t *reconcile.Tombstone) string {
	switch {
	case t.Looked:
		return "1"
	case t.Migrated:
		return "2"
	}
	return "0"
}

// feedEntry is one change as the feed stores it.
type feedEntry struct {
	kind          reconcile.ChangeType
	identity, sid string
	data          []byte
	// Set for participant_left only.
	reason           string
	joinedAt, leftAt int64 // Unix ms
}

// null is the JSON of a change without data.
var null = []byte("null")

// feedEntries appends changes of a commit; state is the JSON of its state, or nil if the caller does not have it.
func feedEntries(entries []feedEntry, c *reconcile.Commit, changes []reconcile.Change, state []byte) []feedEntry {
	for _, change := range changes {
		e := feedEntry{kind: change.Type, sid: change.SID, data: null}
		switch {
		case change.Member != nil:
			e.identity, e.data = change.Member.Identity, change.Member.JSON()
			if change.Type == reconcile.ParticipantLeft {
				e.reason, e.joinedAt, e.leftAt = cmp.Or(change.Disconnect, reconcile.UnknownReason), change.Member.JoinedAt, change.LeftAt
			}
		case change.Type == reconcile.RoomSnapshot && state != nil:
			e.data = state
		case c.State != nil && change.Type == reconcile.RoomSnapshot:
			e.data = c.State.JSON(c.Room)
		case c.State != nil && change.Type != reconcile.RoomFinished: // c.State is not the room that finished, but a newer instance
			e.data = roomJSON(c.State, c.Room)
		}
		entries = append(entries, e)
	}
	return entries
}

// feedArgs appends the entries of the change feed.
func feedArgs(a []any, entries []feedEntry) []any {
	a = append(a, len(entries))
	for i := range entries {
		e := &entries[i]
		a = append(a, i+1, (*string)(&e.kind), &e.identity, &e.sid, e.data, &e.reason, &e.joinedAt, &e.leftAt)
	}
	return a
}

// roomJSON returns the JSON of the state without its participants, as the feed describes the room itself.
func roomJSON(s *reconcile.State, room string) []byte {
	empty := *s
	empty.Roster = nil
	return append(bytes.TrimSuffix(empty.JSON(room), []byte(`,"participants":[]}`)), '}')
}
