package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rollcallhq/rollcall/reconcile"
)

// Claim makes c the room's claim and then reads the room, in one script. It is refused with reconcile.StaleOwner or reconcile.Split.
// It fails with ErrNewer for a record that this build does not understand, and then has
// written only what a claim writes.
//
// If nothing is stored, the record's Version is 0. Altered is set when the public keys are not what the record says: others changed or removed
// them, one of the two or the record is missing, their type is wrong, or the participant kinds that count have changed since they were written.
// State is nil when there are no public keys. When there are public keys but the states value cannot be decoded, State is a room without
// participants, so that a poll decides who is in it.
func (s *Store) Claim(ctx context.Context, room string, c reconcile.Claim) (reconcile.Record, error) {
	r := &request{room: room, script: s.scripts.claim, args: claimArgs(nil, c), patient: reconcile.IsUrgent(ctx)}
	r.keys = append([]string{s.keys.fence(room)}, append(s.keys.public(room), s.keys.timeline(room))...)
	reply, err := s.batches.do(ctx, r)
	if err != nil {
		return reconcile.Record{}, fmt.Errorf("redis: claim of room %q: %w", room, err)
	}
	rec, err := s.record(room, c, reply)
	if err != nil {
		return reconcile.Record{}, fmt.Errorf("redis: claim of room %q: %w", room, err)
	}
	return rec, nil
}

// record parses the claim script's reply.
func (s *Store) record(room string, c reconcile.Claim, reply []any) (reconcile.Record, error) {
	if len(reply) != 6 {
		return reconcile.Record{}, fmt.Errorf("a reply of %d parts", len(reply))
	}
	flat, ok := reply[0].([]any)
	if !ok {
		return reconcile.Record{}, errors.New("a reply without the record")
	}
	f := fence{fields: map[string]string{}, tombstones: map[string]reconcile.Tombstone{}}
	for i := 0; i+1 < len(flat); i += 2 {
		f.read(text(flat[i]), text(flat[i+1]))
	}
	if format := f.int("format"); format > recordFormat {
		return reconcile.Record{}, fmt.Errorf("%w: its record is of format %d, and this version knows %d", ErrNewer, format, recordFormat)
	}
	rec := reconcile.Record{
		Room: room, Claim: c,
		Leader:      reconcile.Token{Generation: f.uint("lgen"), Index: f.uint("lidx")},
		Version:     f.uint("version"),
		Appended:    f.uint("appended"),
		Instance:    reconcile.Instance{SID: f.fields["sid"], CreatedMs: f.int("created"), FinishedAt: f.int("finished")},
		ConfirmedAt: f.int("confirmed"),
		Tombstones:  f.tombstones,
		Touched:     f.int("touched"),
		ReadAt:      seconds(reply[5]),
	}
	s.readPublic(&rec, f, publicValue{text(reply[1]), text(reply[2])}, publicValue{text(reply[3]), text(reply[4])})
	return rec, nil
}

// publicValue is what is stored at a public key: its Redis type, and its value if that type is string.
type publicValue struct{ kind, value string }

func (s *Store) readPublic(rec *reconcile.Record, f fence, participants, states publicValue) {
	live := f.fields["ds"] != ""
	if participants.kind == "none" && states.kind == "none" {
		rec.Altered = live
		return
	}
	rec.Altered = !live || participants.kind != "string" || states.kind != "string" ||
		digest([]byte(participants.value)) != f.fields["dp"] || digest([]byte(states.value)) != f.fields["ds"]
	state, err := reconcile.DecodeState([]byte(states.value))
	if err != nil {
		rec.Altered = true
		rec.State = &reconcile.State{SID: rec.Instance.SID, CreatedAt: rec.Instance.CreatedMs, Version: rec.Version}
		return
	}
	rec.State = state
	if string(state.Present(s.kinds)) != participants.value {
		rec.Altered = true
	}
}

// fence is the hash of a room's record.
type fence struct {
	fields     map[string]string
	tombstones map[string]reconcile.Tombstone
}

// read parses one field. A tombstone that cannot be parsed is ignored.
func (f fence) read(field, value string) {
	sid, isTombstone := strings.CutPrefix(field, "t:")
	if !isTombstone {
		f.fields[field] = value
		return
	}
	parts := strings.SplitN(value, ":", 4)
	if len(parts) != 4 {
		return
	}
	written, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return
	}
	joined, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return
	}
	f.tombstones[sid] = reconcile.Tombstone{SID: sid, Written: written, JoinedAt: joined, Looked: parts[2] == "1", Migrated: parts[2] == "2",
		Identity: parts[3]}
}

// uint returns a field as a number; a field that is missing or not a number is 0, as in a new record.
func (f fence) uint(field string) uint64 {
	n, _ := strconv.ParseUint(f.fields[field], 10, 64)
	return n
}

func (f fence) int(field string) int64 {
	n, _ := strconv.ParseInt(f.fields[field], 10, 64)
	return n
}

// seconds returns Redis' time from a script's reply.
func seconds(v any) int64 {
	n, _ := strconv.ParseInt(text(v), 10, 64)
	return n
}

func text(v any) string {
	t, _ := v.(string)
	return t
}

func claimArgs(args []any, c reconcile.Claim) []any {
	return append(args, c.Generation, c.Epoch, c.Incarnation)
}

func tokenArgs(args []any, t reconcile.Token) []any {
	return append(args, t.Generation, t.Index)
}

func unsigned(n uint64) string { return strconv.FormatUint(n, 10) }
func signed(n int64) string    { return strconv.FormatInt(n, 10) }

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
