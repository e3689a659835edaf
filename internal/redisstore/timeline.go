package redisstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/rollcallhq/rollcall/reconcile"
)

// timelineArgs appends the commit's timeline entries, oldest first.
func (s *Store) timelineArgs(a []any, p *commitSpace) []any {
	a = append(a, reconcile.TimelineMax)
	if !s.stories {
		return a
	}
	for _, e := range slices.Backward(p.commit.Timeline(s.node)) {
		a = append(a, p.encoded(func(b []byte) []byte { return appendPacked(b, &e) }))
	}
	return a
}

// fields returns the fields of an entry in the order in which they are stored. They are stored as an array rather than an object, since a room
// keeps a hundred entries.
func fields(e *reconcile.TimelineEntry) []any {
	return []any{&e.Time, &e.Type, &e.Identity, &e.SID, &e.Cause, &e.Reason, &e.Event, &e.Gen, &e.Epoch, &e.Version, &e.Owner, &e.Disconnect, &e.JoinedAt,
		&e.LeftAt}
}

// appendPacked appends the fields of an entry as JSON. It does not use encoding/json, because every commit has an entry.
func appendPacked(b []byte, e *reconcile.TimelineEntry) []byte {
	b = append(b, '[')
	b = strconv.AppendInt(b, e.Time, 10)
	for _, s := range [...]string{string(e.Type), e.Identity, e.SID, string(e.Cause), string(e.Reason), e.Event} {
		b = appendString(append(b, ','), s)
	}
	for _, n := range [...]uint64{e.Gen, e.Epoch, e.Version} {
		b = strconv.AppendUint(append(b, ','), n, 10)
	}
	b = appendString(append(b, ','), e.Owner)
	if e.Type == reconcile.ParticipantLeft {
		b = appendString(append(b, ','), e.Disconnect)
		b = strconv.AppendInt(append(b, ','), e.JoinedAt, 10)
		b = strconv.AppendInt(append(b, ','), e.LeftAt, 10)
	}
	return append(b, ']')
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string cannot fail to encode
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// Timeline returns a room's last changes, at most limit, newest first. It is empty for a room that never existed, or that ended long ago.
func (s *Store) Timeline(ctx context.Context, room string, limit int) ([]reconcile.TimelineEntry, error) {
	limit = min(limit, reconcile.TimelineMax)
	values, err := s.client.LRange(ctx, s.keys.timeline(room), 0, int64(limit)-1).Result()
	if err != nil && !wrongType(err) {
		return nil, fmt.Errorf("redis: timeline of room %q: %w", room, denied(err))
	}
	return timelineOf(values), nil
}

// timelineOf parses entries of a timeline and skips what others wrote.
func timelineOf(values []string) []reconcile.TimelineEntry {
	entries := []reconcile.TimelineEntry{}
	for _, value := range values {
		var e reconcile.TimelineEntry
		list := fields(&e)
		if json.Unmarshal([]byte(value), &list) == nil && e.Type != "" {
			entries = append(entries, e)
		}
	}
	return entries
}
