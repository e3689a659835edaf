package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

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
	if len(reply) < 3 {
		return reconcile.Receipt{}, fmt.Errorf("redis: commit of room %q: a reply of %d parts", c.Room, len(reply))
	}
	s.appendRecent(&c)
	if s.feedMax > 0 && c.Version != c.Expect {
		s.appended.add(c.Changes)
	}
	receipt := reconcile.Receipt{Now: seconds(reply[0]), Altered: reply[1] == int64(1)}
	if reply[2] == int64(1) {
		s.logReplaced(r.keys[len(r.keys)-1])
	}
	for _, sid := range reply[3:] {
		receipt.Pruned = append(receipt.Pruned, text(sid))
	}
	slices.Sort(receipt.Pruned)
	return receipt, nil
}

// commitRequest builds the request. The head of commit.lua documents the arguments.
func (s *Store) commitRequest(c reconcile.Commit) (*request, error) {
	if c.Public == reconcile.Write && c.State == nil {
		return nil, errors.New("it writes the public keys and has no state")
	}
	writes := c.Version != c.Expect
	sets := writes && c.Public == reconcile.Write
	r := &request{room: c.Room, script: s.scripts.commit, patient: c.Cause == reconcile.ByWebhook}
	r.keys = append(append(make([]string, 0, commitKeys), s.keys.fence(c.Room)), s.keys.public(c.Room)...)
	r.keys = append(r.keys, s.keys.feed(c.Room), s.keys.timeline(c.Room), s.keys.index(c.Room))
	a := make([]any, 0, 32+2*len(c.AddTombstones)+len(c.RemoveTombstones)+8*len(c.Changes)+len(c.Story))
	a = tokenArgs(claimArgs(a, c.Claim), c.Leader)
	a = append(a, c.Expect, c.Version, int(c.Public), int(c.Verify), flag(c.Prune),
		c.Instance.SID, c.Instance.CreatedMs, c.Instance.FinishedAt, c.ConfirmedAt)
	var state []byte
	if sets {
		state = c.State.JSON(c.Room)
		present := c.State.Present(s.kinds)
		a = append(a, present, state, digest(present), digest(state))
	} else {
		a = append(a, "", "", "", "")
	}
	a = append(a, s.feedMax, flag(s.keys.tags && s.feedMax > 0),
		c.Room, c.Prev, string(c.Cause), c.Time)
	if !writes {
		r.args = append(a, "0", "0", "0", "0")
		return r, nil
	}
	a = append(a, strconv.Itoa(len(c.AddTombstones)))
	for _, t := range c.AddTombstones {
		a = append(a, t.SID, signed(t.JoinedAt)+":"+ending(t)+":"+t.Identity)
	}
	a = append(a, strconv.Itoa(len(c.RemoveTombstones)))
	for _, sid := range c.RemoveTombstones {
		a = append(a, sid)
	}
	if s.feedMax > 0 {
		a = feedArgs(a, feedEntries(&c, c.Changes, state))
	} else {
		a = append(a, "0")
	}
	r.args = s.timelineArgs(a, &c)
	return r, nil
}

// ending returns how a tombstone's participant ended: 1 by a poll, 2 by a migration, 0 otherwise.
func ending(t reconcile.Tombstone) string {
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

// feedEntries converts changes of a commit; state is the JSON of its state, or nil if the caller does not have it.
func feedEntries(c *reconcile.Commit, changes []reconcile.Change, state []byte) []feedEntry {
	entries := make([]feedEntry, 0, len(changes))
	for _, change := range changes {
		e := feedEntry{kind: change.Type, sid: change.SID, data: []byte("null")}
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
	a = append(a, strconv.Itoa(len(entries)))
	for i, e := range entries {
		a = append(a, i+1, string(e.kind), e.identity, e.sid, e.data, e.reason, e.joinedAt, e.leftAt)
	}
	return a
}

// roomJSON returns the JSON of the state without its participants, as the feed describes the room itself.
func roomJSON(s *reconcile.State, room string) []byte {
	empty := *s
	empty.Roster = nil
	return append(bytes.TrimSuffix(empty.JSON(room), []byte(`,"participants":[]}`)), '}')
}
